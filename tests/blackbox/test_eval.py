"""simbert eval as its users meet it: figures that are worked out here again from what the other commands print, and errors
that name file and line."""
import gzip
import json
import math
import shutil
import struct
from collections import Counter

import pytest

from conftest import TINY_DIR, read_safetensors
from test_cli import objects, simbert

PAIRS = [
    ("怎么申请退货", "如何办理退货", 1), ("怎么申请退货", "怎么申请换货", 0), ("忘记密码怎么办", "密码忘了怎么找回", 1),
    ("花呗怎么还款", "花呗如何还款", 1), ("花呗怎么还款", "借呗怎么还款", 0), ("怎么开发票", "发票怎么开", 1),
    ("运费谁出", "多久发货", 0), ("忘记密码怎么办", "怎么修改密码", 0),
]
SYNONYMS = [
    {"text": "怎么申请退货", "synonyms": ["如何办理退货", "退货怎么申请"]},
    {"text": "忘记密码怎么办", "synonyms": ["密码忘了怎么找回"]},
    {"text": "花呗怎么还款", "synonyms": ["花呗如何还款", "怎么还花呗"]},
    {"text": "怎么开发票", "synonyms": ["发票怎么开"]},
]


def write(folder, name, rows):
    path = folder / name
    text = "".join((json.dumps(row, ensure_ascii=False) if isinstance(row, dict) else "\t".join(map(str, row))) + "\n"
                   for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path):
    return write(tmp_path, "pairs.tsv", PAIRS)


@pytest.fixture
def synonyms(tmp_path):
    return write(tmp_path, "faq.jsonl", SYNONYMS)


def vectors_of(texts):
    return {text: one["embedding"] for text, one in zip(texts, objects("embed", *texts))}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def ranks(values):
    return [sum(other < value for other in values) + (1 + sum(other == value for other in values)) / 2
            for value in values]


def pearson(x, y):
    x, y = [one - sum(x) / len(x) for one in x], [one - sum(y) / len(y) for one in y]
    return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))


def evaluate(path, *arguments):
    one, = objects("eval", "--pairs", path, *arguments)
    assert one["file"] == str(path) and one["model"] == "simbert-small-zh"
    return one


# ---- what it says ----

def test_help_teaches():
    output, errors = simbert("eval", "--help")
    assert output.startswith("Usage: simbert eval") and "\nExamples:\n  simbert eval" in output and not errors
    for word in ("--pairs", "--limit", "--paraphrases", "--seed", "--threshold", "recall@k", "synonyms", "SIMBERT_LIMIT"):
        assert word in output
    assert "\n  eval " in simbert("help")[0]


def test_pairs_with_labels(pairs):
    result = evaluate(pairs, "--texts", 0, "--threshold", 0.8)
    vectors = vectors_of([text for a, b, _ in PAIRS for text in (a, b)])
    cosines, labels = [dot(vectors[a], vectors[b]) for a, b, _ in PAIRS], [label for _, _, label in PAIRS]
    measured = result["pairs"]
    assert result["kind"] == "pairs" and result["examples"] == measured["count"] == 8 and measured["positives"] == 4
    assert measured["pearson"] == pytest.approx(pearson(cosines, labels), abs=1e-5)
    assert measured["spearman"] == pytest.approx(pearson(ranks(cosines), ranks(labels)), abs=1e-5)
    wins = sum(x > y for x, p in zip(cosines, labels) for y, q in zip(cosines, labels) if p and not q)
    assert measured["auc"] == pytest.approx(wins / 16)
    accuracies = [sum((x > limit) == bool(y) for x, y in zip(cosines, labels)) / 8 for limit in [-2, *cosines]]
    assert measured["threshold"] == pytest.approx(0.8)
    assert measured["accuracy"] == sum((x > 0.8) == bool(y) for x, y in zip(cosines, labels)) / 8
    assert measured["best_accuracy"] == max(accuracies)
    best = measured["best_threshold"]
    assert sum((x > best) == bool(y) for x, y in zip(cosines, labels)) / 8 == max(accuracies)
    assert "likelihood" not in result and "paraphrases" not in result


def test_retrieval(pairs):
    """Four queries, each with one relevant text, among the fourteen different texts but itself."""
    measured = evaluate(pairs, "--texts", 0)["retrieval"]
    texts = list(dict.fromkeys(text for a, b, _ in PAIRS for text in (a, b)))
    vectors = vectors_of(texts)
    found = []
    for a, b, label in PAIRS:
        if label:
            score = dot(vectors[a], vectors[b])
            found.append(1 + sum(dot(vectors[a], vectors[text]) >= score for text in texts if text not in (a, b)))
    assert measured["queries"] == 4 and measured["candidates"] == len(texts) - 1
    assert measured["mrr"] == pytest.approx(sum(1 / rank for rank in found) / 4, abs=1e-6)
    for k in (1, 5, 10):
        assert measured[f"recall_at_{k}"] == sum(rank <= k for rank in found) / 4


def test_graded_scores(tmp_path):
    """Scores say how near two texts are, not which mean the same."""
    path = write(tmp_path, "graded.tsv", [(a, b, score) for (a, b, _), score in
                                          zip(PAIRS, [4.5, 2.5, 4, 5, 3, 4.8, 0, 1.5])])
    result = evaluate(path)
    assert set(result["pairs"]) == {"count", "spearman", "pearson"} and 0 < result["pairs"]["spearman"] <= 1
    assert not {"retrieval", "likelihood", "paraphrases"} & set(result)


def test_synonyms(synonyms):
    result = evaluate(synonyms, "--texts", 3, "--paraphrases", 6, "--seed", 7)
    assert result["kind"] == "synonyms" and result["examples"] == 4 and "pairs" not in result
    assert result["retrieval"]["queries"] == 4 and result["retrieval"]["candidates"] == 9
    assert 0.5 < result["retrieval"]["mrr"] <= 1
    likelihood = result["likelihood"]
    assert likelihood["pairs"] == 3 and likelihood["guessed"]["tokens"] == likelihood["tokens"] - 3
    assert 0 < likelihood["written"]["tokens"] <= likelihood["guessed"]["tokens"]
    for gap in (likelihood["written"], likelihood["guessed"]):
        assert gap["gap"] == pytest.approx(gap["own_nll"] - gap["forced_nll"], abs=1e-5) and gap["forced_nll"] > 0
    written = result["paraphrases"]
    assert written["texts"] == 3 and written["written"] == 18 and 0 < written["kept"] <= 18
    # A sample is a copy, a duplicate, empty or kept.
    assert written["kept"] / 18 + written["copy_rate"] + written["duplicate_rate"] <= 1 + 1e-6
    assert 0 < written["distinct_1"] <= written["distinct_2"] <= 1 and -1 <= written["similarity"] <= 1


def test_paraphrases_are_those_of_the_command(tmp_path):
    """One query only, so that its paraphrases are known."""
    path = write(tmp_path, "one.jsonl", SYNONYMS[:1])
    result = evaluate(path, "--paraphrases", 20, "--seed", 3)["paraphrases"]
    written, = objects("paraphrase", "--n", 20, "--num-candidates", 20, "--seed", 3, SYNONYMS[0]["text"])
    candidates = written["candidates"]
    assert result["kept"] == len(candidates) > 0
    assert result["similarity"] == pytest.approx(sum(c["similarity"] for c in candidates) / len(candidates), abs=1e-5)
    assert result["edit_distance"] == pytest.approx(sum(c["edit_distance"] for c in candidates) / len(candidates), abs=1e-4)
    # These candidates hold no white space, full-width letters or capitals, and only their last mark does not count.
    texts = [c["text"].rstrip("？?。！!") for c in candidates]
    for n in (1, 2):
        grams = [text[i:i + n] for text in texts for i in range(len(text) - n + 1)]
        assert result[f"distinct_{n}"] == pytest.approx(len(set(grams)) / len(grams), abs=1e-5)


def test_results_depend_on_seed_and_limit_alone(synonyms, pairs):
    first = simbert("eval", "--pairs", synonyms, "--pairs", pairs, "--json", "--threads", 1)[0]
    assert simbert("eval", "--pairs", synonyms, "--pairs", pairs, "--json", "--threads", 2)[0] == first
    assert len(first.splitlines()) == 2
    assert evaluate(pairs, "--texts", 0, "--limit", 5)["examples"] == 5
    samples = {json.dumps(evaluate(pairs, "--texts", 0, "--limit", 4, "--seed", seed)) for seed in range(5)}
    assert len(samples) > 1
    assert evaluate(pairs, "--texts", 0, "--limit", 100) == evaluate(pairs, "--texts", 0)


def overlap(a, b):
    """F1 of pairs of neighbouring characters."""
    a, b = (Counter(zip(text, text[1:])) for text in (a, b))
    return 2 * sum((a & b).values()) / max(sum(a.values()) + sum(b.values()), 1)


def test_what_is_written_greedily_and_by_beams(synonyms):
    """The figures, from what simbert paraphrase writes."""
    decoding = evaluate(synonyms, "--texts", 10, "--paraphrases", 0)["decoding"]
    assert decoding["texts"] == len(SYNONYMS)
    for name, beams in (("greedy", 1), ("beam", 4)):
        written = [one["candidates"][0] for one in objects(
            "paraphrase", "--num-beams", beams, "--n", 1, "--num-candidates", 1, "--no-drop-copies", "--no-rerank",
            "--max-new-tokens", 40, *(line["text"] for line in SYNONYMS))]
        texts = [one["text"].rstrip("？?。!！") for one in written]
        f1 = [overlap(text, line["synonyms"][0]) for text, line in zip(texts, SYNONYMS)]
        assert decoding[name]["f1"] == pytest.approx(sum(f1) / len(f1), abs=1e-6)
        copies = [text == line["text"] for text, line in zip(texts, SYNONYMS)]
        assert decoding[name]["copy_rate"] == pytest.approx(sum(copies) / len(copies))
        ended = [one["finish_reason"] == "stop" for one in written]
        assert decoding[name]["ended"] == pytest.approx(sum(ended) / len(ended))


def test_table(pairs):
    output, _ = simbert("eval", "--pairs", pairs, "--texts", 2, "--paraphrases", 3)
    result = evaluate(pairs, "--texts", 2, "--paraphrases", 3)
    for name, value in (("Spearman", result["pairs"]["spearman"]), ("AUC", result["pairs"]["auc"]),
                        ("MRR", result["retrieval"]["mrr"]), ("held-out NLL", result["likelihood"]["nll"]),
                        ("greedy: F1", result["decoding"]["greedy"]["f1"]),
                        ("4 beams: F1", result["decoding"]["beam"]["f1"]),
                        ("copy rate", result["paraphrases"]["copy_rate"])):
        line, = (line for line in output.splitlines() if line.startswith(f"  {name}"))
        assert f"{value:.4f}" in line


def test_compressed_and_json_lines(tmp_path, pairs):
    rows = [{"text1": a, "text2": b, "label": label} for a, b, label in PAIRS]
    path = write(tmp_path, "pairs.jsonl", rows)
    packed = tmp_path / "pairs.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    expected = evaluate(pairs, "--texts", 0)
    for other in (path, packed):
        assert evaluate(other, "--texts", 0) == dict(expected, file=str(other))


# ---- models that can less ----

def test_a_model_that_can_not_write(pairs, embedding_only):
    result, = objects("eval", "--model", embedding_only, "--pairs", pairs)
    assert result["pairs"]["count"] == 8 and result["retrieval"]["queries"] == 4
    assert not {"likelihood", "paraphrases"} & set(result)


def test_a_model_of_few_positions(tmp_path):
    """tiny-bert has 64: a pair that is longer is cut, not refused."""
    path = write(tmp_path, "long.tsv", [("退货" * 60, "还款" * 60, 1), ("退货", "还款", 0)])
    result, = objects("eval", "--model", TINY_DIR, "--pairs", path, "--paraphrases", 2)
    assert result["likelihood"]["pairs"] == 1 and 0 < result["likelihood"]["tokens"] < 64


def test_a_ruined_model_has_no_figures(tmp_path, pairs):
    """One NaN makes every comparison false, which must not pass for a perfect rank."""
    folder = tmp_path / "ruined"
    shutil.copytree(TINY_DIR, folder)
    for name in folder.glob("*ckpt*"):
        name.unlink()
    header, data = read_safetensors(folder / "model.safetensors")
    start = header["bert.pooler.dense.bias"]["data_offsets"][0]
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data[:start]
                                               + struct.pack("<f", math.nan) + data[start + 4:])
    assert "not finite" in refused("--model", folder, "--pairs", pairs)


# ---- what is refused ----

def refused(*arguments, status=1):
    output, errors = simbert("eval", *arguments, status=status)
    assert output == "" and errors.startswith("simbert eval: "), errors
    return errors


def test_wrong_use(pairs):
    assert "--pairs" in refused(status=2)
    assert "pairs.tsv" in refused(pairs, status=2)
    assert "--limit" in refused("--pairs", pairs, "--limit", "-1", status=2)
    assert "--threshold" in refused("--pairs", pairs, "--threshold", "2", status=2)
    assert "--paraphrases" in refused("--pairs", pairs, "--paraphrases", "1001", status=2)


def test_files_that_can_not_be_read(tmp_path, pairs):
    assert "missing.tsv" in refused("--pairs", tmp_path / "missing.tsv")
    assert "empty.tsv" in refused("--pairs", write(tmp_path, "empty.tsv", []))
    # What came before the bad file has been printed.
    output, errors = simbert("eval", "--texts", 0, "--json", "--pairs", pairs, "--pairs", tmp_path / "missing.tsv", status=1)
    assert json.loads(output)["examples"] == 8 and "missing.tsv" in errors
    triplets = write(tmp_path, "triplets.jsonl", [{"anchor": "退货", "positive": "怎么退货", "negative": "还款"}])
    assert "triplets" in refused("--pairs", triplets)


@pytest.mark.parametrize("line, words", [
    (b"\xe9\x80\x80\xe8\xb4\xa7\t\xff\xfe\t1\n", ["UTF-8"]),
    ("退货\t还款\n".encode(), []),
    ("退货\t还款\tmaybe\n".encode(), ["maybe"]),
    ("退货\t\t1\n".encode(), ["empty"]),
])
def test_a_bad_line_is_named(tmp_path, pairs, line, words):
    lines = pairs.read_bytes().splitlines(keepends=True) * 4  # enough that the others say what the file is
    path = tmp_path / "bad.tsv"
    path.write_bytes(b"".join(lines[:5]) + line + b"".join(lines[5:]))
    errors = refused("--pairs", path)
    assert "bad.tsv" in errors and "line 6" in errors and all(word in errors for word in words), errors


def test_labels_that_say_nothing(tmp_path):
    path = write(tmp_path, "zero.tsv", [(a, b, 0) for a, b, _ in PAIRS])
    assert "nothing to measure" in simbert("eval", "--pairs", path)[0]
    assert not {"pairs", "retrieval", "likelihood", "paraphrases"} & set(evaluate(path))
