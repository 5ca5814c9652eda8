"""simbert study as its users meet it: a list, a help, and for every study a page, a plot and all numbers, which a second run finds
again."""
import json
import signal
import time
from xml.etree import ElementTree

import pytest

from conftest import TINY_DIR
from test_cli import running, simbert
from test_finetune import lines

NAMES = ["optimizers", "exposure-bias", "adversarial", "initialisation", "batch-normalisation",
         "attention-variants"]
STEPS, SEEDS = 6, 2  # Lookahead moves at the fifth


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "train.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(60)),
                                        encoding="utf-8")
    pairs = [(line["text"], line["synonyms"][0], 1) for line in lines(10, 2)]
    pairs += [(a[0], b[1], 0) for a, b in zip(pairs, pairs[1:])]
    (folder / "dev.tsv").write_text("".join(f"{a}\t{b}\t{label}\n" for a, b, label in pairs), encoding="utf-8")
    return folder


def command(work, name, out, *more):
    return ["study", name, "--model", TINY_DIR, "--train", work / "train.jsonl", "--dev", work / "dev.tsv", "--out", out, "--layers",
            1, "--steps", STEPS, "--seeds", SEEDS, "--texts", 4, "--threads", 1, *more]


def numbers(out):
    """Without times and memory."""
    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    for run in study["runs"]:
        for trial in run["trials"]:
            trial["measures"].pop("step_ms", None)
        run.pop("summary")
    study.pop("command")
    return study


def test_the_list_and_the_help():
    output, _ = simbert("study")
    assert [line.split()[0] for line in output.splitlines()][:len(NAMES)] == NAMES
    output, _ = simbert("study", "--help")
    assert "--seeds N" in output and "simbert study optimizers" in output


@pytest.mark.parametrize("name", NAMES)
def test_a_study(work, name):
    out = work / name
    output, errors = simbert(*command(work, name, out, "--progress", "always"))
    assert output == f"{out}/study.md, study.json, study.svg\n"
    assert "measuring the model" in errors or "seed 1: step 1 of 6, loss" in errors
    assert sorted(path.name for path in out.iterdir()) == ["study.json", "study.md", "study.svg"]

    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert study["study"] == name and study["steps"] == STEPS and len(study["runs"]) > 2
    for run in study["runs"]:
        assert [trial["seed"] for trial in run["trials"]] == [1, 2]
        for trial in run["trials"]:
            assert len(trial["losses"]) == (0 if run["untrained"] else STEPS)
            assert all(loss > 0 for loss in trial["losses"])
            # Of a model that ends at once there is no free running.
            assert {name for name, value in trial["measures"].items() if value is None} <= {"gap_written"}
            assert len(trial["measures"]) >= 4
        first, second = (trial["losses"] for trial in run["trials"])
        assert run["untrained"] or first != second

    page = (out / "study.md").read_text(encoding="utf-8")
    assert str(work) not in page and "--train train.jsonl --dev dev.tsv" in page
    rows = [line for line in page.splitlines() if line.startswith("| ") and line != "| |"]
    assert len({row.count("|") for row in rows}) == 1
    for run in study["runs"]:
        assert sum(row.startswith(f"| {run['label']} |") for row in rows) == 1

    svg = ElementTree.fromstring((out / "study.svg").read_text(encoding="utf-8"))
    shown = "".join(svg.itertext())
    assert all(run["label"] in shown for run in study["runs"] if not run["untrained"])


def measures(work, name):
    return {run["label"]: run["trials"][0]["measures"] for run in numbers(work / name)["runs"]}


def test_what_is_measured(work):
    for values in measures(work, "exposure-bias").values():
        assert {"nll", "gap_written", "gap_guessed"} <= set(values)
        for how in ("greedy", "beam"):
            assert all(0 <= values[f"{how}_{what}"] <= 1 for what in ("f1", "ended", "copies"))
    study = numbers(work / "exposure-bias")
    assert study["check_steps"] == [2, 4, 6]
    for run in study["runs"]:
        for trial in run["trials"]:
            assert trial["checks"][-1] == pytest.approx(trial["measures"]["gap_guessed"], abs=1e-6)
    values = measures(work, "batch-normalisation")
    assert abs(values["whitened afterwards"]["mean_cosine"]) < 0.2 < values["without"]["mean_cosine"]
    assert values["whitened afterwards"]["loss"] == values["without"]["loss"]
    values = measures(work, "optimizers")
    assert values["AdaFactor"]["state_mb"] < values["AdamW"]["state_mb"] < values["AdamW with Lookahead"]["state_mb"]


def test_a_second_run_finds_the_same(work):
    """With more threads, too."""
    simbert(*command(work, "optimizers", work / "first"))
    simbert(*command(work, "optimizers", work / "second", "--threads", 2))
    assert numbers(work / "first") == numbers(work / "second")


def test_runs_begin_alike(work):
    """All see the same batch in the first step, so that optimizers differ only after it."""
    simbert(*command(work, "optimizers", work / "alike"))
    study = numbers(work / "alike")
    assert len({run["trials"][0]["losses"][0] for run in study["runs"]}) == 1
    assert len({run["trials"][0]["losses"][-1] for run in study["runs"]}) > 2


def test_techniques_arrive(work):
    """A study whose runs are all the same would show nothing."""
    for name in NAMES:
        losses = [tuple(run["trials"][0]["losses"]) for run in numbers(work / name)["runs"]
                  if not run["untrained"] and not run["whitened"]]
        assert len(set(losses)) == len(losses), name


@pytest.mark.parametrize("arguments, status, message", [
    (["optimiser"], 2, "did you mean optimizers"),
    (["optimizers"], 2, "--train FILE"),
    (["optimizers", "--train", "x.jsonl"], 2, "--dev FILE"),
    (["optimizers", "adversarial"], 2, "not also adversarial"),
    (["optimizers", "--seeds", 0], 2, "seeds"),
    (["optimizers", "--train", "no-such.jsonl", "--dev", "no-such.tsv", "--model", TINY_DIR], 1, "no-such"),
    (["optimizers", "--train", "x", "--dev", "y", "--model", TINY_DIR, "--layers", 99], 1, "99 layers"),
])
def test_what_is_refused(tmp_path, arguments, status, message):
    output, errors = simbert("study", *arguments, status=status, folder=tmp_path)
    assert output == "" and message in errors


def test_an_interruption_leaves_nothing(work):
    out = work / "interrupted"
    with running(*command(work, "optimizers", out, "--steps", 100000)) as process:
        end = time.monotonic() + 60
        while not (out / "work" / "start" / "model.safetensors").exists() and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 1
    assert list(out.iterdir()) == []
