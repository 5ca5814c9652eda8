"""A collection changes to another model: its old vectors answer until all are made anew, also after a restart."""
import shutil
import time

import pytest

from conftest import MODEL, TINY_DIR

TEXTS = [f"第{i}句话，怎么退货" for i in range(60)]


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def fill(server, path, model):
    assert server.put(path, {"model": model}).status_code == 201
    body = {"sentences": [{"id": str(i), "text": text} for i, text in enumerate(TEXTS)]}
    assert server.post(path + "/sentences", body).status_code == 200


def nearest(server, path):
    reply = server.post(path + "/similar", {"query": TEXTS[:5], "top_k": 1})
    assert reply.status_code == 200, reply.text
    return [item["matches"][0]["id"] for item in reply.json()["data"]]


def test_by_hand(server):
    path = "/v1/collections/moves"
    fill(server, path, MODEL)
    before = server.get(path).json()
    reply = server.post(path + "/reembed", {"model": "tiny"})
    assert reply.status_code == 202 and reply.json()["state"] in ("running", "none", "cleaning")
    wait_for(lambda: (nearest(server, path), server.get(path).json()["model"])[1] == "tiny")
    after = server.get(path).json()
    assert after["count"] == before["count"] and after["dimensions"] != before["dimensions"]
    assert nearest(server, path) == ["0", "1", "2", "3", "4"]
    wait_for(lambda: server.get(path + "/reembed").json() == {"state": "none"})
    assert "reembedding" not in server.get(path).json()
    assert server.post(path + "/reembed", {"model": "tiny"}).status_code == 409
    assert server.post(path + "/reembed", {"model": "none"}).status_code == 404
    assert server.post("/v1/collections/none/reembed", {"model": "tiny"}).status_code == 404
    server.delete(path)


def changed_copy(tmp_path):
    """The tiny model with other weights."""
    folder = tmp_path / "changed"
    shutil.copytree(TINY_DIR, folder)
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0x01 if data[-1] else 0x3c
    weights.write_bytes(data)
    return folder


def test_changed_weights_begin_by_themselves(launch, tmp_path):
    path = "/v1/collections/kept"
    first = launch(models=(("m", TINY_DIR),))
    fill(first, path, "m")
    assert first.stop() == 0
    second = launch(models=(("m", changed_copy(tmp_path)),))
    wait_for(lambda: server_is_done(second, path))
    assert nearest(second, path) == ["0", "1", "2", "3", "4"]
    assert second.metric('simbert_collection_stale_vectors{collection="kept"}') == 0
    assert "has changed" in second.log() and "answers now" in second.log()


def server_is_done(server, path):
    reply = server.post(path + "/similar", {"query": "x"})
    if reply.status_code == 409:
        assert "until then only mode" in reply.text or "has changed since" in reply.text
        words = server.post(path + "/similar", {"query": TEXTS[7], "mode": "lexical", "top_k": 1})
        assert words.json()["data"][0]["matches"][0]["id"] == "7"
    return reply.status_code == 200


def test_the_old_model_answers_meanwhile(launch, tmp_path):
    """Both are loaded: there is no moment without an answer."""
    path = "/v1/collections/both"
    first = launch(models=(("m", TINY_DIR),))
    fill(first, path, "m")
    assert first.stop() == 0
    second = launch(models=(("m", changed_copy(tmp_path)), ("old", TINY_DIR)))
    end = time.monotonic() + 60
    while "answers now" not in second.log() and time.monotonic() < end:
        assert nearest(second, path) == ["0", "1", "2", "3", "4"]
    assert "answers now" in second.log()
    assert nearest(second, path) == ["0", "1", "2", "3", "4"]
