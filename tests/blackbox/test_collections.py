"""Collections: create, upsert, similar, get, scroll, delete, and that what was acknowledged survives."""
import signal
import uuid

import pytest

from conftest import MODEL, cosine

SENTENCES = ["怎么退货", "如何申请退款", "花呗怎么还款", "今天天气不错", "明天会下雨吗", "密码忘了怎么办"]


@pytest.fixture
def name(server):
    name = f"c-{uuid.uuid4().hex[:12]}"
    assert server.put(f"/v1/collections/{name}").status_code == 201
    yield name
    server.delete(f"/v1/collections/{name}")


def fill(server, name, texts=SENTENCES):
    body = {"sentences": [{"id": str(i), "text": text, "metadata": {"n": i}} for i, text in enumerate(texts)]}
    reply = server.post(f"/v1/collections/{name}/sentences", body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_create_describe_list_drop(server):
    path = "/v1/collections/shop.faq_1-a"
    created = server.put(path)
    assert created.status_code == 201
    body = created.json()
    assert body["object"] == "collection" and body["name"] == "shop.faq_1-a" and body["model"] == MODEL
    assert body["dimensions"] == 512 and body["count"] == 0 and isinstance(body["created_at"], int)
    assert server.put(path).status_code == 200
    assert server.put(path, {"model": "tiny"}).status_code == 409
    assert server.get(path).json() == body
    assert body in server.get("/v1/collections").json()["data"]
    assert server.delete(path).json() == {"object": "collection", "name": "shop.faq_1-a", "deleted": True}
    assert server.get(path).status_code == 404 and server.delete(path).status_code == 404


def test_create_without_a_body(server):
    assert server.request("PUT", "/v1/collections/nobody").status_code == 201
    assert server.delete("/v1/collections/nobody").status_code == 200


def test_upsert_inserts_and_updates(server, name):
    assert fill(server, name)["inserted"] == len(SENTENCES)
    again = fill(server, name, ["怎样退货", "如何申请退款"])
    assert (again["inserted"], again["updated"]) == (0, 2)
    assert server.get(f"/v1/collections/{name}/count").json() == {"count": len(SENTENCES)}
    found = server.get(f"/v1/collections/{name}/sentences/0").json()
    assert found == {"object": "sentence", "id": "0", "text": "怎样退货", "metadata": {"n": 0}}


def test_similar_is_exact(server, name):
    fill(server, name)
    queries = ["东西不想要了怎么退", "天气"]
    reply = server.post(f"/v1/collections/{name}/similar", {"query": queries, "top_k": 3}).json()
    vectors = [item["embedding"] for item in server.post("/v1/embeddings", {"input": queries + SENTENCES}).json()["data"]]
    assert len(reply["data"]) == len(queries)
    for i, item in enumerate(reply["data"]):
        scores = [cosine(vectors[i], vector) for vector in vectors[len(queries):]]
        best = sorted(range(len(SENTENCES)), key=lambda n: -scores[n])[:3]
        assert [match["id"] for match in item["matches"]] == [str(n) for n in best]
        for match, n in zip(item["matches"], best):
            assert match["score"] == pytest.approx(scores[n], abs=1e-4)
            assert match["text"] == SENTENCES[n] and match["metadata"] == {"n": n}


def test_similar_min_score_and_single_query(server, name):
    fill(server, name)
    path = f"/v1/collections/{name}/similar"
    (item,) = server.post(path, {"query": "怎么退货", "top_k": 100, "min_score": 0.9}).json()["data"]
    assert item["matches"][0]["text"] == "怎么退货" and all(match["score"] >= 0.9 for match in item["matches"])
    assert len(item["matches"]) < len(SENTENCES)


def test_scroll(server, name):
    fill(server, name)
    seen, after = [], None
    while True:
        parameters = {"limit": 4} if after is None else {"limit": 4, "after": after}
        page = server.get(f"/v1/collections/{name}/sentences", params=parameters).json()
        seen += [item["text"] for item in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == SENTENCES


def test_delete(server, name):
    fill(server, name)
    path = f"/v1/collections/{name}"
    assert server.post(path + "/delete", {"ids": ["0", "1", "none"]}).json() == {"deleted": 2}
    assert server.delete(path + "/sentences/2").json() == {"object": "sentence", "id": "2", "deleted": True}
    assert server.delete(path + "/sentences/2").status_code == 404
    assert server.get(path + "/sentences/2").status_code == 404
    assert server.get(path + "/count").json() == {"count": 3}
    (item,) = server.post(path + "/similar", {"query": "怎么退货", "top_k": 100}).json()["data"]
    assert {match["id"] for match in item["matches"]} == {"3", "4", "5"}


def test_odd_ids_in_the_path(server, name):
    for id in ("a/b", "50%", "退货 1", "?x=1&y", "+"):
        body = {"sentences": [{"id": id, "text": "退货"}]}
        assert server.post(f"/v1/collections/{name}/sentences", body).status_code == 200
        quoted = "".join(f"%{byte:02X}" for byte in id.encode())
        assert server.get(f"/v1/collections/{name}/sentences/{quoted}").json()["id"] == id
        assert server.delete(f"/v1/collections/{name}/sentences/{quoted}").status_code == 200


@pytest.mark.parametrize("sentences", [
    None, [], "x", [1], [{}], [{"id": "1"}], [{"text": "x"}], [{"id": "", "text": "x"}], [{"id": 1, "text": "x"}],
    [{"id": "1", "text": ""}], [{"id": "1", "text": "x", "metadata": []}], [{"id": "a\nb", "text": "x"}],
    [{"id": "i" * 513, "text": "x"}], [{"id": "1", "text": "x"}, {"id": "1", "text": "y"}],
    [{"id": str(i), "text": "x"} for i in range(2049)],
])
def test_bad_sentences_store_nothing(server, name, sentences):
    reply = server.post(f"/v1/collections/{name}/sentences", {"sentences": sentences})
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "sentences", reply.text
    assert server.get(f"/v1/collections/{name}/count").json() == {"count": 0}


@pytest.mark.parametrize("body", [
    {}, {"query": ""}, {"query": []}, {"query": 1}, {"query": "x", "top_k": 0}, {"query": "x", "top_k": 1001},
    {"query": "x", "top_k": 1.5}, {"query": "x", "min_score": "high"}, {"query": "x", "min_score": 1.5},
    {"query": "x", "filter": 1}, {"query": "x", "filter": {"n": {"below": 1}}}, {"query": "x", "mode": "fuzzy"},
    {"query": "x", "rerank": "yes"}, {"query": "x", "id": "0"}, {"query": "x", "vector": [1]}, {"id": 1}, {"id": []},
    {"id": ["0", 1]}, {"vector": "x"}, {"vector": []}, {"vector": [1, 2]}, {"vector": [0] * 512},
    {"vector": [1e39] * 512}, {"vector": ["1"] * 512}, {"vector": [[1] * 512, [1] * 511]},
    {"vector": [1] * 512, "mode": "hybrid"},
])
def test_bad_queries(server, name, body):
    assert server.post(f"/v1/collections/{name}/similar", body).status_code == 400


@pytest.mark.parametrize("bad", [".hidden", "a b", "a%2Fb", "x" * 65, "%00", "%FF", "%4"])
def test_bad_collection_names(server, bad):
    assert server.put(f"/v1/collections/{bad}").status_code == 400


def test_unknown_collection(server):
    path = "/v1/collections/none"
    for reply in (server.get(path), server.get(path + "/count"), server.get(path + "/sentences"),
                  server.get(path + "/sentences/1"), server.post(path + "/similar", {"query": "x"}),
                  server.post(path + "/sentences", {"sentences": [{"id": "1", "text": "x"}]}),
                  server.post(path + "/delete", {"ids": ["1"]})):
        assert reply.status_code == 404 and "none" in reply.json()["error"]["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "limit=-1", "after=%FF"])
def test_bad_scroll(server, name, query):
    assert server.get(f"/v1/collections/{name}/sentences?{query}").status_code == 400


def test_acknowledged_is_on_disk(launch):
    """Killed without warning, the next server has all that was acknowledged, and answers the same."""
    first = launch()
    first.put("/v1/collections/kept")
    fill(first, "kept")
    answer = first.post("/v1/collections/kept/similar", {"query": "退货"}).json()
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = launch()
    assert second.get("/v1/collections/kept/count").json() == {"count": len(SENTENCES)}
    assert second.post("/v1/collections/kept/similar", {"query": "退货"}).json() == answer


def test_another_model_under_the_name_is_refused(launch, embedding_only):
    first = launch(models=[("m", embedding_only)])
    first.put("/v1/collections/kept")
    fill(first, "kept")
    assert first.stop() == 0
    second = launch(models=[(None, "models/simbert-small-zh")])
    reply = second.post("/v1/collections/kept/similar", {"query": "退货"})
    assert reply.status_code == 409 and '"m"' in reply.json()["error"]["message"]
    assert second.get("/v1/collections/kept/count").json() == {"count": len(SENTENCES)}
