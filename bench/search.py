#!/usr/bin/env python3
"""Similar sentences beside faiss-cpu, hnswlib and usearch from PyPI, on the same vectors in one run, on one thread.

    bench/search.py [--rows 100000] [--vectors FILE.f32] [--approximate | --sizes] [--keep FOLDER] [--only WORD]

Without --vectors, sentences that simbert makes up are embedded with its default model. More rows than there are vectors are
made of them: a vector and a part of the difference of two others, of length 1, which lies where sentence vectors lie. Queries
are real vectors that are not among the rows.

Times are processor time of the searching thread: what other programs on the machine take is left out, but not what they take
of its memory's bandwidth. --sizes compares all and searches the graph of simbert, for collections of several sizes. An
approximate search looks at so many candidates that it finds TARGET of the true neighbours: the
least of SEARCHING that does; simbert at as many as it always does. With --keep, vectors and graphs stay in a folder and are
used again, so that graphs can be built at any time and be measured together. Prints the table; bench/search.md keeps what was measured, and says how to install what this needs."""
import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import ROOT, sentences

DIMENSIONS, TOP_K, REPEATS, PART = 512, 10, 3, 0.5
LIBRARIES = ("retrieval", "kernels", "base")
SYSTEM = ("-lsqlite3", "-lstdc++", "-lcjson", "-lutf8proc", "-lm", "-lpthread")
# M and candidates while building: for all. Candidates while searching: the least of these that reaches the recall.
LINKS, BUILDING, SEARCHING, TARGET = 16, 120, (20, 35, 50, 75, 100, 150, 200, 300, 400, 600, 1000), 0.98


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embedded(arguments, count):
    lines = "\n".join(dict.fromkeys(sentences(arguments, count)))
    text = subprocess.run([arguments.simbert, "embed", "--model", arguments.model, "--progress", "never", "--threads", "1"],
                          input=lines, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    return unit(np.array([line.split() for line in text.splitlines()], dtype=np.float32))


def make(count, queries, real, seed):
    """rows and queries: real vectors, the last ones for queries; as far as they do not reach rows are made of them."""
    random = np.random.default_rng(seed)
    real, asked = real[:-queries], real[-queries:]
    parts, missing = [real[:count]], count - len(real)
    while missing > 0:
        n = min(missing, 50000)
        a, b, c = (real[random.integers(0, len(real), n)] for _ in range(3))
        parts.append(unit(a + PART * (b - c)).astype(np.float32))
        missing -= n
    return np.concatenate(parts), asked


def timed(search, queries):
    """Median seconds of single queries, seconds a query of all at once, and what was found by single ones."""
    times, found = [], []
    for repeat in range(REPEATS):
        for i in range(len(queries)):
            begin = time.thread_time()
            ids = search(queries[i:i + 1])
            times.append(time.thread_time() - begin)
            if repeat == 0:
                found.append(ids[0])
    batch = 1e9
    for _ in range(REPEATS):
        begin = time.thread_time()
        search(queries)
        batch = min(batch, (time.thread_time() - begin) / len(queries))
    return statistics.median(times), batch, np.array(found)


def faiss_flat(rows):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(DIMENSIONS)
    index.add(rows)
    return lambda q: index.search(q, TOP_K)[1]


def faiss_int8(rows):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.IndexScalarQuantizer(DIMENSIONS, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows)
    return lambda q: index.search(q, TOP_K)[1]


def usearch_exact(rows):
    from usearch.index import MetricKind, search
    return lambda q: search(rows, q, TOP_K, MetricKind.IP, exact=True, threads=1).keys.reshape(len(q), TOP_K)


class FaissGraph:
    """A graph of faiss. Like the two below: built or read from a file, then searched with so many candidates."""

    def __init__(self, rows, path):
        import faiss
        faiss.omp_set_num_threads(1)
        if path.exists():
            self.index = faiss.read_index(str(path))
            return
        self.index = faiss.IndexHNSWFlat(DIMENSIONS, LINKS, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = BUILDING
        self.index.add(rows)
        faiss.write_index(self.index, str(path))

    def candidates(self, count):
        self.index.hnsw.efSearch = count

    def search(self, queries):
        return self.index.search(queries, TOP_K)[1]


class FaissLists:
    """Lists of the rows that lie near each of LISTS centres; so many of them are searched."""
    LISTS, SAMPLE, unit = 2048, 100000, "lists"

    def __init__(self, rows, path):
        import faiss
        faiss.omp_set_num_threads(1)
        if path.exists():
            self.index = faiss.read_index(str(path))
            return
        self.centres = faiss.IndexFlatIP(DIMENSIONS)
        self.index = faiss.IndexIVFFlat(self.centres, DIMENSIONS, self.LISTS, faiss.METRIC_INNER_PRODUCT)
        self.index.train(rows[np.random.default_rng(1).choice(len(rows), self.SAMPLE, replace=False)])
        self.index.add(rows)
        faiss.write_index(self.index, str(path))

    def candidates(self, count):
        self.index.nprobe = count

    def search(self, queries):
        return self.index.search(queries, TOP_K)[1]


class HnswlibGraph:
    def __init__(self, rows, path):
        import hnswlib
        self.index = hnswlib.Index(space="ip", dim=DIMENSIONS)
        self.index.set_num_threads(1)
        if path.exists():
            self.index.load_index(str(path))
            return
        self.index.init_index(max_elements=len(rows), M=LINKS, ef_construction=BUILDING)
        self.index.add_items(rows, num_threads=1)
        self.index.save_index(str(path))

    def candidates(self, count):
        self.index.set_ef(count)

    def search(self, queries):
        return self.index.knn_query(queries, k=TOP_K, num_threads=1)[0]


class UsearchGraph:
    def __init__(self, rows, path):
        from usearch.index import Index
        self.index = Index(ndim=DIMENSIONS, metric="ip", dtype="i8", connectivity=LINKS, expansion_add=BUILDING)
        if path.exists():
            self.index.load(str(path))
            return
        self.index.add(np.arange(len(rows)), rows, threads=1)
        self.index.save(str(path))

    def candidates(self, count):
        self.index.expansion_search = count

    def search(self, queries):
        return self.index.search(queries, TOP_K, threads=1).keys.reshape(len(queries), TOP_K)


EXACT = {"faiss IndexFlatIP, f32": faiss_flat, "faiss ScalarQuantizer, 8 bits": faiss_int8,
         "usearch exact, f32": usearch_exact}
APPROXIMATE = {"faiss IndexHNSWFlat, f32": FaissGraph, "faiss IndexIVFFlat, f32": FaissLists, "hnswlib, f32": HnswlibGraph, "usearch, i8": UsearchGraph}
SIZES = (10000, 20000, 50000, 100000, 200000)
FORMS = ("f32", "f16", "int16", "int8")


def recall(found, truth):
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist())) / truth.size


def build_program(folder, build):
    program = folder / "search"
    postgres = subprocess.run(["pkg-config", "--libs", "libpq"], stdout=subprocess.PIPE, encoding="utf-8").stdout.split()
    subprocess.run(["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}", "-o", program, ROOT / "bench" / "search.c",
                    *(build / f"lib{name}.a" for name in LIBRARIES), *SYSTEM, *postgres], check=True)
    return program


def simbert(program, folder, form, kind, count):
    work = folder / f"simbert-{form}-{kind}"
    work.mkdir(exist_ok=True)
    out = subprocess.run([program, work, folder / "rows.f32", folder / "queries.f32", str(DIMENSIONS), form, kind,
                          work / "found.i32"], stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    found = np.fromfile(work / "found.i32", dtype=np.int32).reshape(count, TOP_K)
    known = work / "built.json"
    result = json.loads(out)
    if result["store"] > 0:  # it has just been stored
        known.write_text(json.dumps(result["build"]))
    elif known.exists():
        result["build"] = json.loads(known.read_text())
    return result, found


def least_candidates(graph, queries, truth):
    for count in SEARCHING:
        graph.candidates(count)
        if recall(graph.search(queries), truth) >= TARGET:
            break
    return count


def graph_line(title, kind, folder, rows, queries, truth):
    name = title.split(",")[0].split()[-1]
    path, begin = folder / f"{name}.graph", time.thread_time()
    time_path, is_new = path.with_suffix(".seconds"), not path.exists()
    graph = kind(rows, path)
    if is_new:
        time_path.write_text(str(time.thread_time() - begin))
    count = least_candidates(graph, queries, truth)
    median, batch, found = timed(graph.search, queries)
    return (f"| {title}, {count} {getattr(kind, 'unit', 'candidates')} | {median * 1e3:.2f} ms | {batch * 1e3:.2f} ms | {recall(found, truth):.4f} | | "
            f"{float(time_path.read_text()):.0f} s |")


def exact_line(title, make_search, rows, queries, truth):
    median, batch, found = timed(make_search(rows), queries)
    return f"| {title} | {median * 1e3:.2f} ms | {batch * 1e3:.2f} ms | {recall(found, truth):.4f} | | |"


def simbert_line(program, folder, form, approximate, queries, truth):
    result, found = simbert(program, folder, form, "auto" if approximate else "exact", len(queries))
    built = f"{result['build']:.0f} s" if approximate else ""
    return (f"| **simbert, {form}** | {result['median'] * 1e3:.2f} ms | {result['batch'] * 1e3:.2f} ms | "
            f"{recall(found, truth):.4f} | {result['bytes']:.0f} | {built} |")


def data(arguments, folder):
    """rows, queries, how many rows are of real sentences, and the true neighbours."""
    paths = [folder / name for name in ("rows.f32", "queries.f32", "truth.npy", "real.txt")]
    if all(path.exists() for path in paths):
        rows, queries = (np.fromfile(path, dtype=np.float32).reshape(-1, DIMENSIONS) for path in paths[:2])
        return rows, queries, int(paths[3].read_text()), np.load(paths[2])
    real = unit(np.fromfile(arguments.vectors, dtype=np.float32).reshape(-1, DIMENSIONS)) if arguments.vectors \
        else embedded(arguments, 20000)
    rows, queries = make(arguments.rows, arguments.queries, real, 1)
    truth = faiss_flat(rows)(queries)
    rows.tofile(paths[0])
    queries.tofile(paths[1])
    count = min(len(real) - len(queries), len(rows))
    paths[3].write_text(str(count))
    np.save(paths[2], truth)
    return rows, queries, count, truth


def measure(arguments, folder):
    rows, queries, real, truth = data(arguments, folder)
    lines = [f"{len(rows):,} vectors of {DIMENSIONS}, {len(queries)} queries, top {TOP_K}; {real:,} of real sentences, the "
             "others made of them. Processor time on one thread.", "",
             "| | one query, median | 200 at once, each | recall at 10 | bytes a sentence | build |", "|---|---|---|---|---|---|"]

    def add(title, line, *rest):
        if arguments.only in title:
            lines.append(line(*rest))
            print(lines[-1], flush=True)

    program = build_program(folder, arguments.build)
    if arguments.approximate:
        for title, kind in APPROXIMATE.items():
            add(title, graph_line, title, kind, folder, rows, queries, truth)
    else:
        for title, make_search in EXACT.items():
            add(title, exact_line, title, make_search, rows, queries, truth)
    del rows
    for form in FORMS[1:] if arguments.approximate else FORMS:
        add(f"simbert, {form}", simbert_line, program, folder, form, arguments.approximate, queries, truth)
    print("\n".join(["", *lines]))


def measure_sizes(arguments, folder):
    """Where comparing all takes as long as the graph."""
    program = build_program(folder, arguments.build)
    print("| sentences | " + " | ".join(f"{form}, all | {form}, graph | recall" for form in FORMS if arguments.only in form))
    for size in SIZES:
        part = folder / str(size)
        part.mkdir(exist_ok=True)
        arguments.rows = size
        _, queries, _, truth = data(arguments, part)
        cells = []
        for form in (form for form in FORMS if arguments.only in form):
            exact, _ = simbert(program, part, form, "exact", len(queries))
            graph, found = simbert(program, part, form, "auto", len(queries))
            cells.append(f"{exact['median'] * 1e3:.2f} ms | {graph['median'] * 1e3:.2f} ms | {recall(found, truth):.4f}")
        print(f"| {size:,} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simbert", type=Path, default=ROOT / "build" / "simbert")
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "simbert-small-zh")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="folder of the libraries")
    parser.add_argument("--input", type=Path, help="sentences, one a line")
    parser.add_argument("--vectors", type=Path, help="raw f32 vectors instead of sentences")
    parser.add_argument("--rows", type=int, default=100000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--approximate", action="store_true")
    parser.add_argument("--sizes", action="store_true", help="compare all and search the graph, for several sizes")
    parser.add_argument("--keep", type=Path, help="folder for vectors and graphs, which are used again")
    parser.add_argument("--only", default="", help="only what has this in its name")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        (measure_sizes if arguments.sizes else measure)(arguments, folder)


if __name__ == "__main__":
    main()
