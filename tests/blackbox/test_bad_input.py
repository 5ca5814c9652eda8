"""What is wrong is named, in the form of the route's API, and the server lives on."""
import json
import socket

import pytest

ROUTES = ["/v1/embeddings", "/embed", "/v1/paraphrases", "/similarity", "/rerank", "/v1/rerank", "/tokenize", "/decode",
          "/v1/collections/c/similar", "/v1/collections/c/sentences", "/v1/collections/c/delete"]


def is_openai(path):
    return path.startswith("/v1/")


def message(reply, path):
    """The message, after checking that the error has its API's form."""
    body = reply.json()
    if is_openai(path):
        assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
        return body["error"]["message"]
    assert set(body) == {"error", "error_type"}
    return body["error"]


def post_raw(server, path, data, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("content-type", "application/json")
    return server.request("POST", path, data=data, headers={k: v for k, v in headers.items() if v is not None})


MALFORMED = {
    "empty": b"", "space": b"   ", "not json": b"input=x", "truncated": b'{"input": "a', "trailing comma": b'{"input": "a",}',
    "trailing text": b'{"input": "a"} x', "two values": b'{"input": "a"}{"input": "b"}', "array": b'["a"]', "string": b'"a"',
    "number": b"1", "null": b"null", "NaN": b'{"input": "a", "n": NaN}', "infinity": b'{"input": "a", "n": -Infinity}',
    "single quotes": b"{'input': 'a'}", "invalid UTF-8": b'{"input": "\xff\xfe"}', "overlong UTF-8": b'{"input": "\xc0\xaf"}',
    "UTF-8 surrogate": b'{"input": "\xed\xa0\x80"}', "NUL byte": b'{"input": "a\x00b"}', "NUL escape": b'{"input": "a\\u0000b"}',
    "lone high surrogate": b'{"input": "\\ud800"}', "lone low surrogate": b'{"input": "\\udc00x"}',
    "bad escape": b'{"input": "\\x41"}', "UTF-16": '{"input": "a"}'.encode("utf-16"),
    "deep arrays": b'{"input": ' + b"[" * 100000 + b"]" * 100000 + b"}",
    "deep objects": b'{"a":' * 5000 + b"1" + b"}" * 5000, "control character": b'{"input": "a\nb\x01"}',
}


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_body(server, path, kind):
    reply = post_raw(server, path, MALFORMED[kind])
    assert reply.status_code == (400 if is_openai(path) else 422), (reply.status_code, reply.text)
    assert message(reply, path)


WRONG_INPUTS = [None, 1, True, {}, {"a": 1}, [None], [True], [["x"]], [[[1]]], [{}], ["a", 1], [1, "a"], [[1], "a", 2]]


@pytest.mark.parametrize("value", WRONG_INPUTS, ids=json.dumps)
@pytest.mark.parametrize("path, field", [("/v1/embeddings", "input"), ("/embed", "inputs"), ("/v1/paraphrases", "input"),
                                         ("/tokenize", "inputs")])
def test_wrong_types(server, path, field, value):
    reply = server.post(path, {field: value})
    assert reply.status_code in (400, 422)
    assert field.rstrip("s") in message(reply, path)


def test_names_the_field(server):
    for body, field in (({"input": "x", "dimensions": -1}, "dimensions"), ({"input": "x", "dimensions": 513}, "dimensions"),
                        ({"input": "x", "dimensions": 1.5}, "dimensions"), ({"input": "x", "dimensions": 1e300}, "dimensions"),
                        ({"input": "x", "encoding_format": "hex"}, "encoding_format"), ({"input": "x", "model": 1}, "model"),
                        ({"input": ""}, "input"), ({"input": []}, "input"), ({"input": ["a", ""]}, "input"), ({}, "input"),
                        ({"input": [[]]}, "input")):
        error = server.post("/v1/embeddings", body).json()["error"]
        assert error["param"] == field and field in error["message"], error


def test_ids_out_of_range(server):
    for ids in ([999999], [-1], [2, 3, 1 << 40], [1.5]):
        reply = server.post("/v1/embeddings", {"input": ids})
        assert reply.status_code == 400 and "token id" in message(reply, "/v1/embeddings")


def test_too_many_inputs(server):
    for path, field in (("/v1/embeddings", "input"), ("/embed", "inputs"), ("/v1/paraphrases", "input"), ("/tokenize", "inputs")):
        reply = server.post(path, {field: ["x"] * 2049})
        assert reply.status_code in (400, 422) and "2048" in message(reply, path)


def test_one_megabyte_of_text(server):
    text = "怎么退货" * (1 << 20 >> 2)
    text = text[:(1 << 20) // 3]
    reply = server.post("/v1/embeddings", {"input": text})
    assert reply.status_code == 200 and reply.json()["usage"]["prompt_tokens"] == 512
    assert server.post("/embed", {"inputs": text, "truncate": False}).status_code == 422
    assert server.post("/v1/paraphrases", {"input": text, "num_candidates": 2, "n": 2, "max_new_tokens": 4}).status_code == 200
    assert server.post("/embed", {"inputs": "x" * (1 << 20)}).status_code == 200


@pytest.mark.parametrize("text", ["\u3000", " ", "\n", "\u200b", "🙂", "\U0010ffff", "é" * 100, "\ufeff"])
def test_odd_texts_are_fine(server, text):
    reply = server.post("/v1/embeddings", {"input": text, "dimensions": 8})
    assert reply.status_code == 200
    assert all(isinstance(x, float) and x == x for x in reply.json()["data"][0]["embedding"])
    written = server.post("/v1/paraphrases", {"input": text, "num_candidates": 2, "n": 2})
    assert written.status_code == (200 if has_words(text) else 400), written.text


def has_words(text):
    return bool(text.strip(" \n\u3000\u200b\ufeff"))


def test_unknown_model(server):
    for path, body in (("/v1/embeddings", {"input": "x"}), ("/v1/paraphrases", {"input": "x"}), ("/embed", {"inputs": "x"}),
                       ("/v1/rerank", {"query": "q", "documents": ["d"]}), ("/tokenize", {"inputs": "x"})):
        reply = server.post(path, dict(body, model="gpt-4"))
        assert reply.status_code == 404 and "gpt-4" in message(reply, path) and "simbert-small-zh" in message(reply, path)


@pytest.mark.parametrize("path", ["/v1/nope", "/nope", "/v1", "/v1/", "/v1/embeddings/", "//v1/embeddings", "/v1/collections//count",
                                  "/v1/collections/a/b/c/d", "/%2e%2e/etc/passwd", "/v1/models/"])
def test_unknown_route(server, path):
    reply = server.request("GET", path)
    assert reply.status_code == 404
    assert message(reply, path)


def test_wrong_method(server):
    for method, path, allow in (("GET", "/v1/embeddings", "POST"), ("DELETE", "/embed", "POST"), ("POST", "/health", "GET"),
                                ("PATCH", "/v1/collections/c", "PUT, GET, DELETE"), ("OPTIONS", "/embed", "POST")):
        reply = server.request(method, path)
        assert reply.status_code == 405 and reply.headers["allow"] == allow
        assert message(reply, path)


def test_content_type(server):
    body = b'{"input": "x"}'
    for good in (None, "application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
        assert post_raw(server, "/v1/embeddings", body, content_type=good).status_code == 200
    for bad in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; boundary=x"):
        for path in ("/v1/embeddings", "/embed"):
            reply = post_raw(server, path, body, content_type=bad)
            assert reply.status_code == 415 and "application/json" in message(reply, path)


def test_body_too_large(server):
    for data in (b" " * (8 << 20) + b'{"input": "x"}', (b" " * (1 << 20) for _ in range(9))):  # by its length, and in chunks
        reply = post_raw(server, "/v1/embeddings", data)
        assert reply.status_code == 413 and str(8 << 20) in message(reply, "/v1/embeddings")
    assert server.get("/health").status_code == 200


def raw(server, data, limit=65536):
    """Sends bytes as they are; returns what comes until the server closes or says nothing for a while."""
    with socket.create_connection(server.address, timeout=5) as connection:
        got = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while len(got) < limit:
                piece = connection.recv(4096)
                if not piece:
                    break
                got += piece
        except OSError:  # reset, or nothing more to read
            pass
        return got


NOT_QUITE_HTTP = {
    "bytes": b"\x00\x01\x02\x03", "no address": b"GET\r\n\r\n", "version": b"GET / HTTP/9.9\r\n\r\n", "lines": b"\r\n" * 1000,
    "long address": b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10000 + b"\r\n",
    "negative length": b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    "huge length": b"POST /embed HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "chunk": b"POST /embed HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "escapes": b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n", "not UTF-8": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("kind", NOT_QUITE_HTTP)
def test_not_quite_http(server, kind):
    got = raw(server, NOT_QUITE_HTTP[kind])
    assert got == b"" or got.startswith(b"HTTP/1.1 4") or got.startswith(b"HTTP/1.1 5"), got[:200]
    assert server.get("/health").status_code == 200


def test_many_errors_leak_nothing(server):
    before = server.metric("process_resident_memory_bytes")
    for _ in range(300):
        post_raw(server, "/v1/embeddings", b'{"input": "' + b"a" * 10000)
        server.post("/v1/paraphrases", {"input": "x", "bad_words": ["a"] * 100, "n": -1})
    assert server.metric("process_resident_memory_bytes") - before < 64 << 20
    assert server.metric("simbert_requests_active") <= 1
