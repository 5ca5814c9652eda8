"""What the programs of bench/ share: their options, a server of their own, requests to it, and the marked parts of README.md."""
import argparse
import http.client
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "bench" / "README.md"
START_LIMIT = 60  # seconds


def options(description):
    """A parser with the options of script/bench, which every program takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--simbert", type=Path, default=ROOT / "build" / "simbert")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "simbert-small-zh")
    parser.add_argument("--input", type=Path, help="sentences, one a line (default simbert bench texts)")
    parser.add_argument("--input-name", default="simbert bench texts", help="what the table calls them")
    parser.add_argument("--repeats", type=int, default=5, help="of what is measured in turn (default 5)")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)),
                        help="the core to run on (default the last)")
    parser.add_argument("--models", type=Path,
                        help="folder of the competitors' model files (default below build/bench-models)")
    parser.add_argument("--dry-run", action="store_true", help="print the table, leave bench/README.md alone")
    return parser


def models(arguments):
    return arguments.models or ROOT / "build" / "bench-models" / arguments.model.name


def sentences(arguments, count=2000):
    """The input, repeated or cut to count."""
    if arguments.input:
        text = arguments.input.read_text(encoding="utf-8")
    else:
        text = subprocess.run([arguments.simbert, "bench", "texts", "--count", str(count)], stdout=subprocess.PIPE, check=True,
                              encoding="utf-8").stdout
    lines = [line for line in text.split("\n") if line]
    if not lines:
        raise SystemExit(f"no sentences in {arguments.input}")
    return (lines * (count // len(lines) + 1))[:count]


def write_section(mark, lines, dry_run=False):
    """Prints the lines, and puts them between README's marks <!-- mark --> and <!-- /mark -->."""
    print("\n".join(lines))
    if dry_run:
        return
    text = README.read_text(encoding="utf-8")
    body = f"<!-- {mark} -->\n" + "\n".join(lines) + f"\n<!-- /{mark} -->"
    text, found = re.subn(f"<!-- {mark} -->.*<!-- /{mark} -->", lambda _: body, text, flags=re.DOTALL)
    if found != 1:
        raise SystemExit(f"{README} has {found} parts marked {mark}")
    README.write_text(text, encoding="utf-8")


class Server:
    """simbert serve on a free port, with the options given. A context manager."""

    def __init__(self, arguments, *more, before=()):
        self.command = [*before, arguments.simbert, "serve", "--port", "0", "--model", arguments.model, *more]

    @classmethod
    def on_one_core(cls, arguments, *more):
        """Without the cache of vectors: every text is computed."""
        return cls(arguments, "--threads", "1", "--vector-cache-bytes", "0", *more,
                   before=("taskset", "-c", str(arguments.core)))

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        log_path = Path(self.folder.name) / "log"
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen([*map(str, self.command), "--data", self.folder.name], stderr=log)
        end = time.monotonic() + START_LIMIT
        while not (found := re.search(r"listening on http://([\d.]+):(\d+)", log_path.read_text(errors="replace"))):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise SystemExit(f"the server did not start:\n{log_path.read_text(errors='replace')}")
            time.sleep(0.001)
        self.host, self.port = found.group(1), int(found.group(2))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.folder.cleanup()

    def client(self):
        return Client(self.host, self.port)

    def memory(self):
        """Bytes of memory that the process holds, files mapped included."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


class Client:
    """One connection that stays open."""

    def __init__(self, host, port):
        self.connection = http.client.HTTPConnection(host, port, timeout=300)

    def send(self, method, path, body=None, content_type="application/json"):
        """Status and body of the reply."""
        data = json.dumps(body, ensure_ascii=False).encode("utf-8") if isinstance(body, (dict, list)) else body
        self.connection.request(method, path, data, {"content-type": content_type} if data is not None else {})
        reply = self.connection.getresponse()
        return reply.status, reply.read()

    def post(self, path, body):
        status, reply = self.send("POST", path, body)
        if status != 200:
            raise SystemExit(f"{path} answers {status}: {reply[:200]!r}")
        return reply

    def metric(self, name):
        """The value of the metric's line, summed over its labels."""
        lines = self.send("GET", "/metrics")[1].decode("utf-8").splitlines()
        values = [float(line.rsplit(" ", 1)[1]) for line in lines if re.match(re.escape(name) + r"[ {]", line)]
        if not values:
            raise SystemExit(f"/metrics has no {name}")
        return sum(values)
