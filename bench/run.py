"""Runs simbert and its competitors in turn on one core and writes the table of bench/README.md. Called by script/bench.

A repeat measures every program once, so that what else the machine does meets all of them; a ratio is taken within a repeat,
and the table shows medians over the repeats. Time is processor time, everybody's: on one thread of an idle core that is the
time on the clock, and on a busy machine it leaves out what others took."""
import argparse
import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "bench" / "README.md"
F32, BF16, INT8 = ("onnxruntime", "onnxruntime-fused", "ctranslate2"), ("openvino-bf16",), ("ctranslate2-int8",)
EMBEDDERS = F32 + BF16 + INT8
PEERS = EMBEDDERS + ("tokenizers", "transformers")
TITLES = {"onnxruntime": "onnxruntime", "onnxruntime-fused": "onnxruntime, fused graph",
          "ctranslate2": "ctranslate2, sorted by the caller", "openvino-bf16": "openvino",
          "ctranslate2-int8": "ctranslate2, sorted by the caller", "tokenizers": "tokenizers",
          "transformers": "transformers"}
DTYPES = ("f32", "bf16", "int8")
LONG_TEXTS, LONG_CHARACTERS = 200, 207  # and [CLS] and [SEP]

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
    ("Paraphrasing: 20 samples of 12 tokens", "ms", "paraphrase", "request_seconds", ("transformers",), True),
)


class Bench:
    def __init__(self, arguments, sentences, work):
        self.simbert, self.model, self.core = arguments.simbert, arguments.model, str(arguments.core)
        self.models, self.sentences, self.work = arguments.models, sentences, work
        self.options = {name: () for name in PEERS}
        self.long_texts = write_long_texts(sentences, work)

    def run(self, *command):
        done = subprocess.run(["taskset", "-c", self.core, *map(str, command)], stdout=subprocess.PIPE, check=True,
                              encoding="utf-8")
        return done.stdout

    def peer(self, name, *options):
        output = self.run(sys.executable, ROOT / "bench" / "peers.py", name, "--models", self.models, "--sentences",
                          self.sentences, "--long-texts", self.long_texts, *options)
        return json.loads(output.splitlines()[-1])

    def ours(self, what, *options, texts=None):
        output = self.run(self.simbert, "bench", what, "--model", self.model, "--input", texts or self.sentences,
                          "--threads", 1, "--json", *options)
        return json.loads(output.splitlines()[0])

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
            short = self.ours("embed", "--repeat", 1, "--dtype", dtype)
            long = self.ours("embed", "--repeat", 1, "--dtype", dtype, texts=self.long_texts)
            values[f"embed-{dtype}"] = short["tokens"] / short["cpu_seconds"]
            values[f"single-{dtype}"] = short["latency_cpu_ms_p50"] / 1e3
            values[f"long-{dtype}"] = long["tokens"] / long["cpu_seconds"]
        tokenize = self.ours("tokenize", "--repeat", 11)
        values["tokenize"] = tokenize["texts"] / tokenize["cpu_seconds"]
        values["paraphrase"] = self.ours("paraphrase", "--repeat", 1, "--count", 20)["cpu_ms_p50"] / 1e3
        return values, {name: self.peer(name, *self.options[name]) for name in PEERS}


def write_long_texts(sentences, work):
    """Texts of LONG_CHARACTERS ideographs each, made of the sentences one behind the other."""
    characters = [c for c in sentences.read_text(encoding="utf-8") if "\u4e00" <= c <= "\u9fff"]
    characters *= LONG_TEXTS * LONG_CHARACTERS // len(characters) + 1
    path = work / "long.txt"
    path.write_text("".join("".join(characters[i * LONG_CHARACTERS:(i + 1) * LONG_CHARACTERS]) + "\n"
                            for i in range(LONG_TEXTS)), encoding="utf-8")
    return path


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


def write(lines):
    """Puts the lines between README's marks."""
    text = README.read_text(encoding="utf-8")
    body = "<!-- figures -->\n" + "\n".join(lines) + "\n<!-- /figures -->"
    text = re.sub(r"<!-- figures -->.*<!-- /figures -->", lambda _: body, text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")


def take_sentences(arguments, work):
    """The input, repeated or cut to the number of sentences asked for, in a file that all programs read."""
    if arguments.input:
        text = arguments.input.read_text(encoding="utf-8")
    else:
        text = subprocess.run([arguments.simbert, "bench", "texts", "--count", str(arguments.count)], stdout=subprocess.PIPE,
                              check=True, encoding="utf-8").stdout
    lines = [line for line in text.splitlines() if line]
    if not lines:
        sys.exit(f"script/bench: no sentences in {arguments.input}")
    chosen = (lines * (arguments.count // len(lines) + 1))[:arguments.count]
    path = work / "sentences.txt"
    path.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    return path


def main():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--input", type=Path, help="sentences, one a line (default simbert bench texts)")
    parser.add_argument("--input-name", default="simbert bench texts", help="what the table calls them")
    parser.add_argument("--count", type=int, default=2000, help="sentences (default 2000)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)),
                        help="the core to run on (default the last)")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "simbert-small-zh")
    parser.add_argument("--simbert", type=Path, default=ROOT / "build" / "simbert")
    parser.add_argument("--models", type=Path,
                        help="folder of the competitors' model files (default below build/bench-models)")
    parser.add_argument("--dry-run", action="store_true", help="print the table, leave bench/README.md alone")
    arguments = parser.parse_args()
    arguments.models = arguments.models or ROOT / "build" / "bench-models" / arguments.model.name

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bench = Bench(arguments, take_sentences(arguments, work), work)
        last = arguments.models / "ctranslate2" / "model.bin"
        if not last.exists() or last.stat().st_mtime < (arguments.model / "model.safetensors").stat().st_mtime:
            bench.run(sys.executable, ROOT / "bench" / "models.py", arguments.model, arguments.models)
        lowest = bench.check()
        if min(lowest[name] for name in F32) < 0.9999:
            sys.exit(f"script/bench: the programs do not compute the same vectors ({lowest}); nothing to compare")
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
    lines = table(repeats) + ["", about]
    print("\n".join(lines))
    if not arguments.dry_run:
        write(lines)


main()
