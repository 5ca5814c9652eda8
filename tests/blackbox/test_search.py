"""Searching collections: filters, by vector and by id, words and meaning together; and aliases."""
import json
import uuid

import pytest

from conftest import cosine

SENTENCES = [
    ("return", "怎么申请退货", {"topic": "退货", "price": 10, "tags": ["a", "b"], "shop": {"city": "上海"}}),
    ("refund", "退款多久到账", {"topic": "退货", "price": 25.5, "tags": ["b"], "shop": {"city": "北京"}}),
    ("loan", "花呗怎么还款", {"topic": "还款", "price": 3, "open": True}),
    ("weather", "今天天气不错", {"topic": "闲聊", "price": None}),
    ("rain", "明天会下雨吗", {"topic": "闲聊"}),
    ("phone", "iPhone 15 价格是多少", {}),
]


@pytest.fixture(scope="module", params=["f32", "f16", "int16", "int8"])
def path(server, request):
    path = f"/v1/collections/s-{uuid.uuid4().hex[:12]}"
    created = server.put(path, {"vectors": request.param})
    assert created.status_code == 201 and created.json()["vectors"] == request.param
    body = {"sentences": [{"id": id, "text": text, "metadata": metadata} for id, text, metadata in SENTENCES]}
    assert server.post(path + "/sentences", body).json()["inserted"] == len(SENTENCES)
    yield path
    server.delete(path)


def ask(server, path, **body):
    reply = server.post(path + "/similar", body)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"]


def ids(item):
    return [match["id"] for match in item["matches"]]


@pytest.mark.parametrize("filter, kept", [
    ({}, {"return", "refund", "loan", "weather", "rain", "phone"}),
    ({"topic": "退货"}, {"return", "refund"}),
    ({"topic": {"in": ["还款", "闲聊"]}}, {"loan", "weather", "rain"}),
    ({"price": {"gte": 3, "lt": 25.5}}, {"return", "loan"}),
    ({"price": {"exists": True}}, {"return", "refund", "loan", "weather"}),
    ({"price": None}, {"weather"}),
    ({"tags": "a"}, {"return"}),
    ({"shop.city": "北京"}, {"refund"}),
    ({"open": True}, {"loan"}),
    ({"not": {"topic": {"exists": True}}}, {"phone"}),
    ({"or": [{"tags": "a"}, {"and": [{"topic": "闲聊"}, {"price": {"exists": False}}]}]}, {"return", "rain"}),
    ({"topic": "none"}, set()),
])
def test_filters(server, path, filter, kept):
    for mode in ("vector", "hybrid"):
        (item,) = ask(server, path, query="退货", top_k=100, filter=filter, mode=mode)
        assert set(ids(item)) == kept
    assert server.post(path + "/count", {"filter": filter}).json() == {"count": len(kept)}
    page = server.get(path + "/sentences", params={"filter": json.dumps(filter)}).json()
    assert {item["id"] for item in page["data"]} == kept and not page["has_more"]


@pytest.mark.parametrize("filter, message", [
    ({"and": [{}, {"price": {"below": 1}}]}, 'filter.and[1].price: unknown operator "below"'),
    ({"price": [1]}, "filter.price: a list is no value"),
    ({"$or": []}, "filter.$or: unknown operator"),
    ({"a": {"in": 1}}, "filter.a.in: a list"),
])
def test_bad_filters_are_named(server, path, filter, message):
    for route, body in (("/similar", {"query": "x"}), ("/delete", {}), ("/count", {})):
        reply = server.post(path + route, dict(body, filter=filter))
        error = reply.json()["error"]
        assert reply.status_code == 400 and error["param"] == "filter" and message in error["message"]


def test_scroll_through_a_filter(server, path):
    seen, after = [], None
    while True:
        parameters = {"limit": 1, "filter": json.dumps({"topic": {"in": ["退货", "闲聊"]}})}
        if after:
            parameters["after"] = after
        page = server.get(path + "/sentences", params=parameters).json()
        seen += [item["id"] for item in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == ["return", "refund", "weather", "rain"]


def test_by_id(server, path):
    one = ask(server, path, id="return", top_k=2)
    assert len(one) == 1 and len(one[0]["matches"]) == 2 and "return" not in ids(one[0])
    several = ask(server, path, id=["return", "rain"], top_k=2)
    assert several[0] == one[0] and len(several) == 2 and "rain" not in ids(several[1])
    text = ask(server, path, query="怎么申请退货", top_k=3)[0]
    assert ids(text)[0] == "return" and ids(text)[1:] == ids(one[0])
    for mode in ("lexical", "hybrid"):
        assert "return" not in ids(ask(server, path, id="return", mode=mode)[0])
    assert server.post(path + "/similar", {"id": "none"}).status_code == 404


def test_by_vector(server, path):
    (vector,) = [item["embedding"] for item in server.post("/v1/embeddings", {"input": ["怎么申请退货"]}).json()["data"]]
    (by_text,) = ask(server, path, query="怎么申请退货", top_k=6)
    longer = [7 * x for x in vector]
    for body in ({"vector": vector}, {"vector": [vector]}, {"vector": longer}):
        (by_vector,) = ask(server, path, top_k=6, **body)
        assert ids(by_vector) == ids(by_text)
        for a, b in zip(by_vector["matches"], by_text["matches"]):
            assert a["score"] == pytest.approx(b["score"], abs=1e-5)
    two = ask(server, path, vector=[vector, longer], top_k=6)
    assert [ids(item) for item in two] == [ids(by_text)] * 2


def test_lexical(server, path):
    (item,) = ask(server, path, query="怎么退", mode="lexical")
    assert set(ids(item)) == {"return", "loan"}
    (item,) = ask(server, path, query="IPHONE", mode="lexical")
    assert ids(item) == ["phone"] and item["matches"][0]["score"] > 0
    assert ids(ask(server, path, query="退", mode="lexical")[0]) == ["return", "refund"]
    assert ids(ask(server, path, query="zebra", mode="lexical")[0]) == []
    assert ids(ask(server, path, query="IPHONE", mode="lexical", min_score=1000)[0]) == []
    assert ids(ask(server, path, query="怎么退", mode="lexical", filter={"topic": "还款"})[0]) == ["loan"]


def test_hybrid_is_reciprocal_rank_fusion(server, path):
    queries = ["怎么退货", "iphone"]
    meaning = ask(server, path, query=queries, top_k=100)
    words = ask(server, path, query=queries, top_k=100, mode="lexical")
    for item, a, b in zip(ask(server, path, query=queries, top_k=4, mode="hybrid"), meaning, words):
        scores = {}
        for ranking in (ids(a), ids(b)):
            for rank, id in enumerate(ranking, 1):
                scores[id] = scores.get(id, 0) + 1 / (60 + rank)
        assert [match["score"] for match in item["matches"]] == pytest.approx(sorted(scores.values())[::-1][:4], abs=1e-6)
        for match in item["matches"]:
            assert match["score"] == pytest.approx(scores[match["id"]], abs=1e-6)


def test_rerank_orders_by_cosine(server, path):
    (words,) = ask(server, path, query="怎么退货", mode="lexical", rerank=True)
    texts = [match["text"] for match in words["matches"]]
    reply = server.post("/v1/embeddings", {"input": ["怎么退货"] + texts}).json()["data"]
    scores = [cosine(reply[0]["embedding"], item["embedding"]) for item in reply[1:]]
    assert scores == sorted(scores)[::-1] and len(scores) >= 2
    assert [match["score"] for match in words["matches"]] == pytest.approx(scores, abs=0.02)
    (few,) = ask(server, path, query="怎么退货", mode="hybrid", rerank=True, min_score=scores[0] - 0.01)
    assert few["matches"] and all(match["score"] >= scores[0] - 0.01 for match in few["matches"])


def test_delete_by_filter(server):
    path = f"/v1/collections/d-{uuid.uuid4().hex[:12]}"
    server.put(path)
    body = {"sentences": [{"id": id, "text": text, "metadata": metadata} for id, text, metadata in SENTENCES]}
    server.post(path + "/sentences", body)
    assert server.post(path + "/delete", {"filter": {"topic": "退货"}}).json() == {"deleted": 2}
    assert server.post(path + "/delete", {"filter": {"topic": "退货"}}).json() == {"deleted": 0}
    assert server.get(path + "/count").json() == {"count": 4}
    assert ids(ask(server, path, query="退货", mode="lexical")[0]) == []
    for bad in ({}, {"ids": []}, {"ids": ["a"], "filter": {}}, {"filter": []}):
        assert server.post(path + "/delete", bad).status_code == 400
    assert server.get(path + "/count").json() == {"count": 4}
    server.delete(path)


def test_aliases(server):
    one, two, alias = (f"{letter}-{uuid.uuid4().hex[:12]}" for letter in "xyz")
    for name, text in ((one, "一"), (two, "二")):
        server.put(f"/v1/collections/{name}")
        server.post(f"/v1/collections/{name}/sentences", {"sentences": [{"id": "1", "text": text}]})
    path = f"/v1/collection-aliases/{alias}"
    assert server.put(path, {"collection": one}).json() == {"object": "alias", "name": alias, "collection": one}
    assert server.get(f"/v1/collections/{alias}/sentences/1").json()["text"] == "一"
    assert server.put(path, {"collection": two}).status_code == 200
    assert server.get(f"/v1/collections/{alias}/sentences/1").json()["text"] == "二"
    assert {"object": "alias", "name": alias, "collection": two} in server.get("/v1/collection-aliases").json()["data"]
    assert server.put(f"/v1/collections/{alias}").status_code == 409
    assert server.put(f"/v1/collection-aliases/{one}", {"collection": two}).status_code == 409
    assert server.put(path, {"collection": "none"}).status_code == 404
    assert server.put(path, {}).status_code == 400
    assert server.delete(f"/v1/collections/{alias}").status_code == 409
    assert server.delete(path).json() == {"object": "alias", "name": alias, "deleted": True}
    assert server.delete(path).status_code == 404
    assert server.get(f"/v1/collections/{alias}").status_code == 404
    for name in (one, two):
        assert server.delete(f"/v1/collections/{name}").status_code == 200


@pytest.mark.parametrize("body", [{"vectors": "f64"}, {"vectors": 1}, {"search": "fast"}])
def test_bad_forms(server, body):
    assert server.put("/v1/collections/forms", body).status_code == 400
    assert server.get("/v1/collections/forms").status_code == 404
