"""What memory a server holds after very many requests: the table "Memory" of bench/README.md.

One server an arithmetic, with its default options, gets embeddings, batches, searches, insertions, paraphrases, similarities,
and requests that are wrong in many ways. Ends with status 1 when it held more than 1.4 times the packed weights and 48 MiB at the
end, or more than a little above what it held after a fifth of the requests, the bounded cache of vectors left out."""
import random
import sys
import threading

from common import Server, options, sentences, write_section

DTYPES = ("f32", "bf16", "int8")
CLIENTS = 4
MIB = 1 << 20
FACTOR, FIXED, GROWTH = 1.4, 48 * MIB, 4 * MIB  # GROWTH: what the heap may still settle by after a fifth of the requests

# Bodies and paths that must be refused with a status below 500.
BAD = (("/embed", b"{"), ("/embed", {"inputs": []}), ("/embed", {"inputs": 7}), ("/embed", {"inputs": ""}),
       ("/v1/embeddings", {"input": [1, 2, 1 << 30], "model": "none"}), ("/v1/embeddings", b"\xff\xfe\x00"),
       ("/v1/paraphrases", {"input": "怎么退货", "n": -1}), ("/v1/paraphrases", {"input": "怎么退货", "top_p": 7}),
       ("/v1/collections/none/similar", {"query": "怎么退货"}), ("/nowhere", {}), ("/embed", b"[" * 5000))


class Mix:
    """One client's requests, in an order that its seed determines."""

    def __init__(self, client, texts, seed):
        self.client, self.texts, self.random, self.sent = client, texts, random.Random(seed), 0

    def text(self):
        """Half of them come again, half never came before."""
        text = self.random.choice(self.texts)
        return text if self.random.random() < 0.5 else f"{text}{self.random.randrange(1 << 30)}"

    def send(self):
        self.sent += 1
        kind = self.random.random()
        if kind < 0.70:
            self.good("/embed", {"inputs": self.text()})
        elif kind < 0.75:
            self.good("/v1/embeddings", {"input": [self.text() for _ in range(8)], "encoding_format": "base64"})
        elif kind < 0.80:
            self.good("/similarity", {"inputs": {"source_sentence": self.text(), "sentences": [self.text()]}})
        elif kind < 0.88:
            self.good("/v1/collections/soak/similar", {"query": self.text(), "top_k": 3})
        elif kind < 0.90:  # ids come again, so that the collection stays as large as it is
            self.good("/v1/collections/soak/sentences",
                      {"sentences": [{"id": f"s{self.random.randrange(200)}", "text": self.text()}]})
        elif kind < 0.92:
            self.good("/v1/paraphrases", {"input": self.text(), "n": 2, "num_candidates": 4, "max_new_tokens": 12})
        else:
            path, body = self.random.choice(BAD)
            status, reply = self.client.send("POST", path, body)
            if not 400 <= status < 500:
                raise SystemExit(f"{path} {body!r} answers {status}: {reply[:200]!r}")

    def good(self, path, body):
        self.client.post(path, body)


class Soak:
    def __init__(self, server, texts, requests):
        self.server, self.requests, self.errors = server, requests, []
        control = server.client()
        control.send("PUT", "/v1/collections/soak", {})
        self.bound = FACTOR * control.metric("simbert_model_bytes") + FIXED
        self.mixes = [Mix(server.client(), texts, seed) for seed in range(CLIENTS)]

    def send_many(self, mix, count):
        try:
            for _ in range(count):
                mix.send()
        except BaseException as error:
            self.errors.append(error)

    def run(self):
        """The memory after each fifth of the requests; also notes what of it is the cache of vectors."""
        memory, self.cached = [], []
        for _ in range(5):
            threads = [threading.Thread(target=self.send_many, args=(mix, self.requests // 5 // CLIENTS)) for mix in self.mixes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if self.errors:
                raise SystemExit(f"a request failed: {self.errors[0]}")
            memory.append(self.server.memory())
            self.cached.append(self.server.client().metric("simbert_vector_cache_bytes"))
        return memory

    def fails(self, memory):
        if memory[-1] > self.bound:
            return f"{memory[-1] / MIB:.0f} MiB are held at the end, {self.bound / MIB:.0f} are allowed"
        first, last = (memory[i] - self.cached[i] for i in (0, -1))
        if last > first + GROWTH:
            return f"memory grew from {first / MIB:.1f} to {last / MIB:.1f} MiB, and the cache"
        return None


def main():
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=100000, help="for each arithmetic (default 100,000)")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default all")
    arguments = parser.parse_args()
    texts, failures = sentences(arguments), []
    parts = [arguments.requests * (i + 1) // 5 for i in range(5)]
    lines = ["| MiB held after requests | " + " | ".join(f"{part:,}" for part in parts) + " | allowed |", "|---|" + "---|" * 6]
    for dtype in arguments.dtype or DTYPES:
        with Server(arguments, "--dtype", dtype) as server:
            soak = Soak(server, texts, arguments.requests)
            memory = soak.run()
        lines.append(f"| {dtype} | " + " | ".join(f"{value / MIB:.1f}" for value in memory) + f" | {soak.bound / MIB:.1f} |")
        print(lines[-1], file=sys.stderr)
        if failure := soak.fails(memory):
            failures.append(f"{dtype}: {failure}")
    write_section("soak", lines, arguments.dry_run)
    sys.exit("\n".join(failures) if failures else 0)


main()
