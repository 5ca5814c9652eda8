"""The server as its users meet it: $SIMBERT (default build/simbert), started on a free port with a data directory of its
own.

Tests only talk HTTP, read the log, and send signals."""
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent.parent
SIMBERT = Path(os.environ.get("SIMBERT", ROOT / "build" / "simbert")).resolve()
MODEL = "simbert-small-zh"
MODEL_DIR = ROOT / "models" / MODEL
TINY_DIR = ROOT / "tests" / "golden" / "models" / "tiny-bert"
# Options that the tester's shell may hold would change what is tested.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SIMBERT_")}
# Sanitizers keep shadows of all memory, and what was freed.
SANITIZED = any(word in SIMBERT.read_bytes() for word in (b"__asan_", b"__tsan_")) if SIMBERT.exists() else False
START_LIMIT, STOP_LIMIT = 60, 60  # seconds; sanitizers make everything several times slower


class Server:
    """A running server. Its log goes to a file, so that a full pipe can not stop it."""

    def __init__(self, folder, *arguments, models=((None, MODEL_DIR), ("tiny", TINY_DIR)), port=0,
                 environment=None):
        self.log_path = Path(folder) / f"log-{time.monotonic_ns()}"
        command = [SIMBERT, "serve", "--host", "127.0.0.1", "--port", str(port), "--data", str(Path(folder) / "data")]
        for name, directory in models:
            command += ["--model", f"{name}={directory}" if name else str(directory)]
        command += [str(argument) for argument in arguments]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env={**ENVIRONMENT, **(environment or {})},
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.session = requests.Session()
        self.url = self._wait()

    def _wait(self):
        end = time.monotonic() + START_LIMIT
        while time.monotonic() < end:
            found = re.search(r"listening on (http://\S+)", self.log())
            if found:
                return found.group(1)
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            time.sleep(0.01)
        self.process.kill()
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)

    def request(self, method, path, **options):
        options.setdefault("timeout", 120)
        return self.session.request(method, self.url + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body, **options):
        return self.request("POST", path, json=body, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, json=body if body is not None else {}, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def metric(self, name):
        """The value of a metric without or with labels, as its line begins."""
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        raise KeyError(name)

    def stop(self):
        """SIGTERM; returns the exit status, which is 0 unless something went wrong, a leak included."""
        self.session.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all tests that leave it as it was. It must still be alive at the end and stop cleanly."""
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    assert running.process.poll() is None, running.log()
    assert running.stop() == 0, running.log()


@pytest.fixture
def launch(tmp_path):
    """Starts servers with options of their own; those still running at the end must stop cleanly."""
    started = []

    def start(*arguments, **options):
        started.append(Server(options.pop("folder", tmp_path), *arguments, **options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            assert running.stop() == 0, running.log()


def read_safetensors(path):
    data = Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + size]), data[8 + size:]


def golden_vectors():
    """(text, ids, vector) of tests/golden/real for the default model, but for the empty text, which the server refuses."""
    folder = ROOT / "tests" / "golden" / "real"
    header, data = read_safetensors(folder / f"{MODEL}.safetensors")
    rows, width = header["vectors"]["shape"]
    with open(folder / f"{MODEL}.jsonl") as lines:
        texts = [json.loads(line) for line in lines]
    vectors = [struct.unpack_from(f"<{width}f", data, row * width * 4) for row in range(rows)]
    return [(text["text"], text["ids"], vector) for text, vector in zip(texts, vectors) if text["text"]]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


@pytest.fixture(scope="session")
def embedding_only(tmp_path_factory):
    """tiny-bert without its MLM head: it embeds, and can not write."""
    folder = tmp_path_factory.mktemp("models") / "no-head"
    folder.mkdir()
    header, data = read_safetensors(TINY_DIR / "model.safetensors")
    kept, blob = {}, b""
    for name, entry in header.items():
        if name == "__metadata__" or name.startswith("cls."):
            continue
        start, end = entry["data_offsets"]
        kept[name] = dict(entry, data_offsets=[len(blob), len(blob) + end - start])
        blob += data[start:end]
    text = json.dumps(kept).encode()
    text += b" " * (-len(text) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + blob)
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_bytes((TINY_DIR / name).read_bytes())
    return folder
