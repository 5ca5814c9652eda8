"""The process: start and stop, what stops it from starting; slow and vanishing clients, deadlines, a full queue."""
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from conftest import ENVIRONMENT, MODEL_DIR, ROOT, SIMBERT, TINY_DIR

LONG = {"input": ["怎么申请退货？"] * 16, "num_candidates": 300, "n": 10, "max_new_tokens": 64}  # many seconds


def refuses(*arguments, timeout=30):
    """Starts a server that can not start; returns what it says."""
    done = subprocess.run([SIMBERT, "serve", *map(str, arguments)], cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=timeout)
    assert done.returncode not in (0, None) and done.returncode > 0, done.stderr
    return done.stderr.decode()


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def begin(server, body):
    """Posts from a thread of its own; the reply, or what went wrong, comes into the list."""
    result = []

    def run():
        try:
            result.append(requests.post(server.url + "/v1/paraphrases", json=body, timeout=600,
                                        headers={"x-request-timeout-ms": "600000"}))
        except requests.RequestException as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def refused(session, server):
    try:
        return session.get(server.url + "/health", timeout=5).status_code == 503
    except requests.ConnectionError:
        return True


def test_ready_quickly(launch):
    start = time.monotonic()
    launch()
    assert time.monotonic() - start < 20  # sanitizers included; the release build takes a fraction of a second


def test_stop_finishes_what_runs_and_refuses_what_is_new(launch):
    server = launch("--threads", 1)
    body = dict(LONG, input=LONG["input"][:4], num_candidates=100)
    thread, result = begin(server, body)
    wait_until(lambda: server.metric("simbert_jobs_running") > 0)
    with requests.Session() as kept:  # a connection that stood before the signal, as a new one is refused by then
        assert kept.get(server.url + "/health").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "finishing" in server.log())
        wait_until(lambda: refused(kept, server))
    thread.join()
    assert result[0].status_code == 200 and len(result[0].json()["data"]) == 4
    assert server.process.wait(60) == 0
    assert "stopped" in server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_when_idle(launch, number):
    server = launch()
    server.process.send_signal(number)
    assert server.process.wait(30) == 0


def test_stop_amid_many_requests(launch):
    """Every request is answered, refused, or its connection was never accepted: none hangs, none gets half a reply."""
    server = launch()
    results, going = [], True

    def client():
        while going:
            try:
                reply = requests.post(server.url + "/v1/embeddings", json={"input": ["怎么退货"] * 8, "model": "tiny"},
                                      timeout=60)
                results.append((reply.status_code, len(reply.json().get("data", [])) if reply.status_code == 200 else 8))
            except requests.ConnectionError:
                return

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(results) > 50)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    going = False
    for thread in threads:
        thread.join()
    assert set(results) <= {(200, 8), (503, 8)} and (200, 8) in results


def test_port_taken(launch, tmp_path):
    server = launch()
    said = refuses("--port", server.address[1], "--data", tmp_path / "other", "--model", TINY_DIR)
    assert str(server.address[1]) in said and "taken" in said


def test_data_folder_in_use(launch, tmp_path):
    launch()
    assert "data" in refuses("--port", 0, "--data", tmp_path / "data", "--model", TINY_DIR)


def test_data_folder_not_writable(tmp_path):
    """A file where the folder should be: that holds for root too, whom no permission stops."""
    (tmp_path / "file").write_text("x")
    said = refuses("--port", 0, "--data", tmp_path / "file" / "data", "--model", TINY_DIR)
    assert str(tmp_path / "file") in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_data_folder_read_only(tmp_path):
    (tmp_path / "data").mkdir(mode=0o555)
    assert "data" in refuses("--port", 0, "--data", tmp_path / "data", "--model", TINY_DIR)


def test_wrong_options(tmp_path):
    good = ["--port", 0, "--data", tmp_path / "data"]
    assert "nowhere" in refuses(*good, "--model", "/nowhere")
    assert "twice" in refuses(*good, "--model", f"twice={TINY_DIR}", "--model", f"twice={MODEL_DIR}")
    assert "host" in refuses(*good, "--model", TINY_DIR, "--host", "no such host")
    assert "70000" in refuses("--port", 70000, "--data", tmp_path / "data", "--model", TINY_DIR)
    assert "port" in refuses("--port", "x", "--data", tmp_path / "data", "--model", TINY_DIR)
    assert "--bogus" in refuses(*good, "--model", TINY_DIR, "--bogus")


def test_broken_model(tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_bytes((TINY_DIR / name).read_bytes())
    (folder / "model.safetensors").write_bytes((TINY_DIR / "model.safetensors").read_bytes()[:-1000])
    assert "model.safetensors" in refuses("--port", 0, "--data", tmp_path / "data", "--model", folder)


def test_deadline(launch):
    server = launch("--threads", 1)
    start = time.monotonic()
    reply = server.post("/v1/paraphrases", LONG, headers={"x-request-timeout-ms": "200"})
    assert reply.status_code == 504 and reply.json()["error"]["code"] == "deadline"
    assert time.monotonic() - start < 10
    assert server.metric("simbert_deadline_expired_total") > 0
    wait_until(lambda: server.metric("simbert_jobs_running") == 0)
    assert server.post("/embed", {"inputs": "x"}).status_code == 200
    assert server.post("/embed", {"inputs": ["怎么退货" * 100] * 2000}, headers={"x-request-timeout-ms": "50"}).status_code == 504


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", "99999999999"])
def test_bad_deadline(server, value):
    reply = server.post("/v1/embeddings", {"input": "x"}, headers={"x-request-timeout-ms": value})
    assert reply.status_code == 400 and "x-request-timeout-ms" in reply.json()["error"]["message"]


def test_full_queue(launch):
    server = launch("--threads", 1, "--max-queue", 1)
    work = [begin(server, dict(LONG, input=LONG["input"][0], num_candidates=40)) for _ in range(30)]
    for thread, _ in work:
        thread.join()
    replies = [result[0] for _, result in work]
    statuses = [reply.status_code for reply in replies]
    assert set(statuses) == {200, 429}
    for reply in replies:
        if reply.status_code == 429:
            assert int(reply.headers["retry-after"]) >= 1 and reply.json()["error"]["type"] == "rate_limit_error"
    assert server.post("/embed", {"inputs": "x"}).status_code == 200


def test_short_requests_are_not_stuck_behind_long_ones(launch):
    """Ten, one after the other, are answered while one long request keeps the only thread busy."""
    server = launch("--threads", 1)
    thread, result = begin(server, dict(LONG, input=LONG["input"][:8], num_candidates=100))
    wait_until(lambda: server.metric("simbert_jobs_running") > 0)
    for _ in range(10):
        assert server.post("/embed", {"inputs": "怎么退货"}).status_code == 200
    still_busy = not result
    thread.join()
    assert still_busy and result[0].status_code == 200


def send_head(server, body, length=None):
    connection = socket.create_connection(server.address, timeout=60)
    head = (f"POST /v1/paraphrases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n")
    connection.sendall(head.encode() + body)
    return connection


def test_vanished_client(launch):
    """Its work ends soon, nothing is kept."""
    server = launch("--threads", 1)
    for stream in (False, True):
        connection = send_head(server, json.dumps(dict(LONG, stream=stream)).encode())
        wait_until(lambda: server.metric("simbert_jobs_running") > 0)
        connection.close()
        wait_until(lambda: server.metric("simbert_jobs_running") == 0, 20)
    wait_until(lambda: server.metric("simbert_requests_active") <= 1)
    assert server.metric("simbert_generation_cache_bytes") == 0
    assert server.metric("simbert_cancelled_total") > 0


def test_client_that_vanishes_amid_its_body(server):
    for _ in range(20):
        send_head(server, b'{"input": "x', length=1000).close()
    assert server.get("/health").status_code == 200
    wait_until(lambda: server.metric("simbert_requests_active") <= 1)


def test_slow_client(launch):
    """One that sends a byte now and then is ended, and others do not wait for it."""
    server = launch("--receive-timeout-ms", 1000)
    connection = send_head(server, b'{"input"', length=1000)
    start, ended = time.monotonic(), False
    while time.monotonic() - start < 20 and not ended:
        time.sleep(0.2)
        assert server.get("/health").status_code == 200
        try:
            connection.sendall(b" ")
            connection.settimeout(0.01)
            ended = connection.recv(4096) is not None
        except TimeoutError:
            pass
        except OSError:
            ended = True
    assert ended
    connection.close()


def test_silent_client(launch):
    server = launch("--receive-timeout-ms", 1000)
    with socket.create_connection(server.address, timeout=20) as connection:
        assert connection.recv(1) == b""


def test_pipelined_and_kept_connections(server):
    request = b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"inputs": "x"}'
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(request * 5)
        got = b""
        while got.count(b"HTTP/1.1 200") < 5 or not got.endswith(b"]]"):
            piece = connection.recv(65536)
            assert piece
            got += piece


def test_memory_stays_flat(server):
    def work():
        for size in (1, 16, 128):
            assert server.post("/embed", {"inputs": ["怎么退货" * 5] * size, "model": "tiny"}).status_code == 200

    for _ in range(5):
        work()
    before = server.metric("process_resident_memory_bytes")
    for _ in range(10):
        work()
    assert server.metric("process_resident_memory_bytes") - before < 64 << 20
