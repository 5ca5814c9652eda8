"""simbert finetune as its users meet it: a model and a report come out, an interrupted run ends with the same bytes as one that
is not, and what is wrong is named with file, line and key."""
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
from xml.etree import ElementTree

import pytest

from conftest import SIMBERT, TINY_DIR, read_safetensors
from test_cli import LIMIT, objects, simbert

STEPS = 24
RECIPE = {"steps": STEPS, "batch_size": 4, "learning_rate": 1e-3, "evaluation": {"every": 8}, "checkpoint": {"every": 2},
          "bad_lines": {"max_share": 0.2}}
STOPPED = 75  # EX_TEMPFAIL
CHARACTERS = [line for line in (TINY_DIR / "vocab.txt").read_text(encoding="utf-8").split("\n")
              if len(line) == 1 and "\u4e00" <= line <= "\u9fff"]


def lines(count, seed=1):
    """Texts of the tiny model's vocabulary; what has the same characters means the same."""
    chance = random.Random(seed)
    for _ in range(count):
        text = [chance.choice(CHARACTERS) for _ in range(chance.randint(4, 8))]
        yield {"text": "".join(text), "synonyms": ["".join(chance.sample(text, len(text))) for _ in range(2)]}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(12))
    (folder / "faq.jsonl").write_text(text + "not an example\n", encoding="utf-8")
    pairs = [(line["text"], line["synonyms"][0], 1) for line in lines(6, 2)]
    pairs += [(a[0], b[1], 0) for a, b in zip(pairs, pairs[1:])]
    (folder / "dev.tsv").write_text("".join(f"{a}\t{b}\t{label}\n" for a, b, label in pairs), encoding="utf-8")
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    return folder


def command(work, out, *more, recipe="recipe.json"):
    return ["finetune", "--model", TINY_DIR, "--train", work / "faq.jsonl", "--eval", work / "dev.tsv", "--recipe",
            work / recipe, "--save-dtype", "f32", "--out", out, *more]


def weights(out):
    return (out / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(work):
    """A run that nothing disturbed: its folder and what it said."""
    out = work / "trained"
    output, errors = simbert(*command(work, out, "--threads", 1))
    assert output == ""
    return out, errors


# ---- what comes out ----

def test_a_model_that_serves(trained):
    out, errors = trained
    assert "saved" in errors and "report.html" in errors
    assert not (out / "checkpoints").exists()
    one, = objects("embed", "--model", out, CHARACTERS[0] * 3)
    before, = objects("embed", "--model", TINY_DIR, CHARACTERS[0] * 3)
    assert len(one["embedding"]) == len(before["embedding"]) and one["embedding"] != before["embedding"]
    report, _ = simbert("inspect", "--check", out)
    assert "safetensors" in report


def test_the_report_as_json(trained, work):
    report = json.loads((trained[0] / "report.json").read_text(encoding="utf-8"))
    assert report["result"] == "succeeded" and report["steps"] == report["steps_planned"] == STEPS
    assert report["rows"] == STEPS * 8 and report["tokens"] > report["rows"] and report["data_examples"] == 12
    assert report["model"] == str(TINY_DIR) and report["recipe"]["learning_rate"] == 1e-3
    points = report["points"]
    assert points["last"] == list(range(1, STEPS + 1)) and points["steps"] == [1] * STEPS
    for key in ("loss", "learning_rate", "gradient_norm", "rows_per_second"):
        assert len(points[key]) == STEPS and all(value >= 0 for value in points[key])
    assert sum(points["loss"][-5:]) < sum(points["loss"][:5])
    assert [part["name"] for part in points["parts"]] == ["seq2seq", "in_batch_similarity"]
    assert [(e["step"], e["sampled"]) for e in report["evaluations"]] == [
        (0, False), (8, True), (16, True), (STEPS, False)]
    measured = [{m["name"]: m["value"] for m in e["measures"]} for e in report["evaluations"]]
    assert {"dev.spearman", "dev.auc", "dev.mrr", "dev.nll"} <= set(measured[0]) == set(measured[-1])
    gate = report["gate"]
    assert gate["before"] == measured[0][f"dev.{gate['metric']}"] and gate["after"] == measured[-1][f"dev.{gate['metric']}"]
    sources = [example["source"] for example in report["paraphrases"]]
    held_out = (work / "dev.tsv").read_text(encoding="utf-8")
    assert len(set(sources)) == len(sources) == 6 and all(source in held_out for source in sources)
    assert any(example["before"] for example in report["paraphrases"])
    assert all(-1 <= one["similarity"] <= 1.001 for example in report["paraphrases"] for one in example["after"])


def test_measures_are_those_of_eval(trained, work):
    """What the report says of the new model, eval says of it again."""
    one, = objects("eval", "--model", trained[0], "--pairs", work / "dev.tsv", "--texts", 0)
    report = json.loads((trained[0] / "report.json").read_text(encoding="utf-8"))
    last = {m["name"]: m["value"] for m in report["evaluations"][-1]["measures"]}
    assert last["dev.spearman"] == pytest.approx(one["pairs"]["spearman"], abs=1e-6)
    assert last["dev.mrr"] == pytest.approx(one["retrieval"]["mrr"], abs=1e-6)


def test_the_report_as_a_page(trained):
    """Well-formed XML, curves for each column, nothing from elsewhere."""
    text = (trained[0] / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    page = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    curves = [one.get("aria-label") for one in page.iter("{http://www.w3.org/2000/svg}svg")]
    assert curves[:6] == ["Loss", "seq2seq", "in_batch_similarity", "Learning rate", "Norm of the gradient", "Rows a second"]
    assert "spearman" in curves
    assert not list(page.iter("script")) and not list(page.iter("link")) and not list(page.iter("img"))
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    report = json.loads((trained[0] / "report.json").read_text(encoding="utf-8"))
    shown = "".join(page.itertext())
    assert all(example["source"] in shown for example in report["paraphrases"])
    assert "faq.jsonl" in shown and "line 13" in shown


def test_the_line_that_shows_progress(work):
    """Loss and its parts, rows a second, the time that is left; before it what is in memory."""
    _, errors = simbert(*command(work, work / "shown", "--progress", "always"))
    steps = [line for line in errors.splitlines() if line.startswith("step ")]
    assert re.fullmatch(r"step 24 of 24  loss [\d.]+  seq2seq [\d.]+  in_batch_similarity [\d.]+  [\d.]+ rows/s  0:00 left",
                        steps[-1]), steps
    assert re.search(r"12 examples, 24 steps; memory \d+ MB, of it [\d.]+ MB optimizer state", errors)
    assert re.search(r"evaluation at step 24: dev.spearman -?[\d.]+", errors)


def test_sentences_alone(work):
    """Texts that do not come in pairs: learnt from, but there is nothing to measure them with."""
    (work / "sentences.txt").write_text("".join(line["text"] + "\n" for line in lines(12)), encoding="utf-8")
    (work / "short.json").write_text(json.dumps({"steps": 2, "batch_size": 4}))
    out = work / "sentences"
    _, errors = simbert("finetune", "--model", TINY_DIR, "--train", work / "sentences.txt", "--recipe", work / "short.json",
                        "--out", out, "--threads", 1)
    assert "nothing to measure on" in errors
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["result"] == "succeeded" and report["evaluations"] == [] and report["files"][0]["kind"] == "sentences"
    assert report["measured_on_training_data"] and report["points"]["parts"][0]["name"] == "denoising"


# ---- the same bytes ----

def test_threads_change_nothing(trained, work):
    out = work / "two-threads"
    simbert(*command(work, out, "--threads", 2, "--progress", "never"))
    assert weights(out) == weights(trained[0])


def interrupt(arguments, out, number):
    """Sends a signal as soon as there is a checkpoint; returns the exit status."""
    process = subprocess.Popen([SIMBERT, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + LIMIT
        while not list((out / "checkpoints").glob("step-*.ckpt")):
            assert process.poll() is None, "it ended before its first checkpoint"
            assert time.monotonic() < end, "no checkpoint"
            time.sleep(0.001)
        process.send_signal(number)
        return process.wait(LIMIT)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_goes_on(trained, work, number):
    out = work / f"interrupted-{number}"
    status = interrupt(command(work, out, "--threads", 1), out, number)
    assert status == (STOPPED if number == signal.SIGINT else -number)
    assert not (out / "model.safetensors").exists()
    if number == signal.SIGINT:
        report = json.loads((out / "checkpoints" / "report.json").read_text(encoding="utf-8"))
        assert report["result"] == "stopped" and 0 < report["steps"] < STEPS
        ElementTree.fromstring((out / "checkpoints" / "report.html").read_text(encoding="utf-8").split("\n", 1)[1])
    _, errors = simbert(*command(work, out, "--threads", 1))
    assert "going on from step" in errors
    assert weights(out) == weights(trained[0])
    # The report has the whole history, and the same but for times.
    whole, resumed = (json.loads((one / "report.json").read_text(encoding="utf-8")) for one in (trained[0], out))
    for key in ("loss", "last", "steps", "learning_rate", "gradient_norm", "parts"):
        assert whole["points"][key] == resumed["points"][key]
    for key in ("evaluations", "paraphrases", "files", "gate", "tokens", "rows", "result"):
        assert whole[key] == resumed[key]


def test_another_recipe_does_not_go_on(trained, work):
    """A checkpoint of other settings is refused, not continued with them."""
    out = work / "other-recipe"
    assert interrupt(command(work, out, "--threads", 1), out, signal.SIGKILL) == -signal.SIGKILL
    (work / "other.json").write_text(json.dumps({**RECIPE, "learning_rate": 2e-3}))
    _, errors = simbert(*command(work, out, "--threads", 1, recipe="other.json"), status=1)
    assert "another recipe" in errors and str(out / "checkpoints") in errors


def floats(out):
    """Tensors by name; of any saved model the names are the same."""
    header, data = read_safetensors(out / "model.safetensors")
    values = {}
    for name, entry in header.items():
        if name != "__metadata__":
            assert entry["dtype"] == "F32"
            start, end = entry["data_offsets"]
            values[name] = struct.unpack_from(f"<{(end - start) // 4}f", data, start)
    return values


def test_two_processes(work):
    """mpirun -n 2 gives the weights of one process up to the rounding of sums. Adam makes steps of the learning rate's size out of
    gradients that are all rounding, so that a low one shows best what is not."""
    if not shutil.which("mpirun"):
        pytest.skip("there is no mpirun")
    if not (SIMBERT.parent / "simbert-mpi.so").exists():
        pytest.skip("built without MPI")
    steps = 12
    (work / "slow.json").write_text(json.dumps({"steps": steps, "batch_size": 4, "learning_rate": 1e-4,
                                                "bad_lines": {"max_share": 0.2}}))
    alone, out = work / "one-process", work / "two-processes"
    more = ["--threads", 1, "--progress", "never"]
    simbert(*command(work, alone, *more, recipe="slow.json"))
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                       ASAN_OPTIONS="detect_leaks=0",  # MPI's libraries leak
                       OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_btl="self,vader,tcp")
    done = subprocess.run(["mpirun", "-n", "2", SIMBERT, *map(str, command(work, out, *more, recipe="slow.json"))],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    start, one, two = floats(TINY_DIR), floats(alone), floats(out)
    assert one.keys() == two.keys()

    def largest_difference(other):
        return max(abs(a - b) for name in one for a, b in zip(one[name], other[name]))

    assert largest_difference(two) <= 1e-5
    assert largest_difference(start) > 5e-4  # so that much was learnt
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["processes"] == 2 and report["rows"] == steps * 8


# ---- what is wrong ----

def test_bad_lines_are_named(trained):
    assert "faq.jsonl:13: dropped, not a JSON object" in trained[1]
    report = json.loads((trained[0] / "report.json").read_text(encoding="utf-8"))
    file, = report["files"]
    assert file["kind"] == "synonyms" and file["examples"] == 12 and file["dropped"] == {"not a JSON object": 1}
    assert file["problems"][0]["line"] == 13


def test_too_many_bad_lines(work):
    (work / "strict.json").write_text(json.dumps({**RECIPE, "bad_lines": {"max_lines": 0}}))
    _, errors = simbert(*command(work, work / "none", recipe="strict.json"), status=1)
    assert "faq.jsonl" in errors and "line 13" in errors
    assert not (work / "none").exists()


@pytest.mark.parametrize("recipe, words", [
    ({"learning_rat": 1}, ["learning_rat", "learning_rate"]),
    ({"optimizer": {"name": "adamv"}}, ["optimizer.name", "adamv", "adamw"]),
    ({"batch_size": 0}, ["batch_size", "1"]),
    ([], ["object"]),
])
def test_wrong_recipes(work, recipe, words):
    (work / "wrong.json").write_text(json.dumps(recipe))
    _, errors = simbert(*command(work, work / "none", recipe="wrong.json"), status=1)
    assert "wrong.json" in errors and all(word in errors for word in words), errors
    assert not (work / "none").exists()


def test_what_is_not_there(work):
    _, errors = simbert("finetune", "--model", TINY_DIR, "--train", work / "missing.jsonl", "--out", work / "none", status=1)
    assert "missing.jsonl" in errors
    _, errors = simbert("finetune", "--model", work / "no-model", "--train", work / "faq.jsonl", "--out", work / "none",
                        status=1)
    assert "no-model" in errors
    _, errors = simbert("finetune", "--train", work / "faq.jsonl", status=2)
    assert "--out" in errors


def test_help_teaches():
    output, errors = simbert("finetune", "--help")
    assert output.startswith("Usage: simbert finetune") and not errors
    for word in ("--train", "--eval", "--recipe", "--out", "report.html", "Ctrl-C", "mpirun"):
        assert word in output
