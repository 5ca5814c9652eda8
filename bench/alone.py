"""What has no competitor: the table "simbert alone" of bench/README.md. The speed of two threads as a multiple of one's, the time
from the start of a server to its first answer, and whole paraphrase requests with the model that ships. Times are on the
clock."""
import json
import os
import statistics
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from common import Server, options, sentences, write_section

DTYPES = ("f32", "bf16", "int8")


class Alone:
    def __init__(self, arguments, folder):
        self.arguments, self.input = arguments, Path(folder) / "sentences.txt"
        self.input.write_text("\n".join(sentences(arguments)) + "\n", encoding="utf-8")

    def bench(self, cores, what, *more):
        command = ["taskset", "-c", ",".join(map(str, cores)), self.arguments.simbert, "bench", what, "--model",
                   self.arguments.model, "--input", self.input, "--json", *more]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True, encoding="utf-8")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def threads(self, dtype):
        """Tokens/s of one thread and of two."""
        cores = sorted(os.sched_getaffinity(0))
        pairs = []
        for threads in (1, 2):
            result, = self.bench(cores[-threads:], "embed", "--threads", threads, "--dtype", dtype, "--repeat", 1)
            pairs.append(result["tokens_per_second"])
        return pairs

    def ready(self, dtype):
        """Seconds from the start of the process to the answer of GET /health."""
        start = time.perf_counter()
        with Server(self.arguments, "--dtype", dtype) as server:
            assert server.client().send("GET", "/health")[0] == 200
            return time.perf_counter() - start

    def paraphrase(self, dtype):
        """Milliseconds of a request for 20 samples of 12 tokens, and for 4 beams."""
        top_k, _, beam = self.bench([self.arguments.core], "paraphrase", "--count", 20, "--repeat", 1, "--dtype", dtype)
        return top_k["ms_p50"], beam["ms_p50"]


def main():
    arguments = options(__doc__).parse_args()
    lines = ["| | one thread | two threads | two / one | ready | 20 samples, embedded, ranked | 4 beams, embedded, ranked |",
             "|---|---|---|---|---|---|---|"]
    with TemporaryDirectory() as folder:
        alone = Alone(arguments, folder)
        for dtype in DTYPES:
            pairs = [alone.threads(dtype) for _ in range(arguments.repeats)]
            one, two = (statistics.median(column) for column in zip(*pairs))
            ratio = statistics.median(two / one for one, two in pairs)
            alone.ready(dtype)  # warms the page cache
            ready = statistics.median(alone.ready(dtype) for _ in range(arguments.repeats))
            samples, beams = alone.paraphrase(dtype)
            lines.append(f"| {dtype} | {one:,.0f} tokens/s | {two:,.0f} tokens/s | {ratio:.2f} | {ready * 1e3:.0f} ms "
                         f"| {samples:.0f} ms | {beams:.0f} ms |")
    write_section("alone", lines, arguments.dry_run)


main()
