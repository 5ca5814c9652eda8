"""text-embeddings-inference's routes, their reply headers and their errors."""
import pytest

from conftest import MODEL, cosine, golden_vectors


def test_embed(server):
    golden = golden_vectors()[:8]
    reply = server.post("/embed", {"inputs": [text for text, _, _ in golden]})
    assert reply.status_code == 200
    for vector, (text, _, expected) in zip(reply.json(), golden):
        assert cosine(vector, expected) >= 0.99999, text


def test_one_input_gives_a_list_of_one(server):
    assert len(server.post("/embed", {"inputs": "怎么退货"}).json()) == 1


def test_normalize_false_gives_the_raw_vector(server):
    unit = server.post("/embed", {"inputs": "怎么退货"}).json()[0]
    raw = server.post("/embed", {"inputs": "怎么退货", "normalize": False}).json()[0]
    length = sum(x * x for x in raw) ** 0.5
    assert abs(length - 1) > 0.1
    assert [x / length for x in raw] == pytest.approx(unit, abs=1e-6)


def test_dimensions(server):
    assert len(server.post("/embed", {"inputs": "怎么退货", "dimensions": 7}).json()[0]) == 7


def test_token_ids(server):
    text, ids, expected = golden_vectors()[0]
    assert cosine(server.post("/embed", {"inputs": [ids]}).json()[0], expected) >= 0.99999


def test_truncation(server):
    long = "退" * 600
    reply = server.post("/embed", {"inputs": long, "truncate": False})
    assert reply.status_code == 422 and reply.json()["error_type"] == "Validation"
    assert "602" in reply.json()["error"] and "512" in reply.json()["error"]
    right = server.post("/embed", {"inputs": "货" + long, "truncate": True})
    left = server.post("/embed", {"inputs": "货" + long, "truncate": True, "truncation_direction": "Left"})
    kept = server.post("/embed", {"inputs": ["货" + "退" * 509, "退" * 510]}).json()
    assert right.json() == [kept[0]] and left.json() == [kept[1]]


def test_headers(server):
    reply = server.post("/embed", {"inputs": "怎么退货"})
    for name in ("x-compute-time", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert int(reply.headers[name]) >= 0
    assert reply.headers["x-compute-tokens"] == "6" and reply.headers["x-compute-characters"] == "4"


def test_similarity(server):
    reply = server.post("/similarity", {"inputs": {"source_sentence": "怎么退货", "sentences": ["如何退货", "今天天气不错"]}})
    close, far = reply.json()
    assert close > 0.8 > far
    vectors = server.post("/embed", {"inputs": ["怎么退货", "如何退货"]}).json()
    assert close == pytest.approx(cosine(*vectors), abs=1e-5)


def test_rerank(server):
    body = {"query": "怎么退货", "texts": ["今天天气不错", "如何退货", "退款要几天"], "return_text": True}
    reply = server.post("/rerank", body).json()
    assert [item["index"] for item in reply] == [1, 2, 0]
    assert reply[0]["text"] == "如何退货"
    scores = [item["score"] for item in reply]
    assert scores == sorted(scores, reverse=True)
    assert "text" not in server.post("/rerank", dict(body, return_text=False)).json()[0]


def test_cohere_rerank(server):
    body = {"model": MODEL, "query": "怎么退货", "documents": ["今天天气不错", "如何退货"], "top_n": 1, "return_documents": True}
    reply = server.post("/v1/rerank", body).json()
    assert reply["object"] == "rerank" and reply["model"] == MODEL and reply["usage"]["total_tokens"] > 0
    (best,) = reply["results"]
    assert best["index"] == 1 and best["document"] == {"text": "如何退货"} and best["relevance_score"] > 0.8


def test_tokenize_and_decode(server):
    text, ids, _ = golden_vectors()[0]
    (tokens,) = server.post("/tokenize", {"inputs": text}).json()
    assert [token["id"] for token in tokens] == ids
    assert tokens[0]["special"] and tokens[0]["text"] == "[CLS]" and tokens[0]["start"] is None
    for token in tokens[1:-1]:
        assert not token["special"] and text[token["start"]:token["stop"]] == token["text"]
    (bare,) = server.post("/tokenize", {"inputs": [text], "add_special_tokens": False}).json()
    assert bare == tokens[1:-1]
    assert server.post("/decode", {"ids": ids}).json() == [text]
    assert server.post("/decode", {"ids": [ids, ids[:3]]}).json() == [text, text[:2]]
    (kept,) = server.post("/decode", {"ids": ids, "skip_special_tokens": False}).json()
    assert kept.startswith("[CLS]") and kept.endswith("[SEP]")


@pytest.mark.parametrize("path, body, status, kind", [
    ("/embed", {"inputs": []}, 400, "Empty"),
    ("/embed", {"inputs": ""}, 400, "Empty"),
    ("/embed", {}, 400, "Empty"),
    ("/embed", {"inputs": 3}, 422, "Validation"),
    ("/embed", {"inputs": "x", "truncation_direction": "up"}, 422, "Validation"),
    ("/embed", {"inputs": "x", "normalize": 1}, 422, "Validation"),
    ("/embed", {"inputs": [[1, 99999999]]}, 422, "Validation"),
    ("/embed", {"inputs": "x", "model": "nope"}, 404, "Validation"),
    ("/rerank", {"texts": ["a"]}, 400, "Empty"),
    ("/rerank", {"query": "q", "texts": []}, 400, "Empty"),
    ("/similarity", {"inputs": ["a", "b"]}, 422, "Validation"),
    ("/similarity", {"inputs": {"source_sentence": "a", "sentences": []}}, 400, "Empty"),
    ("/tokenize", {"inputs": [1]}, 422, "Validation"),
    ("/decode", {"ids": [-1]}, 422, "Validation"),
    ("/decode", {"ids": [1.5]}, 422, "Validation"),
    ("/decode", {"ids": "x"}, 422, "Validation"),
    ("/decode", {}, 422, "Validation"),
])
def test_errors(server, path, body, status, kind):
    reply = server.post(path, body)
    assert (reply.status_code, reply.json()["error_type"]) == (status, kind), reply.text
    assert isinstance(reply.json()["error"], str) and set(reply.json()) == {"error", "error_type"}
