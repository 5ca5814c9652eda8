"""Duplicates, clusters and coverage of a collection."""
import itertools
import uuid

import pytest

from conftest import cosine

SENTENCES = [
    "怎么申请退货", "如何申请退货", "怎样申请退货", "花呗怎么还款", "花呗如何还款", "今天天气不错", "今天的天气不错",
    "忘记密码怎么办", "密码忘了怎么办", "发票怎么开",
]


@pytest.fixture(scope="module", params=["f32", "int8"])
def path(server, request):
    path = f"/v1/collections/m-{uuid.uuid4().hex[:12]}"
    server.put(path, {"vectors": request.param})
    body = {"sentences": [{"id": str(i), "text": text, "metadata": {"n": i}} for i, text in enumerate(SENTENCES)]}
    assert server.post(path + "/sentences", body).status_code == 200
    yield path
    server.delete(path)


@pytest.fixture(scope="module")
def vectors(server):
    return [item["embedding"] for item in server.post("/v1/embeddings", {"input": SENTENCES}).json()["data"]]


def test_duplicates(server, path, vectors):
    reply = server.post(path + "/duplicates", {"min_score": -1, "limit": 1000}).json()
    scores = {(a, b): cosine(vectors[a], vectors[b]) for a, b in itertools.combinations(range(len(SENTENCES)), 2)}
    assert reply["total"] == len(reply["data"]) == len(scores) and reply["sentences"] == len(SENTENCES)
    for pair in reply["data"]:
        a, b = int(pair["first"]["id"]), int(pair["second"]["id"])
        assert pair["score"] == pytest.approx(scores[a, b], abs=0.02)
        assert pair["first"]["text"] == SENTENCES[a] and pair["second"]["metadata"] == {"n": b}
    order = [pair["score"] for pair in reply["data"]]
    assert order == sorted(order, reverse=True)
    few = server.post(path + "/duplicates", {"min_score": -1, "limit": 2}).json()
    assert few["data"] == reply["data"][:2] and few["total"] == len(scores)
    middle = (order[4] + order[5]) / 2
    some = server.post(path + "/duplicates", {"min_score": middle}).json()
    assert some["data"] == reply["data"][:5] and some["total"] == 5
    kept = server.post(path + "/duplicates", {"min_score": -1, "filter": {"n": {"lt": 3}}}).json()
    assert kept["total"] == 3 and kept["sentences"] == 3


def test_clusters(server, path):
    reply = server.post(path + "/clusters", {"min_score": 0.7}).json()
    groups = [{int(member["id"]) for member in item["members"]} for item in reply["data"]]
    assert {0, 1, 2} in groups and {5, 6} in groups and {7, 8} in groups
    for item in reply["data"]:
        assert item["size"] == len(item["members"]) >= 2
        assert item["title"] == SENTENCES[int(item["medoid"])] and item["medoid"] in {m["id"] for m in item["members"]}
    sizes = [item["size"] for item in reply["data"]]
    assert sizes == sorted(sizes, reverse=True)
    every = server.post(path + "/clusters", {"min_score": 1, "min_size": 1, "members": 1}).json()
    assert every["clusters"] == len(every["data"]) == len(SENTENCES)
    one = server.post(path + "/clusters", {"min_score": -1}).json()
    assert one["clusters"] == 1 and one["data"][0]["size"] == len(SENTENCES)


def test_clusters_by_k(server, path):
    reply = server.post(path + "/clusters", {"k": 4, "seed": 1, "min_size": 1, "members": 100}).json()
    assert reply["clusters"] == len(reply["data"]) == 4
    members = [member["id"] for item in reply["data"] for member in item["members"]]
    assert sorted(members, key=int) == [str(i) for i in range(len(SENTENCES))]
    assert server.post(path + "/clusters", {"k": 4, "seed": 1, "min_size": 1, "members": 100}).json() == reply
    assert server.post(path + "/clusters", {"k": 1000, "min_size": 1}).json()["clusters"] == len(SENTENCES)


def test_coverage(server, path):
    questions = ["怎么申请退货", "宇宙有多大"]
    reply = server.post(path + "/coverage", {"query": questions, "min_score": 0.95}).json()
    assert [item["covered"] for item in reply["data"]] == [True, False]
    assert (reply["covered"], reply["uncovered"]) == (1, 1)
    assert reply["data"][0]["nearest"]["id"] == "0" and reply["data"][1]["nearest"]["score"] < 0.95
    assert [item["text"] for item in reply["data"]] == questions
    nothing = server.post(path + "/coverage", {"query": questions[0], "filter": {"n": -1}}).json()
    assert nothing["data"][0]["nearest"] is None and nothing["covered"] == 0


def test_an_empty_collection(server):
    path = f"/v1/collections/e-{uuid.uuid4().hex[:12]}"
    server.put(path)
    assert server.post(path + "/duplicates", {}).json() == {"object": "list", "data": [], "total": 0, "sentences": 0}
    for body in ({}, {"k": 3}):
        assert server.post(path + "/clusters", body).json() == {"object": "list", "data": [], "clusters": 0, "sentences": 0}
    assert server.post(path + "/coverage", {"query": "x"}).json()["uncovered"] == 1
    server.delete(path)


@pytest.mark.parametrize("route, body", [
    ("duplicates", {"min_score": 2}), ("duplicates", {"limit": 0}), ("duplicates", {"filter": {"a": {"b": 1}}}),
    ("clusters", {"k": 0}), ("clusters", {"k": 2, "min_score": 0.5}), ("clusters", {"min_size": 0}),
    ("clusters", {"seed": -1}), ("coverage", {}), ("coverage", {"query": []}), ("coverage", {"query": "x", "min_score": "y"}),
])
def test_bad_requests(server, path, route, body):
    assert server.post(f"{path}/{route}", body).status_code == 400
    assert server.post(f"/v1/collections/none/{route}", {"query": "x"}).status_code == 404
