"""Files: OpenAI's routes, uploads of any size and shape, what is refused; and the OpenAI SDK."""
import os
import socket
import threading
import time

import pytest
import requests

from conftest import TINY_DIR

LINE = b'{"text": "\xe6\x80\x8e\xe4\xb9\x88\xe9\x80\x80\xe8\xb4\xa7", "synonyms": ["\xe5\xa6\x82\xe4\xbd\x95\xe9\x80\x80\xe8\xb4\xa7"]}\n'


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A server for this module's files."""
    from conftest import Server
    running = Server(tmp_path_factory.mktemp("files"), "--max-upload-bytes", 8 << 20, models=((None, TINY_DIR),))
    yield running
    assert running.stop() == 0, running.log()


def upload(server, content, name="faq.jsonl", purpose="fine-tune"):
    return server.request("POST", "/v1/files", files={"file": (name, content)}, data={"purpose": purpose})


def becomes(server, before):
    """What a refused upload has written goes when its connection is done."""
    end = time.monotonic() + 20
    while stored(server) != before:
        assert time.monotonic() < end, stored(server)
        time.sleep(0.02)
    return True


def stored(server):
    """Names in the folder of files."""
    folder = server.log_path.parent / "data" / "files"
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_life_of_a_file(files):
    reply = upload(files, LINE)
    assert reply.status_code == 200, reply.text
    file = reply.json()
    assert file == {"id": file["id"], "object": "file", "bytes": len(LINE), "created_at": file["created_at"],
                    "filename": "faq.jsonl", "purpose": "fine-tune", "status": "processed", "status_details": None}
    assert abs(file["created_at"] - time.time()) < 60
    assert files.get(f"/v1/files/{file['id']}").json() == file
    assert files.get(f"/v1/files/{file['id']}/content").content == LINE
    assert file in files.get("/v1/files").json()["data"]
    assert files.delete(f"/v1/files/{file['id']}").json() == {"id": file["id"], "object": "file", "deleted": True}
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        reply = files.request(method, f"/v1/files/{file['id']}{path}")
        assert reply.status_code == 404 and reply.json()["error"]["param"] == "file_id"
    assert not [name for name in stored(files) if name.startswith(file["id"])]


@pytest.mark.parametrize("size", [1, 1000, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3_000_001, (8 << 20) - 4096])
def test_any_size_comes_back_as_it_went(files, size):
    content = os.urandom(size)  # holds line ends and dashes as they come
    file = upload(files, content).json()
    assert file["bytes"] == size
    assert files.get(f"/v1/files/{file['id']}/content").content == content
    files.delete(f"/v1/files/{file['id']}")


@pytest.mark.parametrize("content", [b"\r\n", b"\r\n--", b"\r\n--x\r\n", b"--boundary--", b"\r\r\n\r\n--boundar", b"-" * 100],
                         ids=range(6))
def test_content_that_looks_like_a_boundary(files, content):
    body = (b'--boundary\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
            b'--boundary\r\ncontent-disposition: form-data; name=file; filename="a \\"b\\".tsv"\r\n'
            b"content-type: text/plain\r\n\r\n" + content + b"\r\n--boundary--\r\n")
    reply = files.request("POST", "/v1/files", data=body,
                          headers={"content-type": "multipart/form-data; boundary=boundary"})
    assert reply.status_code == 200, reply.text
    assert reply.json()["filename"] == 'a "b".tsv'
    assert files.get(f"/v1/files/{reply.json()['id']}/content").content == content


def test_pieces_of_one_byte(files):
    body = (b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + LINE + b"\r\n--b--\r\n")
    with socket.create_connection(files.address) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(f"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
                       "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        for byte in body:
            client.sendall(bytes([byte]))
        reply = b"".join(iter(lambda: client.recv(4096), b""))
    assert b" 200 " in reply.split(b"\r\n")[0] and f'"bytes":{len(LINE)}'.encode() in reply


def test_names(files):
    """A path is cut to its last part; only a plain extension becomes part of the name on disk."""
    for name, kept, ending in (("../../etc/passwd", "passwd", ""), ("C:\\data\\训练.jsonl", "训练.jsonl", ".jsonl"),
                               ("a.tsv", "a.tsv", ".tsv"), ("x.j/../../s", "s", ""), ("a.json;l", "a.json;l", "")):
        file = upload(files, LINE, name.replace("\\", "\\\\")).json()
        assert file["filename"] == kept
        assert file["id"] + ending in stored(files)


def test_lists(launch):
    server = launch(models=((None, TINY_DIR),))
    assert server.get("/v1/files").json() == {"object": "list", "data": [], "first_id": None, "last_id": None,
                                              "has_more": False}
    ids = [upload(server, LINE).json()["id"] for _ in range(5)]
    newest_first = server.get("/v1/files").json()
    assert [file["id"] for file in newest_first["data"]] == ids[::-1]
    assert (newest_first["first_id"], newest_first["last_id"], newest_first["has_more"]) == (ids[4], ids[0], False)
    page = server.get("/v1/files?order=asc&limit=2").json()
    assert [file["id"] for file in page["data"]] == ids[:2] and page["has_more"]
    page = server.get(f"/v1/files?order=asc&limit=3&after={page['last_id']}").json()
    assert [file["id"] for file in page["data"]] == ids[2:] and not page["has_more"]
    assert [file["id"] for file in server.get(f"/v1/files?after={ids[1]}").json()["data"]] == [ids[0]]
    assert server.get("/v1/files?purpose=batch").json()["data"] == []
    for query, param in (("limit=0", "limit"), ("limit=x", "limit"), ("order=up", "order"), ("after=file-x", "after")):
        reply = server.get(f"/v1/files?{query}")
        assert reply.status_code in (400, 404) and reply.json()["error"]["param"] == param, query


FORM = "multipart/form-data; boundary=b"
PURPOSE = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n1\r\n'


@pytest.mark.parametrize("content_type, body, status, words", [
    ("application/json", b"{}", 415, "multipart"),
    (None, b"x", 415, "multipart"),
    ("multipart/form-data", b"x", 415, "boundary"),
    ("multipart/form-data; boundary=" + "b" * 71, b"x", 415, "boundary"),
    (FORM, b"", 400, "closing boundary"),
    (FORM, b"nothing", 400, "closing boundary"),
    (FORM, PURPOSE + FILE, 400, "closing boundary"),
    (FORM, PURPOSE + b"--b--", 400, '"file"'),
    (FORM, FILE + b"--b--", 400, '"purpose"'),
    (FORM, PURPOSE + FILE + FILE + b"--b--", 400, "two parts"),
    (FORM, FILE + PURPOSE.replace(b"fine-tune", b"batch") + b"--b--", 400, '"batch"'),
    (FORM, FILE + PURPOSE.replace(b"fine-tune", b"f" * 100) + b"--b--", 400, "purpose"),
    (FORM, PURPOSE + FILE.replace(b"\r\n1\r\n", b"\r\n\r\n") + b"--b--", 400, "empty"),
    (FORM, b"--b\r\nX: y\r\n\r\n1\r\n--b--", 400, "no name"),
    (FORM, b"--b\r\n\r\n1\r\n--b--", 400, "no name"),
    (FORM, b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n1\r\n--b--', 400, "UTF-8"),
    (FORM, b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\n1\r\n--b--", 400, "longer"),
    (FORM, b"--bX\r\n", 400, "followed"),
], ids=range(18))
def test_what_is_wrong_is_told(files, content_type, body, status, words):
    before = stored(files)
    reply = files.request("POST", "/v1/files", data=body, headers={"content-type": content_type} if content_type else {})
    assert reply.status_code == status, reply.text
    assert words in reply.json()["error"]["message"]
    assert becomes(files, before)


def test_too_large(files):
    before = stored(files)
    reply = upload(files, b"x" * (9 << 20))
    assert reply.status_code == 413 and str(8 << 20) in reply.json()["error"]["message"]

    def body():  # of a length that is not told
        yield PURPOSE + FILE[:-3]
        for _ in range(200):
            yield b"x" * 65536

    try:
        reply = requests.post(files.url + "/v1/files", data=body(), headers={"content-type": FORM}, timeout=60)
        assert reply.status_code == 413
    except requests.ConnectionError:
        pass  # the server had said so and closed before all was sent
    assert becomes(files, before) and files.get("/health").status_code == 200


def test_a_client_that_vanishes_leaves_nothing(files):
    before = stored(files)
    for size in (10, 1 << 20):
        with socket.create_connection(files.address) as client:
            client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n"
                           b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + PURPOSE + FILE[:-3] + b"x" * size)
    assert becomes(files, before)


def test_many_uploads_at_once(files):
    contents = [os.urandom(700_000 + n) for n in range(8)]
    replies = [None] * len(contents)

    def client(n):
        replies[n] = requests.post(files.url + "/v1/files", files={"file": ("x", contents[n])},
                                   data={"purpose": "fine-tune"}, timeout=60)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for content, reply in zip(contents, replies):
        assert reply.status_code == 200, reply.text
        assert files.get(f"/v1/files/{reply.json()['id']}/content").content == content


def test_stop_amid_an_upload(launch):
    server = launch(models=((None, TINY_DIR),))
    with socket.create_connection(server.address) as client:
        client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n"
                       b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + PURPOSE + FILE[:-3] + b"x" * 1_000_000)
        time.sleep(0.2)
        assert server.stop() == 0
    assert stored(server) == []


def test_a_restart_keeps_files_and_removes_what_was_not_acknowledged(launch, tmp_path):
    server = launch(models=((None, TINY_DIR),))
    file = upload(server, LINE).json()
    server.process.kill()
    server.process.wait()
    folder = tmp_path / "data" / "files"
    (folder / "file-unknown.jsonl").write_bytes(b"x")
    (folder / f"{file['id']}.jsonl.123.0.tmp").write_bytes(b"x")
    server = launch(models=((None, TINY_DIR),))
    assert server.get(f"/v1/files/{file['id']}/content").content == LINE
    assert stored(server) == [f"{file['id']}.jsonl"]


def test_openai_sdk(files):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=files.url + "/v1", api_key="none", max_retries=0) as client:
        file = client.files.create(file=("faq.jsonl", LINE), purpose="fine-tune")
        assert client.files.retrieve(file.id).filename == "faq.jsonl"
        assert client.files.content(file.id).read() == LINE
        assert file.id in [each.id for each in client.files.list(limit=2)]  # goes through all pages
        assert client.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(file.id)
