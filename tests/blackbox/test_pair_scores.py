"""Models with a pair head: what the softmax loss has taught scores pairs, over HTTP and in collections."""
import json
import math
import struct

import pytest

from conftest import TINY_DIR, Server, read_safetensors
from test_cli import simbert
from test_finetune_recipes import data, one, train  # data is a fixture

SENTENCES = {"a": "天地", "b": "人国家", "c": "学时心", "d": "好吗天", "e": "我你他"}
QUERY = "我天"


@pytest.fixture(scope="module")
def heads(data, tmp_path_factory):
    """Model folders: a head of labelled pairs, and one of NLI."""
    made = {}
    for name, file in (("pairs", "labelled.tsv"), ("nli", "nli.tsv")):
        folder = tmp_path_factory.mktemp(name)
        train(data, folder, {"objectives": one("softmax", file)})
        made[name] = folder / "out"
    return made


@pytest.fixture(scope="module")
def running(heads, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), models=tuple(heads.items()))
    yield server
    assert server.stop() == 0, server.log()


def kernel_of(folder):
    header, blob = read_safetensors(folder / "model.safetensors")
    entry = header["classifier.weight"]
    (classes, width), (start, end) = entry["shape"], entry["data_offsets"]
    numbers = struct.unpack(f"<{classes * width}f", blob[start:end])
    return [numbers[i * width:(i + 1) * width] for i in range(classes)]


def expected(server, folder, name, texts):
    """P(same) of the query and each text, from vectors before normalisation."""
    u, *others = server.post("/embed", {"inputs": [QUERY, *texts], "normalize": False, "model": name}).json()
    kernel, (first, count, same) = kernel_of(folder), {"pairs": (0, 2, 1), "nli": (2, 3, 2)}[name]
    for v in others:
        features = [*u, *v, *(abs(x - y) for x, y in zip(u, v))]
        logits = [sum(k * f for k, f in zip(kernel[c], features)) for c in range(first, first + count)]
        yield math.exp(logits[same - first]) / sum(map(math.exp, logits))


@pytest.mark.parametrize("name", ["pairs", "nli"])
def test_rerank_scores_pairs(running, heads, name):
    texts = list(SENTENCES.values())
    scores = list(expected(running, heads[name], name, texts))
    assert max(scores) - min(scores) > 1e-3
    body = {"query": QUERY, "texts": texts, "model": name}
    reply = running.post("/rerank", body).json()
    order = sorted(range(len(texts)), key=lambda i: -scores[i])
    assert [item["index"] for item in reply] == order
    assert [item["score"] for item in reply] == pytest.approx([scores[i] for i in order], abs=2e-5)
    raw = running.post("/rerank", dict(body, raw_scores=True)).json()
    assert [item["score"] for item in raw] == pytest.approx(
        [math.log(scores[i] / (1 - scores[i])) for i in order], abs=1e-3)
    body = {"query": QUERY, "documents": texts, "model": name, "top_n": 2}
    reply = running.post("/v1/rerank", body).json()
    assert [item["index"] for item in reply["results"]] == order[:2]
    assert [item["relevance_score"] for item in reply["results"]] == pytest.approx(
        [scores[i] for i in order[:2]], abs=2e-5)


@pytest.fixture(scope="module")
def path(running):
    path = "/v1/collections/scored"
    assert running.put(path, {"model": "pairs"}).status_code == 201
    sentences = [{"id": id, "text": text} for id, text in SENTENCES.items()] + [{"id": "q", "text": QUERY}]
    assert running.post(path + "/sentences", {"sentences": sentences}).status_code == 200
    return path


def ranked(running, path, **body):
    reply = running.post(path + "/similar", {"rerank": True, **body})
    assert reply.status_code == 200, reply.text
    return [{match["id"]: match["score"] for match in item["matches"]} for item in reply.json()["data"]]


def test_collections_rerank_by_pairs(running, heads, path):
    scores = dict(zip([*SENTENCES, "q"], expected(running, heads["pairs"], "pairs", [*SENTENCES.values(), QUERY])))
    (item,) = ranked(running, path, query=QUERY, top_k=3)
    assert list(item) == sorted(scores, key=lambda id: -scores[id])[:3]
    assert item == pytest.approx({id: scores[id] for id in item}, abs=2e-5)
    both = ranked(running, path, query=[QUERY, SENTENCES["a"]], top_k=100)
    assert len(both) == 2 and both[0] == pytest.approx(scores, abs=2e-5)
    del scores["q"]
    (by_id,) = ranked(running, path, id="q", top_k=100)
    assert by_id == pytest.approx(scores, abs=2e-5)
    low = sorted(scores.values())[2]
    (few,) = ranked(running, path, id="q", top_k=100, min_score=low - 1e-4)
    assert set(few) == {id for id, score in scores.items() if score >= low}


@pytest.mark.parametrize("mode", ["lexical", "hybrid"])
def test_other_modes_rerank_by_pairs(running, heads, path, mode):
    texts = dict(SENTENCES, q=QUERY)
    (item,) = ranked(running, path, query=QUERY, top_k=100, mode=mode)
    assert item and list(item.values()) == sorted(item.values(), reverse=True)
    scores = expected(running, heads["pairs"], "pairs", [texts[id] for id in item])
    assert list(item.values()) == pytest.approx(list(scores), abs=2e-5)


def test_vectors_have_no_text_to_score(running, path):
    vector = running.post("/embed", {"inputs": QUERY, "model": "pairs"}).json()[0]
    (item,), (cosines,) = (ranked(running, path, vector=vector, rerank=rerank) for rerank in (True, False))
    assert item == cosines and item["q"] == pytest.approx(1, abs=1e-4)


def test_inspect_tells_of_the_head(heads):
    assert "learned from labelled pairs" in simbert("inspect", heads["pairs"])[0]
    assert "learned from NLI" in simbert("inspect", heads["nli"])[0]
    assert json.loads((heads["nli"] / "config.json").read_text(encoding="utf-8"))["pair_head"] == "nli"
    told = json.loads(simbert("inspect", "--json", heads["pairs"])[0])
    assert {tensor["name"]: tensor["use"] for tensor in told["tensors"]}["classifier.weight"] == "used"


def test_whitened_vectors_have_no_head(data, tmp_path):
    train(data, tmp_path, {"objectives": one("softmax", "labelled.tsv"), "whiten": {"dimensions": 8}})
    assert "pair_head" not in json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert "pair_head" not in json.loads((TINY_DIR / "config.json").read_text(encoding="utf-8"))
