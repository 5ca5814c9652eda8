"""Runs simbert and its competitors in turn on one core and writes the table of bench/README.md. Called by script/bench.

A repeat measures every program once, so that what else the machine does meets all of them; a ratio is taken within a repeat,
and the table shows medians over the repeats. Time is processor time, everybody's: on one thread of an idle core that is the
time on the clock, and on a busy machine it leaves out what others took."""
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from common import ROOT, models, options, sentences, write_section

F32, BF16, INT8 = ("onnxruntime", "onnxruntime-fused", "ctranslate2"), ("openvino-bf16",), ("ctranslate2-int8",)
EMBEDDERS = F32 + BF16 + INT8
WRITE_F32, WRITE_INT8 = ("ctranslate2-writes", "transformers"), ("ctranslate2-writes-int8",)
PEERS = EMBEDDERS + ("tokenizers",) + WRITE_F32 + WRITE_INT8
TITLES = {"onnxruntime": "onnxruntime", "onnxruntime-fused": "onnxruntime, fused graph",
          "ctranslate2": "ctranslate2, sorted by the caller", "openvino-bf16": "openvino",
          "ctranslate2-int8": "ctranslate2, sorted by the caller", "tokenizers": "tokenizers",
          "transformers": "transformers", "ctranslate2-writes": "ctranslate2", "ctranslate2-writes-int8": "ctranslate2"}
DTYPES = ("f32", "bf16", "int8")
PROMISED = {"simbert bf16": 0.9999, "simbert int8": 0.99}  # lowest cosine to f32, docs/models.md
LONG_TEXTS, LONG_CHARACTERS = 200, 207  # and [CLS] and [SEP]
SOURCES, SOURCE_TOKENS = 20, 13         # [CLS] and [SEP] included
MODES = {"top_k 5": "top_k", "top_p 0.95": "top_p", "beam 4": "beam"}

# What is measured: title, unit, simbert's value, the competitors' field, who is measured, is less better?
ROWS = (
    ("Embedding in arrival order, f32", "tokens/s", "embed-f32", "tokens_per_second", F32, False),
    ("the same, bf16", "tokens/s", "embed-bf16", "tokens_per_second", BF16, False),
    ("the same, int8", "tokens/s", "embed-int8", "tokens_per_second", INT8, False),
    ("One sentence, median, f32", "ms", "single-f32", "single_seconds", F32, True),
    ("the same, bf16", "ms", "single-bf16", "single_seconds", BF16, True),
    ("the same, int8", "ms", "single-int8", "single_seconds", INT8, True),
    ("Long texts, 209 tokens, f32", "tokens/s", "long-f32", "long_tokens_per_second", F32, False),
    ("the same, bf16", "tokens/s", "long-bf16", "long_tokens_per_second", BF16, False),
    ("the same, int8", "tokens/s", "long-int8", "long_tokens_per_second", INT8, False),
    ("Tokenizing", "sentences/s", "tokenize", "sentences_per_second", ("tokenizers",), False),
    ("20 samples of 12 tokens, top-k 5, f32", "ms", "top_k-f32", "top_k_seconds", WRITE_F32, True),
    ("the same, int8", "ms", "top_k-int8", "top_k_seconds", WRITE_INT8, True),
    ("20 samples of 12 tokens, top-p 0.95, f32", "ms", "top_p-f32", "top_p_seconds", WRITE_F32, True),
    ("the same, int8", "ms", "top_p-int8", "top_p_seconds", WRITE_INT8, True),
    ("4 beams, 12 tokens, f32", "ms", "beam-f32", "beam_seconds", WRITE_F32, True),
    ("the same, int8", "ms", "beam-int8", "beam_seconds", WRITE_INT8, True),
)


class Bench:
    def __init__(self, arguments, texts, work):
        self.simbert, self.model, self.core = arguments.simbert, arguments.model, str(arguments.core)
        self.models, self.work = models(arguments), work
        self.options = {name: () for name in PEERS}
        self.sentences = self.write("sentences", texts)
        self.long_texts = self.write("long", long_texts(texts))
        self.sources = self.write("sources", self.choose_sources())

    def write(self, name, lines):
        path = self.work / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def choose_sources(self):
        """The first sentences of SOURCE_TOKENS tokens, all the same amount of work."""
        tokens = self.run(self.simbert, "tokenize", "--model", self.model, "--json", "--input", self.sentences).splitlines()
        texts = self.sentences.read_text(encoding="utf-8").splitlines()
        chosen = [text for text, line in zip(texts, tokens) if len(json.loads(line)["ids"]) == SOURCE_TOKENS][:SOURCES]
        if not chosen:
            sys.exit(f"script/bench: no sentence has {SOURCE_TOKENS} tokens")
        return chosen

    def run(self, *command):
        done = subprocess.run(["taskset", "-c", self.core, *map(str, command)], stdout=subprocess.PIPE, check=True,
                              encoding="utf-8")
        return done.stdout

    def peer(self, name, *options):
        output = self.run(sys.executable, ROOT / "bench" / "peers.py", name, "--models", self.models, "--sentences",
                          self.sentences, "--long-texts", self.long_texts, "--sources", self.sources, *options)
        return json.loads(output.splitlines()[-1])

    def ours(self, what, *options, texts=None, model=None):
        """The objects that simbert bench prints."""
        output = self.run(self.simbert, "bench", what, "--model", model or self.model, "--input", texts or self.sentences,
                          "--threads", 1, "--json", *options)
        return [json.loads(line) for line in output.splitlines()]

    def vectors(self, dtype):
        import numpy as np
        lines = self.run(self.simbert, "embed", "--model", self.model, "--threads", 1, "--json", "--dtype", dtype,
                         "--input", self.sentences).splitlines()
        return np.array([json.loads(line)["embedding"] for line in lines])

    def check(self):
        """The comparison is one of equals: the f32 vectors are the same. Returns the lowest cosine to simbert's f32 of everybody.
        Also finds each one's best batch size, which the repeats then use."""
        import numpy as np
        ours = self.vectors("f32")
        lowest = {f"simbert {dtype}": float((ours * self.vectors(dtype)).sum(1).min()) for dtype in DTYPES[1:]}
        for name in EMBEDDERS:
            found = self.peer(name, "--save", self.work / "vectors.npy")
            self.options[name] = ("--batch-size", found["batch_size"], "--long-batch-size", found["long_batch_size"])
            theirs = np.load(self.work / "vectors.npy")
            theirs /= np.linalg.norm(theirs, axis=-1, keepdims=True)
            lowest[name] = float((ours[:len(theirs)] * theirs).sum(1).min())
        return lowest

    def repeat(self):
        values = {}
        for dtype in DTYPES:
            short, = self.ours("embed", "--repeat", 1, "--dtype", dtype)
            long, = self.ours("embed", "--repeat", 1, "--dtype", dtype, texts=self.long_texts)
            values[f"embed-{dtype}"] = short["tokens"] / short["cpu_seconds"]
            values[f"single-{dtype}"] = short["latency_cpu_ms_p50"] / 1e3
            values[f"long-{dtype}"] = long["tokens"] / long["cpu_seconds"]
            for mode in self.ours("paraphrase", "--repeat", 1, "--dtype", dtype, texts=self.sources,
                                  model=self.models / "generator"):
                values[f"{MODES[mode['mode']]}-{dtype}"] = mode["writing_cpu_ms_p50"] / 1e3
        tokenize, = self.ours("tokenize", "--repeat", 11)
        values["tokenize"] = tokenize["texts"] / tokenize["cpu_seconds"]
        return values, {name: self.peer(name, *self.options[name]) for name in PEERS}


def long_texts(texts):
    """Texts of LONG_CHARACTERS ideographs each, made of the sentences one behind the other."""
    characters = [c for c in "".join(texts) if "\u4e00" <= c <= "\u9fff"]
    characters *= LONG_TEXTS * LONG_CHARACTERS // len(characters) + 1
    return ["".join(characters[i * LONG_CHARACTERS:(i + 1) * LONG_CHARACTERS]) for i in range(LONG_TEXTS)]


def figure(value, unit):
    return f"{value * 1e3:.2f} ms" if unit == "ms" else f"{value:,.0f} {unit}"


def table(repeats):
    lines = ["| | simbert | | | simbert is |", "|---|---|---|---|---|"]
    for title, unit, own, field, peers, less_is_better in ROWS:
        for i, name in enumerate(peers):
            pairs = [(ours[own], theirs[name][field]) for ours, theirs in repeats]
            ratio = statistics.median((b / a if less_is_better else a / b) for a, b in pairs)
            mine, other = (figure(statistics.median(column), unit) for column in zip(*pairs))
            head = "| | |" if i else f"| {title} | {mine} |"
            lines.append(f"{head} {TITLES[name]} | {other} | {ratio:.2f} times as fast |")
    return lines


def processor():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def main():
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=2000, help="sentences (default 2000)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bench = Bench(arguments, sentences(arguments, arguments.count), work)
        last = bench.models / "generator" / "ctranslate2-int8" / "model.bin"
        if not last.exists() or last.stat().st_mtime < (arguments.model / "model.safetensors").stat().st_mtime:
            bench.run(sys.executable, ROOT / "bench" / "models.py", arguments.model, bench.models)
        lowest = bench.check()
        if min(lowest[name] for name in F32) < 0.9999:
            sys.exit(f"script/bench: the programs do not compute the same vectors ({lowest}); nothing to compare")
        if any(lowest[name] < cosine for name, cosine in PROMISED.items()):
            sys.exit(f"script/bench: less exact than promised: {lowest}")
        repeats = []
        for i in range(arguments.repeats):
            repeats.append(bench.repeat())
            print(f"repeat {i + 1} of {arguments.repeats}: {json.dumps(repeats[-1])}", file=sys.stderr)

    versions = ", ".join(f"{name} {importlib.metadata.version(name).split('+')[0]}" for name in
                         ("onnxruntime", "ctranslate2", "openvino", "tokenizers", "transformers", "torch"))
    ours = subprocess.run([arguments.simbert, "--version"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    about = (f"{ours} beside {versions}. {processor()}, one core, {date.today()}. {arguments.count:,} sentences "
             f"({arguments.input_name}), {arguments.repeats} repeats. Lowest cosine to simbert's f32 vectors: "
             + ", ".join(f"{name} {cosine:.6f}" for name, cosine in lowest.items()) + ".")
    write_section("figures", table(repeats) + ["", about], arguments.dry_run)


main()
