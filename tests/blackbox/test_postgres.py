"""Collections in PostgreSQL with pgvector: several servers that share a database, one that goes away and comes back.

The database is that of the Python package pgserver (script/bootstrap --test), whose programs run as they are; without
it the tests are skipped. It takes TCP connections of this machine only, in a folder that is removed."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest

from conftest import ROOT, SIMBERT, TINY_DIR, Server

PACKAGES = sorted((ROOT / "build" / "venv").glob("lib/python3*/site-packages/pgserver/pginstall"))
pytestmark = pytest.mark.skipif(not PACKAGES, reason="no pgserver (PostgreSQL with pgvector) in build/venv")
TINY = (("tiny", TINY_DIR),)
TEXTS = ["怎么退货", "如何申请退款", "花呗怎么还款", "今天天气不错", "明天会下雨吗", "密码忘了怎么办"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """A database that can be stopped and started; as root it runs as nobody, who can not read what root keeps."""

    def __init__(self, folder):
        self.user = "nobody" if os.geteuid() == 0 else None
        self.programs = PACKAGES[0]
        if self.user:
            libraries = PACKAGES[0].parent.parent / "pgserver.libs"
            if libraries.exists():
                shutil.copytree(libraries, folder / "pgserver.libs")
            self.programs = folder / "pgserver" / "pginstall"
            shutil.copytree(PACKAGES[0], self.programs)
            os.chmod(folder, 0o755)
        self.data = folder / "database"
        self.data.mkdir(mode=0o700)
        if self.user:
            os.chown(self.data, pwd.getpwnam(self.user).pw_uid, -1)
        self.port, self.process = free_port(), None
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
                  "--no-sync")

    def _run(self, program, *arguments):
        done = subprocess.run([self.programs / "bin" / program, *arguments], cwd="/", user=self.user,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self):
        with open(self.data.parent / "postgres.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "bin" / "postgres", "-D", self.data, "-p", str(self.port), "-c",
                 "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"],
                cwd="/", user=self.user, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                return self.sql("SELECT 1")
            except AssertionError:
                time.sleep(0.1)
        raise RuntimeError("the database did not start")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # "fast": it ends its connections
            self.process.wait(60)

    def sql(self, statement):
        return self._run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url).strip()


@pytest.fixture(scope="module")
def postgres():
    with tempfile.TemporaryDirectory() as folder:
        database = Postgres(Path(folder))
        database.start()
        yield database
        database.stop()


@pytest.fixture
def replica(postgres, tmp_path):
    """Starts servers on the database, each with a data directory of its own. All must stop cleanly."""
    started = []

    def start(*arguments, url=None):
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Server(folder, "--store", url or postgres.url, *arguments, models=TINY))
        return started[-1]

    yield start
    for running in started:
        assert running.process.poll() is None, running.log()
        assert running.stop() == 0, running.log()


@pytest.fixture(scope="module")
def pair(postgres, tmp_path_factory):
    servers = [Server(tmp_path_factory.mktemp("replica"), "--store", postgres.url, models=TINY) for _ in range(2)]
    yield servers
    for server in servers:
        assert server.stop() == 0, server.log()


@pytest.fixture
def name(pair):
    name = f"c-{uuid.uuid4().hex[:12]}"
    assert pair[0].put(f"/v1/collections/{name}").status_code == 201
    yield name
    pair[0].delete(f"/v1/collections/{name}")


def put(server, name, texts=TEXTS, first=0):
    body = {"sentences": [{"id": str(first + i), "text": text, "metadata": {"n": first + i}}
                          for i, text in enumerate(texts)]}
    reply = server.post(f"/v1/collections/{name}/sentences", body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def similar(server, name, query, **options):
    reply = server.post(f"/v1/collections/{name}/similar", {"query": query, **options})
    assert reply.status_code == 200, reply.text
    return reply.json()["data"][0]["matches"]


def test_what_one_stores_the_other_finds(pair, name):
    first, second = pair
    done = put(first, name)
    assert (done["inserted"], done["updated"]) == (len(TEXTS), 0)
    done = put(second, name, ["怎样退货"])
    assert (done["inserted"], done["updated"]) == (0, 1)
    path = f"/v1/collections/{name}"
    assert second.get(path + "/count").json() == {"count": len(TEXTS)}
    assert first.get(path + "/sentences/0").json() == {"object": "sentence", "id": "0", "text": "怎样退货",
                                                       "metadata": {"n": 0}}
    assert similar(first, name, "怎样退货", top_k=1)[0]["score"] == pytest.approx(1, abs=1e-5)
    assert second.post(path + "/delete", {"ids": ["0", "1", "none"]}).json() == {"deleted": 2}
    assert [item["id"] for item in first.get(path + "/sentences").json()["data"]] == ["2", "3", "4", "5"]


def test_the_same_answers_as_from_a_file(pair, name, launch):
    """Scores, their order, pages, words: as SQLite's."""
    alone = launch(models=TINY)
    assert alone.put(f"/v1/collections/{name}").status_code == 201
    texts = TEXTS + ["退货", "退款，退款！", "iPhone15 怎么退货", "退"] + [f"第{i}个问题怎么办" for i in range(90)]
    for server in (alone, pair[0]):
        put(server, name, texts)
        put(server, name, ["怎么退货呢"], first=3)
    for mode in ("vector", "lexical", "hybrid"):
        for query in ("怎么退货", "退", "iphone15", "第7个问题", "没有"):
            ours, theirs = (similar(server, name, query, mode=mode, top_k=20) for server in (pair[1], alone))
            assert [m["id"] for m in ours] == [m["id"] for m in theirs], (mode, query)
            for a, b in zip(ours, theirs):
                assert a["score"] == pytest.approx(b["score"], rel=1e-4, abs=1e-5), (mode, query)
                assert a["text"] == b["text"] and a["metadata"] == b["metadata"]
    pages = [server.get(f"/v1/collections/{name}/sentences", params={"after": "50", "limit": 7}).json()
             for server in (pair[1], alone)]
    assert pages[0] == pages[1]


def test_filters_that_keep_little(pair, name):
    body = {"sentences": [{"id": str(i), "text": f"第{i}个问题", "metadata": {"rare": i % 100 == 0}}
                          for i in range(2000)]}
    assert pair[0].post(f"/v1/collections/{name}/sentences", body).status_code == 200
    for mode in ("vector", "lexical", "hybrid"):
        found = similar(pair[1], name, "第7个问题", mode=mode, top_k=10, filter={"rare": True})
        assert len(found) == 10 and all(match["metadata"] == {"rare": True} for match in found)
    assert similar(pair[1], name, "第7个问题", filter={"rare": 1}) == []


def test_collections_and_aliases(pair):
    first, second = pair
    path = "/v1/collections/pg-a"
    assert first.put(path).status_code == 201 and second.put(path).status_code == 200
    put(first, "pg-a")
    created = second.get(path).json()
    assert created["count"] == len(TEXTS) and created["vectors"] == "f32"
    assert created in second.get("/v1/collections").json()["data"]
    assert first.put("/v1/collection-aliases/pg-b", {"collection": "pg-a"}).status_code == 200
    assert similar(second, "pg-b", "怎么退货", top_k=1)
    assert second.put("/v1/collections/pg-b").status_code == 409
    assert second.delete("/v1/collections/pg-b").status_code == 409
    assert second.delete(path).status_code == 200
    assert first.get(path).status_code == 404 and first.get("/v1/collections/pg-b").status_code == 404


@pytest.mark.parametrize("vectors", ["f16", "int16", "int8"])
def test_what_is_not_offered_says_so(pair, vectors):
    reply = pair[0].put("/v1/collections/pg-form", {"vectors": vectors})
    assert reply.status_code == 400 and vectors in reply.text and "PostgreSQL" in reply.text


def test_text_with_nul_is_refused_whole(pair, name):
    body = {"sentences": [{"id": "1", "text": "好"}, {"id": "2", "text": "a\0b"}]}
    reply = pair[0].post(f"/v1/collections/{name}/sentences", body)
    assert reply.status_code == 400, reply.text
    assert pair[0].get(f"/v1/collections/{name}/count").json() == {"count": 0}


def test_odd_names_are_values(pair, name):
    for id in ("'; DROP TABLE simbert.collections; --", "$1", "%s", "\\", "退货 1"):
        assert pair[0].post(f"/v1/collections/{name}/sentences",
                            {"sentences": [{"id": id, "text": id, "metadata": {"'": '"\\'}}]}).status_code == 200
        quoted = "".join(f"%{byte:02X}" for byte in id.encode())
        found = pair[1].get(f"/v1/collections/{name}/sentences/{quoted}").json()
        assert (found["id"], found["text"], found["metadata"]) == (id, id, {"'": '"\\'})


def follow(server, name, count):
    """Reads pages, each from behind the last sentence of the one before, until so many are seen."""
    seen, after, end = [], None, time.monotonic() + 100
    while len(seen) < count and time.monotonic() < end:
        parameters = {"limit": 1000} if after is None else {"limit": 1000, "after": after}
        page = server.get(f"/v1/collections/{name}/sentences", params=parameters).json()["data"]
        seen += [item["id"] for item in page]
        after = seen[-1] if seen else None
    return seen


def test_writers_of_both_lose_nothing(pair, name):
    """Nor does one who follows what they write: sentences come into sight in the order of their sequence."""
    failures, rounds, size = [], 4, 2000

    def write(server, first):
        try:
            for i in range(rounds):
                put(server, name, [f"句子{j}" for j in range(size)], first=first + size * i)
        except AssertionError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(server, 100000 * i)) for i, server in enumerate(pair)]
    for thread in threads:
        thread.start()
    seen = follow(pair[0], name, 2 * rounds * size)
    for thread in threads:
        thread.join()
    assert not failures
    assert pair[1].get(f"/v1/collections/{name}/count").json() == {"count": 2 * rounds * size}
    assert len(seen) == len(set(seen)) == 2 * rounds * size


def test_the_database_restarts(postgres, pair, name):
    put(pair[0], name)
    postgres.stop()
    path = f"/v1/collections/{name}"
    for server in pair:
        for reply in (server.get(path), server.post(path + "/similar", {"query": "退"}),
                      server.post(path + "/sentences", {"sentences": [{"id": "9", "text": "x"}]})):
            assert reply.status_code == 503 and "PostgreSQL 127.0.0.1" in reply.text, reply.text
        assert server.get("/health").status_code == 200
        assert server.post("/v1/embeddings", {"input": "退"}).status_code == 200
    postgres.start()
    for server in pair:
        end = time.monotonic() + 10
        while server.get(path).status_code == 503 and time.monotonic() < end:
            time.sleep(0.1)
        assert server.get(path + "/count").json() == {"count": len(TEXTS)}
    postgres.stop()
    postgres.start()  # within a moment in which nobody asked: stale connections are no error
    for server in pair:
        assert len(similar(server, name, "怎么退货", top_k=2)) == 2


def test_a_server_starts_before_its_database(postgres, replica, name):
    postgres.stop()
    server = replica()
    assert "does not answer" in server.log()
    assert server.get("/v1/collections").status_code == 503
    postgres.start()
    end = time.monotonic() + 10
    while server.get("/v1/collections").status_code == 503 and time.monotonic() < end:
        time.sleep(0.1)
    assert server.get(f"/v1/collections/{name}").status_code == 200


def test_an_older_schema_is_brought_up_to_date(postgres, replica):
    base = postgres.url.rsplit("/", 1)[0]
    name = f"d{uuid.uuid4().hex[:12]}"
    postgres.sql(f"CREATE DATABASE {name}")
    url = f"{base}/{name}"
    server = replica(url=url)
    assert server.put("/v1/collections/old").status_code == 201
    put(server, "old")
    here = Postgres.__new__(Postgres)
    here.programs, here.user, here.url = postgres.programs, postgres.user, url
    here.sql("DROP TABLE simbert.aliases; UPDATE simbert.schema_version SET steps = 1")
    both = [replica(url=url), replica(url=url)]
    assert here.sql("SELECT steps FROM simbert.schema_version") == "2"
    for server in both:
        assert similar(server, "old", "怎么退货", top_k=1)[0]["text"] == "怎么退货"
    here.sql("UPDATE simbert.schema_version SET steps = 99")
    with pytest.raises(RuntimeError, match="newer simbert"):
        replica(url=url)


def test_the_units(postgres):
    """Bits of vectors, and the index of a large collection: the unit tests, with a database."""
    program = SIMBERT.parent / "tests" / "retrieval" / "test_postgres"
    if not program.exists():
        pytest.skip("the unit tests are not built")
    done = subprocess.run([program], cwd=ROOT, env={**os.environ, "SIMBERT_TEST_POSTGRES": postgres.url},
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "Checks: 5" in done.stdout, done.stdout + done.stderr


def test_a_bad_url_is_refused_without_its_password(replica):
    with pytest.raises(RuntimeError) as failure:
        replica(url="postgresql://user:secret%zz@127.0.0.1/x")
    assert "can not be read" in str(failure.value) and "secret" not in str(failure.value)


def test_one_server_a_data_directory(postgres, replica, tmp_path):
    replica()
    with pytest.raises(RuntimeError, match="another simbert server"):
        Server(tmp_path / "0", "--store", postgres.url, models=TINY)
