"""How the cost of a token grows with the length of the texts and with their number: bench/growth-length.svg and
bench/growth-rows.svg, and the table of bench/README.md. Every point is measured in turn, several times over: medians are shown."""
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from common import ROOT, options, sentences, write_section

DTYPES = {"f32": "#1b6ca8", "bf16": "#2a9d5c", "int8": "#c8553d"}
LENGTHS, ROWS, ROW_LENGTH, TOKENS = (16, 32, 64, 128, 256, 512), (1, 2, 4, 8, 32, 128, 512), 16, 8192
PACKED_LOW, LENGTH_HIGH = 32, 256  # where the cost of a token is to stay about the same


class Growth:
    def __init__(self, arguments, work):
        self.simbert, self.core, self.path = arguments.simbert, str(arguments.core), work / "texts.txt"
        self.characters = [c for c in "".join(sentences(arguments)) if "\u4e00" <= c <= "\u9fff"]

    def tokens_per_second(self, length, rows, dtype):
        """rows texts of length tokens each, [CLS] and [SEP] included; by processor time."""
        n, times = length - 2, max(1, TOKENS // (length * rows))
        doubled = self.characters * (rows * n // len(self.characters) + 2)
        self.path.write_text("".join("".join(doubled[i * n:(i + 1) * n]) + "\n" for i in range(rows)), encoding="utf-8")
        done = subprocess.run(["taskset", "-c", self.core, self.simbert, "bench", "embed", "--input", self.path,
                               "--dtype", dtype, "--threads", "1", "--repeat", str(times), "--json"], stdout=subprocess.PIPE,
                              check=True, encoding="utf-8")
        result = json.loads(done.stdout.splitlines()[0])
        return result["tokens"] / result["cpu_seconds"]


def plot(title, xs, curves):
    """Curves over xs, evenly spaced because they double; the y axis starts at 0."""
    width, height, left, top, bottom = 640, 360, 70, 40, 50
    most = max(max(ys) for ys in curves.values()) * 1.1

    def x(i):
        return left + i * (width - left - 80) / (len(xs) - 1)

    def y(value):
        return height - bottom - value / most * (height - top - bottom)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="{left}" y="22" font-size="14">{title}</text>']
    step = 10 ** (len(str(int(most))) - 1)
    for value in range(0, int(most) + 1, step if most / step > 3 else step // 2):
        out.append(f'<line x1="{left}" y1="{y(value):.0f}" x2="{width - 80}" y2="{y(value):.0f}" stroke="#ddd"/>'
                   f'<text x="{left - 8}" y="{y(value) + 4:.0f}" text-anchor="end">{value:,}</text>')
    for i, label in enumerate(xs):
        out.append(f'<text x="{x(i):.0f}" y="{height - bottom + 20}" text-anchor="middle">{label}</text>')
    for name, ys in curves.items():
        points = " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in enumerate(ys))
        out.append(f'<polyline points="{points}" fill="none" stroke="{DTYPES[name]}" stroke-width="2"/>'
                   f'<text x="{x(len(xs) - 1) + 8:.0f}" y="{y(ys[-1]) + 4:.0f}" fill="{DTYPES[name]}">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def flatness(by_length, by_rows):
    speeds = [speed for length, speed in zip(LENGTHS, by_length) if length <= LENGTH_HIGH]
    speeds += [speed for rows, speed in zip(ROWS, by_rows) if rows * ROW_LENGTH >= PACKED_LOW]
    return min(speeds) / max(by_length + by_rows)


def table(head, xs, curves):
    lines = [f"| {head} | " + " | ".join(map(str, xs)) + " |", "|---|" + "---|" * len(xs)]
    return lines + [f"| {name} | " + " | ".join(f"{value:,.0f}" for value in ys) + " |" for name, ys in curves.items()]


def main():
    arguments = options(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        growth = Growth(arguments, Path(folder))
        points = [(dtype, length, TOKENS // length) for dtype in DTYPES for length in LENGTHS]
        points += [(dtype, ROW_LENGTH, rows) for dtype in DTYPES for rows in ROWS]
        rounds = [[growth.tokens_per_second(length, rows, dtype) for dtype, length, rows in points]
                  for _ in range(arguments.repeats)]
    medians = [statistics.median(speeds) for speeds in zip(*rounds)]
    split = len(DTYPES) * len(LENGTHS)
    by_length = {dtype: medians[i * len(LENGTHS):(i + 1) * len(LENGTHS)] for i, dtype in enumerate(DTYPES)}
    by_rows = {dtype: medians[split + i * len(ROWS):split + (i + 1) * len(ROWS)] for i, dtype in enumerate(DTYPES)}
    lines = table("tokens a text", LENGTHS, by_length) + [""] + table(f"texts of {ROW_LENGTH} tokens", ROWS, by_rows)
    lines += ["", f"The slowest from {PACKED_LOW} tokens in a call to {LENGTH_HIGH} a text, as a part of the best: "
              + ", ".join(f"{dtype} {flatness(by_length[dtype], by_rows[dtype]):.2f}" for dtype in DTYPES) + "."]
    if not arguments.dry_run:
        plots = {"growth-length": plot("tokens/s by the texts' length in tokens", LENGTHS, by_length),
                 "growth-rows": plot(f"tokens/s by the number of texts of {ROW_LENGTH} tokens in a call", ROWS, by_rows)}
        for name, picture in plots.items():
            (ROOT / "bench" / f"{name}.svg").write_text(picture, encoding="utf-8")
    write_section("growth", lines, arguments.dry_run)


main()
