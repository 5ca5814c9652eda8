#!/usr/bin/env python3
"""Similar sentences beside faiss-cpu, hnswlib and usearch from PyPI, on the same vectors in one run, on one thread.

    bench/search.py [--rows 100000] [--vectors FILE.f32] [--approximate]

Without --vectors, sentences that simbert makes up are embedded with its default model. More rows than there are vectors are
made of them: a vector and a part of the difference of two others, of length 1, which lies where sentence vectors lie. Queries
are made in the same way and are not among the rows.

Times are processor time of the searching thread: what other programs on the machine take is left out, but not what they take
of its memory's bandwidth. Prints the table; bench/search.md keeps what was measured, and says how to install what this needs."""
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
# M, candidates while building, candidates while searching: for all that have them
LINKS, BUILDING, SEARCHING = 16, 120, 100


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def embedded(arguments, count):
    lines = "\n".join(dict.fromkeys(sentences(arguments, count)))
    text = subprocess.run([arguments.simbert, "embed", "--model", arguments.model, "--progress", "never", "--threads", "1"],
                          input=lines, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    return unit(np.array([line.split() for line in text.splitlines()], dtype=np.float32))


def make(rows, queries, real, seed):
    """rows and queries: real vectors as far as they reach, then made of them."""
    random = np.random.default_rng(seed)

    def variants(count):
        parts = []
        while count > 0:
            n = min(count, 50000)
            a, b, c = (real[random.integers(0, len(real), n)] for _ in range(3))
            parts.append(unit(a + PART * (b - c)).astype(np.float32))
            count -= n
        return np.concatenate(parts)

    if len(real) >= rows + queries:
        return real[:rows], real[rows:rows + queries]
    return np.concatenate([real, variants(rows - len(real))]) if len(real) < rows else real[:rows], variants(queries)


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


def faiss_hnsw(rows):
    import faiss
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(DIMENSIONS, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = BUILDING, SEARCHING
    index.add(rows)
    return lambda q: index.search(q, TOP_K)[1]


def hnswlib_index(rows):
    import hnswlib
    index = hnswlib.Index(space="ip", dim=DIMENSIONS)
    index.init_index(max_elements=len(rows), M=LINKS, ef_construction=BUILDING)
    index.set_num_threads(1)
    index.add_items(rows)
    index.set_ef(SEARCHING)
    return lambda q: index.knn_query(q, k=TOP_K)[0]


def usearch_index(rows):
    from usearch.index import Index
    index = Index(ndim=DIMENSIONS, metric="ip", dtype="i8", connectivity=LINKS, expansion_add=BUILDING,
                  expansion_search=SEARCHING)
    index.add(np.arange(len(rows)), rows, threads=1)
    return lambda q: index.search(q, TOP_K, threads=1).keys.reshape(len(q), TOP_K)


EXACT = {"faiss IndexFlatIP, f32": faiss_flat, "faiss ScalarQuantizer, 8 bits": faiss_int8,
         "usearch exact, f32": usearch_exact}
APPROXIMATE = {"faiss IndexHNSWFlat, f32": faiss_hnsw, "hnswlib, f32": hnswlib_index, "usearch, i8": usearch_index}
FORMS = ("f32", "f16", "int16", "int8")


def recall(found, truth):
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist())) / truth.size


def build_program(folder, build):
    program = folder / "search"
    subprocess.run(["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", f"-I{ROOT}", "-o", program, ROOT / "bench" / "search.c",
                    *(build / f"lib{name}.a" for name in LIBRARIES), *SYSTEM], check=True)
    return program


def simbert(program, folder, form, kind, count):
    work = Path(tempfile.mkdtemp(dir=folder))
    out = subprocess.run([program, work, folder / "rows.f32", folder / "queries.f32", str(DIMENSIONS), form, kind,
                          work / "found.i32"], stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    found = np.fromfile(work / "found.i32", dtype=np.int32).reshape(count, TOP_K)
    return json.loads(out), found


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
    arguments = parser.parse_args()
    real = unit(np.fromfile(arguments.vectors, dtype=np.float32).reshape(-1, DIMENSIONS)) if arguments.vectors \
        else embedded(arguments, 20000)
    rows, queries = make(arguments.rows, arguments.queries, real, 1)
    lines = [f"{len(rows):,} vectors of {DIMENSIONS}, {len(queries)} queries, top {TOP_K}; {min(len(real), len(rows)):,} of "
             "real sentences, the others made of them. Processor time on one thread.", "",
             "| | one query, median | 200 at once, each | recall at 10 | bytes a sentence | build |", "|---|---|---|---|---|---|"]
    truth_search = faiss_flat(rows)
    truth = truth_search(queries)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows.tofile(folder / "rows.f32")
        queries.tofile(folder / "queries.f32")
        program = build_program(folder, arguments.build)
        for title, make_index in (APPROXIMATE if arguments.approximate else EXACT).items():
            begin = time.thread_time()
            search = make_index(rows)
            built = time.thread_time() - begin
            median, batch, found = timed(search, queries)
            lines.append(f"| {title} | {median * 1e3:.2f} ms | {batch * 1e3:.2f} ms | {recall(found, truth):.4f} | | "
                         f"{built:.0f} s |")
            print(lines[-1], flush=True)
            del search
        for form in FORMS[1:] if arguments.approximate else FORMS:
            result, found = simbert(program, folder, form, "auto" if arguments.approximate else "exact", len(queries))
            lines.append(f"| **simbert, {form}** | {result['median'] * 1e3:.2f} ms | {result['batch'] * 1e3:.2f} ms | "
                         f"{recall(found, truth):.4f} | {result['bytes']:.0f} | {result['build']:.0f} s |")
            print(lines[-1], flush=True)
    print("\n".join(["", *lines]))


if __name__ == "__main__":
    main()
