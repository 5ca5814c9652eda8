"""How long one sentence takes while others send batches and paraphrases: the table "Beside long work" of bench/README.md.

Idle and loaded phases alternate against one server on one core; the ratio of the 99th percentiles is taken within a pair of
phases, and its median over the pairs is shown. All clients run on the other cores, those that load it with the lowest priority,
so that what is measured is the server."""
import multiprocessing
import os
import statistics
import time

from common import Server, options, sentences, write_section

DTYPES = ("f32", "bf16", "int8")
BATCH, PAUSE, WARM_UP = 32, 0.002, 50
SETTLE = 0.5  # seconds


def send_long_work(host, port, bodies, path, going):
    from common import Client
    os.nice(19)
    client, i = Client(host, port), 0
    while going.value:
        client.post(path, bodies[i % len(bodies)])
        i += 1


def quantile(values, p):
    values = sorted(values)
    return values[min(int(p * len(values)), len(values) - 1)]


class Phases:
    def __init__(self, server, texts, count):
        self.server, self.texts, self.count, self.at = server, texts, count, 0
        batches = [{"inputs": texts[i:i + BATCH]} for i in range(0, len(texts) - BATCH + 1, BATCH)]
        paraphrases = [{"input": text, "n": 5, "num_candidates": 20} for text in texts[::7]]
        self.load = (("/embed", batches), ("/v1/paraphrases", paraphrases))

    def singles(self):
        """Seconds of each of count sentences, one after the other, with a pause in between."""
        client, seconds = self.server.client(), []
        for i in range(self.count + WARM_UP):
            text = self.texts[self.at % len(self.texts)]
            self.at += 1
            start = time.perf_counter()
            client.post("/embed", {"inputs": text})
            if i >= WARM_UP:
                seconds.append(time.perf_counter() - start)
            time.sleep(PAUSE)
        return seconds

    def pair(self):
        idle = self.singles()
        going = multiprocessing.Value("b", 1)
        others = [multiprocessing.Process(target=send_long_work, args=(self.server.host, self.server.port, bodies, path, going))
                  for path, bodies in self.load]
        for other in others:
            other.start()
        time.sleep(SETTLE)
        self.at -= self.count + WARM_UP  # the same sentences
        loaded = self.singles()
        going.value = 0
        for other in others:
            other.join()
        return idle, loaded


def measure(arguments, dtype, texts):
    with Server.on_one_core(arguments, "--dtype", dtype) as server:
        phases = Phases(server, texts, arguments.count)
        pairs = [phases.pair() for _ in range(arguments.repeats)]
    columns = [[quantile(phase, p) * 1e3 for phase in phases] for phases in zip(*pairs) for p in (0.5, 0.99)]
    ratios = [loaded / idle for idle, loaded in zip(columns[1], columns[3])]
    return [statistics.median(column) for column in columns] + [statistics.median(ratios), min(ratios), max(ratios)]


def main():
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=500, help="sentences a phase (default 500)")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default all")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {arguments.core} or {arguments.core})
    texts = sentences(arguments)
    lines = ["| one sentence a request | idle: median | idle: 99 % | loaded: median | loaded: 99 % | 99 %, loaded / idle |",
             "|---|---|---|---|---|---|"]
    for dtype in arguments.dtype or DTYPES:
        *times, ratio, least, most = measure(arguments, dtype, texts)
        lines.append(f"| {dtype} | " + " | ".join(f"{value:.1f} ms" for value in times)
                     + f" | {ratio:.1f} ({least:.1f} to {most:.1f}) |")
    write_section("latency", lines, arguments.dry_run)


main()
