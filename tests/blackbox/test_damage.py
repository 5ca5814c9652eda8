"""What can happen to the data directory: a full disk, a damaged page, a second server, a removed cache."""
import json
import os
import shutil

import pytest

import conftest


def lines(count):
    return "".join(json.dumps({"id": f"s{i}", "text": f"第{i}句话", "metadata": {"n": i}}) + "\n"
                   for i in range(count)).encode()


def count(server):
    return server.get("/v1/collections/c/count").json()["count"]


def test_a_disk_that_fills_up(launch, tmp_path, monkeypatch):
    """Files may grow to 2 MB only: the import ends with 507 and says how far it came, and that is what is there."""
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nexec env --ignore-signal=XFSZ prlimit --fsize=2000000 "{conftest.SIMBERT}" "$@"\n')
    limited.chmod(0o755)
    monkeypatch.setattr(conftest, "SIMBERT", limited)
    server = launch(models=(("tiny", conftest.TINY_DIR),))
    server.put("/v1/collections/c", {"vectors": "f32"})
    reply = server.request("PUT", "/v1/collections/c/sentences", data=lines(20000))
    assert reply.status_code == 507, reply.text
    stored = reply.json()["lines"]
    assert 0 < stored < 20000 and f"{stored} lines are stored" in reply.json()["error"]["message"]
    assert "simbert.db" in reply.json()["error"]["message"]
    assert count(server) == stored
    reply = server.post("/v1/collections/c/similar", {"query": "第7句话", "mode": "lexical"})
    assert reply.json()["data"][0]["matches"][0]["id"] == "s7"
    server.stop()
    monkeypatch.undo()
    again = launch(models=(("tiny", conftest.TINY_DIR),))
    assert count(again) == stored
    assert again.request("PUT", "/v1/collections/c/sentences", data=lines(3000)).status_code == 200


def test_a_damaged_page(launch, tmp_path):
    server = launch(models=(("tiny", conftest.TINY_DIR),))
    server.put("/v1/collections/c")
    server.request("PUT", "/v1/collections/c/sentences", data=lines(3000))
    assert server.stop() == 0
    path = tmp_path / "data" / "simbert.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle:middle + 4096] = os.urandom(4096)
    path.write_bytes(data)
    with pytest.raises(RuntimeError, match="simbert.db"):
        launch(models=(("tiny", conftest.TINY_DIR),))


def test_a_second_server(launch):
    first = launch(models=(("tiny", conftest.TINY_DIR),))
    with pytest.raises(RuntimeError, match="another simbert process"):
        launch(models=(("tiny", conftest.TINY_DIR),))
    assert first.get("/health").status_code == 200


def test_a_removed_cache(launch, tmp_path):
    first = launch(models=(("tiny", conftest.TINY_DIR),))
    first.put("/v1/collections/c")
    first.request("PUT", "/v1/collections/c/sentences", data=lines(300))
    first.post("/v1/collections/c/similar", {"query": "第7句话"})
    assert first.stop() == 0
    shutil.rmtree(tmp_path / "data" / "ann", ignore_errors=True)
    second = launch(models=(("tiny", conftest.TINY_DIR),))
    reply = second.post("/v1/collections/c/similar", {"query": "第7句话", "top_k": 1})
    assert reply.json()["data"][0]["matches"][0]["id"] == "s7"
