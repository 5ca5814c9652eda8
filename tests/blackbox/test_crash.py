"""kill -9 of the server at random moments of concurrent changes and searches: after each restart every acknowledged change
is there, none is half made, and searches find what is there. SIMBERT_TEST_KILLS says how many times (default 4)."""
import os
import random
import threading
import time

import requests

import conftest

KILLS = int(os.environ.get("SIMBERT_TEST_KILLS", "4"))
WRITERS, GROUPS, GROUP = 2, 12, 4
PATH = "/v1/collections/c"
GONE = -1


def ids_of(writer, group):
    return [f"{writer}-{group}-{i}" for i in range(GROUP)]


def text_of(writer, group, version, i):
    return f"第{writer}组{group}号版本{version}之{i}"


class Writer(threading.Thread):
    """Changes whole groups of sentences until the server is gone. `known` is what was acknowledged, group -> version;
    `under_way` the change that was not, (group, version)."""

    def __init__(self, url, number, known, first):
        super().__init__()
        self.url, self.number, self.known, self.next, self.under_way = url, number, known, first, None
        self.problem = None

    def change(self, session, group, version):
        ids = ids_of(self.number, group)
        if version == GONE and random.random() < 0.5:
            reply = session.post(self.url + PATH + "/delete", json={"ids": ids}, timeout=60)
        elif version == GONE:
            reply = session.post(self.url + PATH + "/delete", timeout=60,
                                 json={"filter": {"writer": self.number, "group": group}})
        else:
            sentences = [{"id": id, "text": text_of(self.number, group, version, i),
                          "metadata": {"writer": self.number, "group": group, "version": version}}
                         for i, id in enumerate(ids)]
            reply = session.post(self.url + PATH + "/sentences", json={"sentences": sentences}, timeout=60)
        if reply.status_code != 200:
            self.problem = f"{reply.status_code}: {reply.text}"
        return reply.status_code == 200

    def run(self):
        session = requests.Session()
        try:
            while not self.problem:
                group = random.randrange(GROUPS)
                self.under_way = (group, GONE if random.random() < 0.25 else self.next)
                self.next += 1
                if self.change(session, *self.under_way):
                    self.known[self.under_way[0]] = self.under_way[1]
                    self.under_way = None
        except requests.RequestException:
            pass


class Asker(threading.Thread):
    """Searches until the server is gone: every reply that comes is whole."""

    def __init__(self, url):
        super().__init__()
        self.url, self.problem = url, None

    def run(self):
        session = requests.Session()
        modes = ["vector", "lexical", "hybrid"]
        try:
            while not self.problem:
                body = {"query": text_of(0, random.randrange(GROUPS), 3, 1), "mode": random.choice(modes)}
                reply = session.post(self.url + PATH + "/similar", json=body, timeout=60)
                if reply.status_code != 200 or "matches" not in reply.json()["data"][0]:
                    self.problem = f"{reply.status_code}: {reply.text}"
        except requests.RequestException:
            pass


def stored_groups(server):
    """(writer, group) -> the set of (place in the group, text)."""
    groups, after = {}, None
    while True:
        page = server.get(PATH + "/sentences", params={"limit": 100, **({"after": after} if after else {})}).json()["data"]
        if not page:
            return groups
        for sentence in page:
            writer, group, i = map(int, sentence["id"].split("-"))
            assert sentence["metadata"]["group"] == group
            groups.setdefault((writer, group), set()).add((i, sentence["text"]))
        after = page[-1]["id"]


def whole(writer, group, version):
    return None if version == GONE else {(i, text_of(writer, group, version, i)) for i in range(GROUP)}


def check_changes(server, writers):
    """What is stored is what was acknowledged, or that with the change that was under way; then that is what is known."""
    stored = stored_groups(server)
    for writer in writers:
        for group in range(GROUPS):
            found = stored.get((writer.number, group))
            if found == whole(writer.number, group, writer.known.get(group, GONE)):
                continue
            assert writer.under_way and writer.under_way[0] == group, (writer.number, group, found, writer.known.get(group))
            assert found == whole(writer.number, group, writer.under_way[1]), (writer.number, *writer.under_way, found)
            writer.known[group] = writer.under_way[1]
    assert server.get(PATH + "/count").json()["count"] == sum(map(len, stored.values()))
    return stored


def check_searches(server, stored):
    for writer, group in random.sample(sorted(stored), min(4, len(stored))):
        i, text = random.choice(sorted(stored[writer, group]))
        for mode in ("vector", "lexical"):
            reply = server.post(PATH + "/similar", {"query": text, "mode": mode, "top_k": 2 * GROUP}).json()
            assert text in [match["text"] for match in reply["data"][0]["matches"]], (mode, text, reply)
    for writer in range(WRITERS):
        for group in range(GROUPS):
            if (writer, group) not in stored:
                body = {"query": "版本", "filter": {"writer": writer, "group": group}}
                reply = server.post(PATH + "/similar", body)
                assert reply.json()["data"][0]["matches"] == []
                return


def test_killed_at_any_moment(launch):
    random.seed(7)
    known, first = [{} for _ in range(WRITERS)], 1
    for kill in range(KILLS + 1):
        server = launch(models=(("tiny", conftest.TINY_DIR),))
        if kill == 0:
            assert server.put(PATH, {"vectors": "int16"}).status_code in (200, 201)
        else:
            stored = check_changes(server, writers)
            check_searches(server, stored)
        if kill == KILLS:
            return
        writers = [Writer(server.url, i, known[i], first) for i in range(WRITERS)]
        threads = [*writers, Asker(server.url)]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.01, 0.4))
        server.process.kill()
        server.process.wait()
        for thread in threads:
            thread.join()
            assert thread.problem is None, thread.problem
        first = max(writer.next for writer in writers)
