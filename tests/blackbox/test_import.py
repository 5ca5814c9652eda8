"""Import and export of collections as lines of JSON: streamed, in order, and what is told when something is wrong."""
import json
import signal
import socket
import subprocess
import threading
import time
import uuid

import pytest
import requests

WORDS = "怎么 退货 申请 退款 花呗 还款 今天 天气 密码 忘记 发票 物流 订单 取消 优惠 客服 时间 多久 到账 账户".split()


def line(i, **more):
    text = "".join(WORDS[(i * k + i // 7) % len(WORDS)] for k in (1, 3, 7)) + str(i)
    return json.dumps({"id": f"s{i}", "text": text, "metadata": {"n": i}, **more}, ensure_ascii=False)


def lines(count, first=0):
    return "".join(line(i) + "\n" for i in range(first, first + count)).encode()


@pytest.fixture
def path(server):
    path = f"/v1/collections/i-{uuid.uuid4().hex[:12]}"
    assert server.put(path, {"model": "tiny"}).status_code == 201
    yield path
    server.delete(path)


def count(server, path):
    return server.get(path + "/count").json()["count"]


def put(server, path, data, **options):
    return server.request("PUT", path + "/sentences", data=data, **options)


def exported(server, path, **parameters):
    reply = server.get(path + "/export", params=parameters)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(text) for text in reply.content.splitlines()]


def test_round_trip(server, path):
    """More lines than batches hold, in the order in which they came; the same twice is an update."""
    data = lines(1500)
    body = put(server, path, data).json()
    assert (body["object"], body["lines"], body["inserted"], body["updated"]) == ("import", 1500, 1500, 0)
    assert body["usage"]["total_tokens"] > 1500
    assert exported(server, path) == [json.loads(text) for text in data.splitlines()]
    body = put(server, path, data).json()
    assert (body["inserted"], body["updated"]) == (0, 1500) and count(server, path) == 1500
    other = f"/v1/collections/o-{uuid.uuid4().hex[:12]}"
    server.put(other, {"model": "tiny"})
    assert put(server, other, server.get(path + "/export").content).json()["inserted"] == 1500
    assert exported(server, other) == exported(server, path)
    server.delete(other)


def test_the_vectors_are_those_of_upsert(server, path):
    server.request("POST", path + "/sentences", json={"sentences": [json.loads(line(0))]})
    assert put(server, path, lines(3, 1)).status_code == 200
    texts = [json.loads(line(i))["text"] for i in range(4)]
    for i, item in enumerate(server.post(path + "/similar", {"query": texts, "top_k": 1}).json()["data"]):
        assert item["matches"][0]["id"] == f"s{i}" and item["matches"][0]["score"] == pytest.approx(1, abs=1e-3)
    rows = exported(server, path, vectors="true")
    expected = server.post("/v1/embeddings", {"input": texts, "model": "tiny", "encoding_format": "float"}).json()["data"]
    for row, item in zip(rows, expected):
        assert row["vector"] == pytest.approx(item["embedding"], abs=1e-3)


@pytest.mark.parametrize("type", ["application/x-ndjson", "application/jsonl; charset=utf-8"])
def test_post_of_json_lines(server, path, type):
    reply = server.request("POST", path + "/sentences", data=lines(10), headers={"content-type": type})
    assert reply.json()["inserted"] == 10


def test_curl_and_chunks(server, path, tmp_path):
    (tmp_path / "file.ndjson").write_bytes(lines(600))
    out = subprocess.run(["curl", "-sS", "-T", tmp_path / "file.ndjson", server.url + path + "/sentences"],
                         capture_output=True, check=True)
    assert json.loads(out.stdout)["lines"] == 600
    chunks = (lines(40, 600 + 40 * i) for i in range(10))
    assert put(server, path, chunks).json()["inserted"] == 400
    assert count(server, path) == 1000


@pytest.mark.parametrize("data, read, stored", [
    (b"", 0, 0), (b"\n\r\n  \n", 3, 0), (line(1).encode(), 1, 1), (line(1).encode() + b"\r\n\n", 2, 1),
    (lines(2) + b"\n" + lines(1, 2), 4, 3), (lines(3) + lines(3), 6, 3), (lines(256) + lines(1, 256), 257, 257),
])
def test_odd_ends_and_repeated_ids(server, path, data, read, stored):
    body = put(server, path, data).json()
    assert body["lines"] == read and count(server, path) == stored


def test_the_later_of_two_lines_counts(server, path):
    data = b"".join(json.dumps({"id": "x", "text": f"第{i}个"}).encode() + b"\n" for i in range(20))
    body = put(server, path, data).json()
    assert (body["inserted"], body["updated"]) == (1, 19)
    assert server.get(path + "/sentences/x").json()["text"] == "第19个"


@pytest.mark.parametrize("bad, says", [
    (b"{", "line 701"), (b"[1]", "line 701 is not an object"), (b'{"id":"a"}', "line 701 has no text"),
    (b'{"text":"a"}', "line 701 has no id"), (b'{"id":"a","text":"b","metadata":[]}', "metadata is not an object"),
    (b'{"id":"a","text":"\xff"}', "line 701"), (b'{"id":1,"text":"b"}', "line 701"), (b'{"id":"","text":"b"}', "no id"),
])
def test_a_bad_line_is_named_and_those_before_it_stay(server, path, bad, says):
    reply = put(server, path, lines(700) + bad + b"\n" + lines(500, 800))
    assert reply.status_code == 400, reply.text
    body = reply.json()
    assert says in body["error"]["message"] and "700 lines are stored" in body["error"]["message"]
    assert body["lines"] == 700 and body["inserted"] == 700 and count(server, path) == 700


@pytest.mark.parametrize("id", ["a\nb", "i" * 513, "i" * 10240])
def test_ids_that_can_not_be(server, path, id):
    """The batch with such an id is refused whole; those before it stay."""
    reply = put(server, path, lines(256) + json.dumps({"id": id, "text": "x"}).encode())
    assert reply.status_code == 400 and reply.json()["lines"] == 256 and count(server, path) == 256


def test_limits(server, path):
    assert put(server, path, b'{"id":"a","text":"' + b"x" * (9 << 20) + b'"}').status_code == 413
    huge = json.dumps({"id": "a", "text": "x", "metadata": {"m": "y" * 70000}}).encode()
    assert put(server, path, huge).status_code == 400
    assert count(server, path) == 0


def test_unknown_collection(server):
    assert put(server, "/v1/collections/none", lines(10)).status_code == 404
    assert server.get("/v1/collections/none/export").status_code == 404


def open_import(server, path, data, length):
    """A connection that has sent the head and some of the body."""
    connection = socket.create_connection(server.address)
    head = f"PUT {path}/sentences HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    connection.sendall(head.encode() + data)
    return connection


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.02)
    assert condition()


def test_a_client_that_goes_away(server, path):
    """What was stored stays, it is a prefix, and the server goes on."""
    data = lines(20000)
    connection = open_import(server, path, data[:1 << 20], len(data))
    wait_for(lambda: count(server, path) > 0)
    connection.close()
    wait_for(lambda: server.metric("simbert_jobs_running") == 0)
    time.sleep(0.3)
    stored = exported(server, path)
    assert 0 < len(stored) < 20000 and [item["id"] for item in stored] == [f"s{i}" for i in range(len(stored))]
    assert put(server, path, lines(300)).json()["lines"] == 300


def test_searches_while_it_runs(server, path):
    done = []
    thread = threading.Thread(target=lambda: done.append(put(server, path, lines(2000), timeout=600).json()))
    thread.start()
    slowest = 0
    while thread.is_alive():
        start = time.monotonic()
        reply = requests.post(server.url + path + "/similar", json={"query": "怎么退货", "mode": "hybrid"}, timeout=60)
        slowest = max(slowest, time.monotonic() - start)
        assert reply.status_code == 200
    thread.join()
    assert done[0]["inserted"] == 2000 and slowest < 60


def test_imports_are_limited(server, path):
    slow = [open_import(server, path, lines(6000)[:400000], 1 << 30) for _ in range(4)]
    wait_for(lambda: count(server, path) > 0)
    time.sleep(0.5)
    reply = put(server, path, lines(3000))
    for connection in slow:
        connection.close()
    assert reply.status_code == 429 and reply.headers["retry-after"]
    wait_for(lambda: put(server, path, lines(1)).status_code == 200)


def test_stopping_ends_an_import_with_an_answer(launch):
    running = launch()
    path = "/v1/collections/stopped"
    running.put(path, {"model": "tiny"})
    data = lines(100000)
    connection = open_import(running, path, data[:1 << 20], 1 << 30)
    wait_for(lambda: count(running, path) > 0)
    running.process.send_signal(signal.SIGTERM)
    connection.settimeout(30)
    try:
        for _ in range(100):
            connection.sendall(data[:1 << 20])
    except OSError:
        pass
    connection.close()
    assert running.process.wait(60) == 0, running.log()


def test_killed_in_the_middle(launch):
    first = launch()
    path = "/v1/collections/killed"
    first.put(path, {"model": "tiny"})
    data = lines(20000)
    connection = open_import(first, path, data[:1 << 20], len(data))
    wait_for(lambda: count(first, path) > 500)
    before = count(first, path)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    connection.close()
    second = launch()
    stored = exported(second, path)
    assert len(stored) >= before and len(stored) % 256 == 0
    assert stored == [json.loads(line(i)) for i in range(len(stored))]


def test_export_through_a_filter(server, path):
    put(server, path, lines(1200))
    rows = exported(server, path, filter=json.dumps({"n": {"gte": 1100, "lt": 1103}}))
    assert [row["id"] for row in rows] == ["s1100", "s1101", "s1102"]
    assert exported(server, path, filter=json.dumps({"n": -1})) == []
    for bad in ({"filter": "{"}, {"filter": "[]"}, {"vectors": "yes"}):
        assert server.get(path + "/export", params=bad).status_code == 400


def test_export_while_pages_are_deleted(server, path):
    put(server, path, lines(3000))
    reply = server.get(path + "/export", stream=True)
    texts = reply.iter_lines()
    first = next(texts)
    server.post(path + "/delete", {"filter": {"n": {"gte": 400, "lt": 800}}})
    rest = [json.loads(text)["metadata"]["n"] for text in texts]
    seen = [json.loads(first)["metadata"]["n"]] + rest
    assert seen == sorted(set(seen)) and set(seen) >= set(range(400)) | set(range(1300, 3000))


def test_export_to_a_client_that_goes_away(launch):
    running = launch()
    path = "/v1/collections/large"
    running.put(path, {"model": "tiny"})
    put(running, path, lines(6000))
    for _ in range(5):
        connection = socket.create_connection(running.address)
        connection.sendall(f"GET {path}/export HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        connection.recv(1000)
        connection.close()
    assert count(running, path) == 6000
    assert running.stop() == 0, running.log()
