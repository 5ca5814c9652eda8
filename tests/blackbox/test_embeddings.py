"""/v1/embeddings and /v1/models: OpenAI's shapes, and the numbers of the reference."""
import base64
import struct

import pytest

from conftest import MODEL, cosine, golden_vectors


def embed(server, **body):
    reply = server.post("/v1/embeddings", body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_agrees_with_the_reference(server):
    golden = golden_vectors()
    for start in range(0, len(golden), 32):  # slow builds must keep within the deadline
        some = golden[start:start + 32]
        reply = embed(server, input=[text for text, _, _ in some])
        assert reply["usage"]["prompt_tokens"] == sum(len(ids) for _, ids, _ in some)
        for item, (text, _, vector) in zip(reply["data"], some, strict=True):
            assert cosine(item["embedding"], vector) >= 0.99999, text


def test_shape(server):
    reply = embed(server, input="怎么退货")
    assert reply["object"] == "list" and reply["model"] == MODEL
    assert reply["usage"] == {"prompt_tokens": 6, "total_tokens": 6}
    (item,) = reply["data"]
    assert item["object"] == "embedding" and item["index"] == 0 and len(item["embedding"]) == 512
    assert sum(x * x for x in item["embedding"]) == pytest.approx(1, abs=1e-5)


def test_same_bits_whatever_else_is_in_the_batch(server):
    alone = embed(server, input="怎么退货")["data"][0]["embedding"]
    other = embed(server, input=["今天天气怎么样" * 20, "怎么退货", "x"])
    assert other["data"][1]["embedding"] == alone
    assert [item["index"] for item in other["data"]] == [0, 1, 2]


def test_base64_holds_the_same_floats(server):
    numbers = embed(server, input="怎么退货")["data"][0]["embedding"]
    text = embed(server, input="怎么退货", encoding_format="base64")["data"][0]["embedding"]
    packed = base64.b64decode(text, validate=True)
    assert list(struct.unpack(f"<{len(packed) // 4}f", packed)) == [struct.unpack("<f", struct.pack("<f", x))[0] for x in numbers]


def test_dimensions_cut_then_normalise(server):
    whole = embed(server, input="怎么退货")["data"][0]["embedding"]
    cut = embed(server, input="怎么退货", dimensions=16)["data"][0]["embedding"]
    length = sum(x * x for x in whole[:16]) ** 0.5
    assert cut == pytest.approx([x / length for x in whole[:16]], abs=1e-6)


def test_token_ids(server):
    golden = golden_vectors()[:3]
    reply = embed(server, input=[ids for _, ids, _ in golden])
    for item, (_, _, vector) in zip(reply["data"], golden):
        assert cosine(item["embedding"], vector) >= 0.99999
    bare = embed(server, input=golden[0][1][1:-1])  # without [CLS] and [SEP], which are added
    assert bare["data"][0]["embedding"] == reply["data"][0]["embedding"]


def test_long_text_is_cut(server):
    reply = embed(server, input="退" * 5000)
    assert reply["usage"]["prompt_tokens"] == 512


def test_2048_inputs(server):
    reply = embed(server, input=["退货"] * 2048, dimensions=2, model="tiny")
    assert len(reply["data"]) == 2048
    assert all(item["embedding"] == reply["data"][0]["embedding"] for item in reply["data"])


def test_another_model(server):
    reply = embed(server, input="hello", model="tiny")
    assert reply["model"] == "tiny" and len(reply["data"][0]["embedding"]) == 32


def test_alias(server):
    assert server.post("/embeddings", {"input": "怎么退货"}).json() == embed(server, input="怎么退货")


def test_unknown_fields_and_nulls_are_ignored(server):
    reply = embed(server, input="x", user="me", dimensions=None, model=None, encoding_format=None, other={"a": [1]})
    assert len(reply["data"][0]["embedding"]) == 512


def test_models(server):
    reply = server.get("/v1/models").json()
    assert reply["object"] == "list"
    assert [(m["id"], m["object"]) for m in reply["data"]] == [(MODEL, "model"), ("tiny", "model")]
    one = server.get("/v1/models/tiny").json()
    assert one in reply["data"] and isinstance(one["created"], int) and one["owned_by"]
    missing = server.get("/v1/models/nope")
    assert missing.status_code == 404 and "nope" in missing.json()["error"]["message"]
