"""What decides whether a fine-tuned model is better: the measure that a recipe names, or the one that the files allow."""
import json
import signal

import pytest

from conftest import TINY_DIR
from test_cli import simbert
from test_finetune import interrupt, lines


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(12))
    (folder / "faq.jsonl").write_text(text, encoding="utf-8")
    graded = [(line["text"], line["synonyms"][0], i % 4 / 2) for i, line in enumerate(lines(8, 2))]
    (folder / "graded.tsv").write_text("".join(f"{a}\t{b}\t{score}\n" for a, b, score in graded), encoding="utf-8")
    (folder / "texts.txt").write_text("".join(line["text"] + "\n" for line in lines(12)), encoding="utf-8")
    return folder


def command(work, out, recipe, train="faq.jsonl", evaluate=None):
    (work / f"{out}.json").write_text(json.dumps({"steps": 4, "batch_size": 4, **recipe}))
    evaluation = ["--eval", work / evaluate] if evaluate else []
    return ["finetune", "--model", TINY_DIR, "--train", work / train, "--recipe", work / f"{out}.json", "--out", work / out,
            "--threads", 1, *evaluation]


def report(work, out):
    return json.loads((work / out / "report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("train, evaluate, metric", [
    ("faq.jsonl", None, "mrr"), ("faq.jsonl", "graded.tsv", "spearman"), ("faq.jsonl", "faq.jsonl", "mrr"),
])
def test_files_say_what_is_measured(work, train, evaluate, metric):
    out = f"open-{metric}-{evaluate}"
    simbert(*command(work, out, {}, train, evaluate))
    told = report(work, out)
    assert told["gate"]["metric"] == metric and told["gate"]["before"] is not None and told["gate"]["after"] is not None
    assert told["recipe"]["evaluation"]["metric"] == told["recipe"]["gate"]["metric"] == metric


def test_nothing_to_measure_is_no_gate(work):
    simbert(*command(work, "texts", {}, "texts.txt"))
    assert report(work, "texts")["gate"] is None


@pytest.mark.parametrize("recipe, train, evaluate, words", [
    ({"gate": {"metric": "auc"}}, "faq.jsonl", "graded.tsv", ["recipe.gate.metric", '"auc"', "graded.spearman"]),
    ({"evaluation": {"metric": "spearman"}}, "faq.jsonl", None, ["recipe.evaluation.metric", "faq.mrr"]),
    ({"gate": {"metric": "mrr"}}, "texts.txt", None, ["recipe.gate.metric", "no file holds pairs"]),
    ({"evaluation": {"patience": 2}}, "texts.txt", None, ["patience", "no file holds pairs"]),
], ids=range(4))
def test_a_measure_that_can_not_be_is_refused_before_training(work, recipe, train, evaluate, words):
    _, errors = simbert(*command(work, "refused", recipe, train, evaluate), status=1)
    assert all(word in errors for word in words), errors
    assert not (work / "refused" / "model.safetensors").exists()


def test_a_model_that_is_not_better_enough(work):
    _, errors = simbert(*command(work, "same", {"gate": {"min_change": 2}}, evaluate="graded.tsv"))
    assert "did not pass the gate: spearman was" in errors
    gate = report(work, "same")["gate"]
    assert gate["passed"] is False and gate["after"] - gate["before"] < 2


def test_a_measure_that_is_gone_in_the_end_is_not_passed(work):
    """The evaluation file lost its labels while the run was stopped."""
    (work / "dev.tsv").write_text((work / "graded.tsv").read_text(encoding="utf-8"), encoding="utf-8")
    arguments = command(work, "gone", {"steps": 24, "checkpoint": {"every": 1}}, evaluate="dev.tsv")
    assert interrupt(arguments, work / "gone", signal.SIGKILL) == -signal.SIGKILL
    (work / "dev.tsv").write_text((work / "faq.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    simbert(*arguments)
    gate = report(work, "gone")["gate"]
    assert gate["metric"] == "spearman" and gate["after"] is None and gate["passed"] is False


def test_the_form_of_an_evaluation_file_is_the_recipes(work):
    """Columns that are not what they look like."""
    rows = [(line["text"], line["synonyms"][0], i % 3, 5) for i, line in enumerate(lines(9, 3))]
    (work / "odd.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    file = {"file": str(work / "odd.tsv"), "columns": "a,b,label,-", "score_range": [0, 2]}
    simbert(*command(work, "odd", {"evaluation": {"files": [file]}}))
    assert report(work, "odd")["gate"]["metric"] == "spearman"
