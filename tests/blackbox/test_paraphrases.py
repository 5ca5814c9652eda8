"""/v1/paraphrases, whole and as a stream, and /gen_synonyms."""
import json
import time

import pytest

from conftest import MODEL, cosine

TEXT = "怎么申请退货？"


def write(server, **body):
    reply = server.post("/v1/paraphrases", dict({"input": TEXT, "seed": 7}, **body))
    assert reply.status_code == 200, reply.text
    return reply.json()


def candidates(server, **body):
    (item,) = write(server, **body)["data"]
    return item["candidates"]


def plain(text):
    return text.strip("？?。.！! ").lower()


def test_shape(server):
    reply = write(server, n=5)
    assert reply["object"] == "list" and reply["model"] == MODEL
    usage = reply["usage"]
    assert usage["prompt_tokens"] == 9 and usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    (item,) = reply["data"]
    assert item["index"] == 0 and 1 <= len(item["candidates"]) <= 5
    for candidate in item["candidates"]:
        assert set(candidate) == {"text", "similarity", "logprob", "edit_distance", "finish_reason"}
        assert candidate["finish_reason"] in ("stop", "length") and candidate["logprob"] < 0


def test_no_copies_no_duplicates_best_first(server):
    found = candidates(server, n=20)
    texts = [plain(candidate["text"]) for candidate in found]
    assert plain(TEXT) not in texts and len(set(texts)) == len(texts) >= 5
    similarities = [candidate["similarity"] for candidate in found]
    assert similarities == sorted(similarities, reverse=True)


def test_similarity_is_the_cosine_of_the_embeddings(server):
    found = candidates(server, n=3)
    texts = [TEXT] + [candidate["text"] for candidate in found]
    vectors = [item["embedding"] for item in server.post("/v1/embeddings", {"input": texts}).json()["data"]]
    for candidate, vector in zip(found, vectors[1:]):
        assert candidate["similarity"] == pytest.approx(cosine(vectors[0], vector), abs=1e-4)


def test_seed_makes_it_reproducible_whatever_else_runs(server):
    alone = candidates(server, n=5)
    together = write(server, input=["今天天气不错", TEXT, "花呗怎么还款"], n=5)["data"]
    assert candidates(server, n=5) == alone
    assert together[1]["candidates"] == alone
    assert candidates(server, n=5, seed=8) != alone


def test_filters(server):
    for candidate in candidates(server, min_similarity=0.9, max_similarity=0.97, min_edit_distance=2):
        assert 0.9 <= candidate["similarity"] <= 0.97 and candidate["edit_distance"] >= 2


def test_bad_words_and_force_words(server):
    assert all("申" not in candidate["text"] for candidate in candidates(server, bad_words=["申"]))
    forced = candidates(server, num_beams=4, do_sample=False, force_words=["如何"])
    assert forced and all("如何" in candidate["text"] for candidate in forced)


@pytest.mark.parametrize("options", [
    {"num_beams": 4},
    {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0},
    {"num_beams": 4, "length_penalty": 0.5, "early_stopping": "never", "no_repeat_ngram_size": 2},
    {"do_sample": True, "top_k": 0, "top_p": 0.9, "temperature": 0.8, "num_candidates": 20, "repetition_penalty": 1.2},
    {"mask": [[2, 4]], "num_candidates": 20},
    {"min_new_tokens": 3, "max_new_tokens": 6, "num_candidates": 20},
    {"rerank": False, "drop_copies": False, "num_candidates": 20},
])
def test_options(server, options):
    assert candidates(server, **options)


def events(server, body):
    with server.post("/v1/paraphrases", dict(body, stream=True), stream=True) as reply:
        assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream")
        for line in reply.iter_lines():
            if line:
                assert line.startswith(b"data: ")
                yield line[6:].decode()


def test_stream(server):
    body = {"input": TEXT, "seed": 7, "n": 100, "num_candidates": 100}
    found = list(events(server, body))
    assert found[-1] == "[DONE]"
    streamed = [json.loads(event) for event in found[:-1]]
    assert all(event["index"] == 0 for event in streamed)
    whole = candidates(server, n=100, num_candidates=100)
    assert sorted(event["candidate"]["text"] for event in streamed)
    assert {plain(event["candidate"]["text"]) for event in streamed} == {plain(candidate["text"]) for candidate in whole}


def test_stream_comes_as_it_is_written(server):
    start = time.monotonic()
    stream = events(server, {"input": [TEXT] * 8, "num_candidates": 60, "n": 10})
    next(stream)
    first = time.monotonic() - start
    for _ in stream:
        pass
    assert first < 0.7 * (time.monotonic() - start)


def test_gen_synonyms(server):
    reply = server.get("/gen_synonyms", params={"text": TEXT, "n": 50, "k": 3})
    assert reply.status_code == 200
    body = reply.json()
    assert body["code"] == 0 and body["desc"] == "succeeded" and 1 <= len(body["data"]) <= 3
    assert all(isinstance(text, str) and plain(text) != plain(TEXT) for text in body["data"])


@pytest.mark.parametrize("parameters", [{}, {"text": ""}, {"text": TEXT, "n": "x"}, {"text": TEXT, "k": "-1"},
                                        {"text": TEXT, "n": "100000"}])
def test_gen_synonyms_errors(server, parameters):
    reply = server.get("/gen_synonyms", params=parameters)
    assert reply.status_code == 400
    assert reply.json()["code"] != 0 and reply.json()["desc"] and reply.json()["data"] == []


@pytest.mark.parametrize("options, names", [
    ({"n": 0}, "n"), ({"n": 21, "num_candidates": 20}, "num_candidates"), ({"num_candidates": 100000}, "num_candidates"),
    ({"num_beams": -1}, "num_beams"), ({"num_beams": 100000}, "num_beams"), ({"num_beams": 4, "num_beam_groups": 3}, "num_beam_groups"),
    ({"temperature": 0}, "temperature"), ({"temperature": -1}, "temperature"), ({"top_p": 1.5}, "top_p"), ({"top_k": -1}, "top_k"),
    ({"repetition_penalty": -1}, "repetition_penalty"), ({"max_new_tokens": 0}, "max_new_tokens"),
    ({"min_new_tokens": 9, "max_new_tokens": 3}, "min_new_tokens"), ({"early_stopping": "maybe"}, "early_stopping"),
    ({"seed": -1}, "seed"), ({"seed": 1.5}, "seed"), ({"mask": [[5]]}, "mask"), ({"mask": [[3, 1]]}, "mask"),
    ({"mask": [[0, 999]]}, "mask"), ({"bad_words": "x"}, "bad_words"), ({"bad_words": [1]}, "bad_words"),
    ({"force_words": [""], "num_beams": 4}, "force_words"), ({"stream": 1}, "stream"), ({"min_similarity": 2}, "min_similarity"),
    ({"min_edit_distance": -1}, "min_edit_distance"),
])
def test_bad_options(server, options, names):
    reply = server.post("/v1/paraphrases", dict({"input": TEXT}, **options))
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error" and names in error["message"]


def test_model_without_mlm_head(launch, embedding_only):
    server = launch(models=[("base", embedding_only)])
    reply = server.post("/v1/paraphrases", {"input": TEXT})
    assert reply.status_code == 400 and "base" in reply.json()["error"]["message"]
    assert server.get("/gen_synonyms", params={"text": TEXT}).status_code == 400
    assert server.post("/v1/embeddings", {"input": TEXT}).status_code == 200
    assert server.get("/v1/models/base").json()["can_paraphrase"] is False
