"""Requests a second over HTTP: the tables "Over HTTP" of bench/README.md.

wrk keeps its connections busy, each with one request at a time. Servers run in turn, several times over, and figures are
medians. First client and server share one core, so that what a server needs for HTTP counts, then each has one of its own.
On the shared core time is the processor time of both, which on an idle core that they fill is the time on the clock; the second
table is by the clock."""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from common import ROOT, Server, models, options, sentences, write_section

INFINITY = ROOT / "build" / "bench-infinity" / "bin"
TEI = {"f32": 180, "int8": 587}  # requests/s of text-embeddings-inference 1.9 with onnxruntime, quoted
DTYPES = ("f32", "bf16", "int8")
CONNECTIONS, BATCH, WARM_UP = 16, 32, 1


class Infinity:
    """infinity-emb with torch, float32, from PyPI. Its model is the competitors' one (bench/models.py)."""

    def __init__(self, arguments, port=18439):
        self.url = f"http://127.0.0.1:{port}"
        self.command = ["taskset", "-c", arguments.core, INFINITY / "infinity_emb", "v2", "--model-id",
                        models(arguments) / "hf", "--served-model-name", "m", "--engine", "torch", "--device", "cpu",
                        "--dtype", "float32", "--no-compile", "--no-bettertransformer", "--host", "127.0.0.1", "--port", port]

    def __enter__(self):
        environment = dict(os.environ, HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1",
                           TOKENIZERS_PARALLELISM="false", DO_NOT_TRACK="1", INFINITY_ANONYMOUS_USAGE_STATS="0")
        self.process = subprocess.Popen(list(map(str, self.command)), env=environment, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(1200):
            try:
                urllib.request.urlopen(self.url + "/health", timeout=5)
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.process.kill()
        raise SystemExit("infinity_emb did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def processor_seconds(process):
    """Of the process so far, all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processor_seconds_of_clients():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Load:
    """Files of request bodies, and wrk with them."""

    def __init__(self, texts, folder):
        self.folder = folder
        self.write("one", texts, 1, "inputs")
        self.write("batch", texts, BATCH, "inputs")
        self.write("openai", texts, 1, "input")

    def write(self, name, texts, size, field):
        parts = [texts[i:i + size] for i in range(0, len(texts) - size + 1, size)]
        lines = [json.dumps({field: part[0] if size == 1 else part, "model": "m"} if field == "input" else
                            {field: part[0] if size == 1 else part}, ensure_ascii=False) for part in parts]
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, process, url, name, core, connections, seconds):
        """What bench/requests.lua prints, and the processor time of server and client; never with failed requests."""
        done = before = None
        for duration in (WARM_UP, seconds):
            before = processor_seconds(process) + processor_seconds_of_clients()
            done = subprocess.run(["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{duration}s",
                                   "--timeout", "60s", "-s", ROOT / "bench" / "requests.lua", url, "--",
                                   self.folder / name], stdout=subprocess.PIPE, check=True, encoding="utf-8")
        result = json.loads(re.search(r"^\{.*\}$", done.stdout, re.MULTILINE).group())
        if result["failed"]:
            raise SystemExit(f"{url}: {result['failed']} of {result['requests']} requests failed")
        result["processor_seconds"] = processor_seconds(process) + processor_seconds_of_clients() - before
        return result


def measure(arguments, load):
    """One round: (what, dtype) -> value. one, infinity: requests/s; others: sentences/s, the client on its own core."""
    values = {}
    other = min(os.sched_getaffinity(0) - {arguments.core}, default=arguments.core)
    for dtype in DTYPES:
        with Server.on_one_core(arguments, "--dtype", dtype) as server:
            url = f"http://{server.host}:{server.port}/embed"

            def sentences_per_second(name, core, connections, size, time="seconds"):
                result = load.run(server.process, url, name, core, connections, arguments.seconds)
                return result["requests"] * size / result[time]
            values["one", dtype] = sentences_per_second("one", arguments.core, CONNECTIONS, 1, "processor_seconds")
            values["batch", dtype] = sentences_per_second("batch", other, 4, BATCH)
            for connections in (1, 16, 64):
                values[connections, dtype] = sentences_per_second("one", other, connections, 1)
    if (INFINITY / "infinity_emb").exists():
        with Infinity(arguments) as server:
            result = load.run(server.process, server.url + "/embeddings", "openai", arguments.core, CONNECTIONS,
                              arguments.seconds)
            values["infinity", "f32"] = result["requests"] / result["processor_seconds"]
    return values


def tables(rounds):
    def median(key):
        return statistics.median(values[key] for values in rounds)

    def ratio(key, other):
        return statistics.median(values[key] / values[other] for values in rounds)

    lines = ["| one sentence a request, 16 connections, client on the same core | simbert | | | simbert is |",
             "|---|---|---|---|---|"]
    for dtype in DTYPES:
        head = f"| {dtype} | {median(('one', dtype)):,.0f} requests/s |"
        if dtype in TEI:
            lines.append(f"{head} text-embeddings-inference 1.9 (quoted) | {TEI[dtype]} requests/s "
                         f"| {median(('one', dtype)) / TEI[dtype]:.2f} times as fast |")
            head = "| | |"
        if dtype not in TEI:
            lines.append(f"{head} | | |")
        if ("infinity", dtype) in rounds[0]:
            lines.append(f"{head} infinity | {median(('infinity', dtype)):,.0f} requests/s "
                         f"| {ratio(('one', dtype), ('infinity', dtype)):.2f} times as fast |")
    lines += ["", f"| sentences/s, client on another core | batches of {BATCH} | one each: 1 connection | 16 connections "
              "| 64 connections | 16 / batches | 64 / batches |", "|---|---|---|---|---|---|---|"]
    for dtype in DTYPES:
        figures = [f"{median((what, dtype)):,.0f}" for what in ("batch", 1, 16, 64)]
        figures += [f"{ratio((what, dtype), ('batch', dtype)):.2f}" for what in (16, 64)]
        lines.append(f"| {dtype} | " + " | ".join(figures) + " |")
    return lines


def main():
    parser = options(__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement (default 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        load, rounds = Load(sentences(arguments), Path(folder)), []
        for i in range(arguments.repeats):
            rounds.append(measure(arguments, load))
            print(f"round {i + 1} of {arguments.repeats}: {rounds[-1]}", file=sys.stderr)
    write_section("serving", tables(rounds), arguments.dry_run)


main()
