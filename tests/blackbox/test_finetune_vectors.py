"""What a recipe makes of the sentence vectors beside training: batch normalisation and whitening, in the model that is saved."""
import json
import random

import pytest

from conftest import TINY_DIR
from test_cli import objects, simbert
from test_finetune import CHARACTERS, lines

EXAMPLES = 60


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    (folder / "faq.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(EXAMPLES)),
                                      encoding="utf-8")
    return folder


def train(work, name, recipe, status=0, model=TINY_DIR):
    path = work / f"{name}.json"
    path.write_text(json.dumps({"steps": 20, "batch_size": 12, "learning_rate": 1e-4, **recipe}))
    return simbert("finetune", "--model", model, "--train", work / "faq.jsonl", "--recipe", path, "--out", work / name,
                   "--threads", 1, status=status)[1]


def vectors(model):
    texts = [line["text"] for line in lines(EXAMPLES)]
    return [one["embedding"] for one in objects("embed", "--model", model, *texts)]


def length_of_mean(rows):
    return sum((sum(column) / len(rows)) ** 2 for column in zip(*rows)) ** 0.5


def test_vectors_of_a_plain_model_have_a_common_part(work):
    """What the tests below are to see gone."""
    train(work, "plain", {})
    assert length_of_mean(vectors(work / "plain")) > 0.5


def test_batch_normalised_vectors(work):
    """Without dropout, which moves the mean of the batches."""
    train(work, "normal", {"steps": 40, "pool_norm": "batch", "dropout": {"hidden": 0, "attention": 0}})
    rows = vectors(work / "normal")
    assert len(rows[0]) == 32 and length_of_mean(rows) < 0.25
    report = json.loads((work / "normal" / "report.json").read_text(encoding="utf-8"))
    assert report["recipe"]["pool_norm"] == "batch" and report["result"] == "succeeded"


@pytest.mark.parametrize("dimensions, dtype", [(8, "f32"), (24, "f16")])
def test_whitened_vectors(work, dimensions, dtype):
    name = f"white-{dimensions}"
    train(work, name, {"whiten": {"dimensions": dimensions}})
    rows = vectors(work / name)
    assert len(rows[0]) == dimensions and length_of_mean(rows) < 0.3
    # Directions are independent: of rows of length 1 each second moment is near 1 / dimensions, the mixed ones near 0.
    for i in range(dimensions):
        for j in range(i):
            assert abs(sum(row[i] * row[j] for row in rows)) / len(rows) < 0.6 / dimensions + 0.05
    modules = json.loads((work / name / "modules.json").read_text())
    assert [module["type"].rsplit(".", 1)[1] for module in modules] == ["Transformer", "Pooling", "Dense", "Normalize"]
    assert not (work / name / "checkpoints").exists()
    one, = objects("eval", "--model", work / name, "--pairs", work / "faq.jsonl", "--texts", 0)
    report = json.loads((work / name / "report.json").read_text(encoding="utf-8"))
    assert one["retrieval"]["mrr"] == pytest.approx(report["gate"]["after"], abs=1e-4)


def test_whitening_changes_no_training(work):
    """The same model with and without: what is trained is the same, so its measures on the way are."""
    told = [json.loads((work / name / "report.json").read_text(encoding="utf-8"))["points"]["loss"]
            for name in ("plain", "white-8")]
    assert told[0] == told[1]


@pytest.mark.parametrize("recipe, words", [
    ({"whiten": {"dimensions": 32}}, ["whiten.dimensions is 32", "one dimension less"]),
    ({"whiten": {"dimensions": 20, "sentences": 20}}, ["recipe.whiten.sentences", "more than the 20 dimensions"]),
    ({"pool_norm": "layer"}, ["recipe.pool_norm", "batch"]),
])
def test_what_can_not_be_is_told_before_training(work, recipe, words):
    errors = train(work, "none", recipe, status=1)
    assert all(word in errors for word in words), errors
    assert not (work / "none" / "model.safetensors").exists()


def test_a_model_that_pools_by_modules_has_no_pooler_for_the_norm(work):
    folder = work / "by-modules"
    simbert("convert", TINY_DIR, folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    (folder / "modules.json").write_text('[{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "Pooling"}]')
    assert "modules.json" in train(work, "none", {"pool_norm": "batch"}, status=1, model=folder)
    train(work, "white-mean", {"whiten": {"dimensions": 5}}, model=folder)
    assert len(vectors(work / "white-mean")[0]) == 5


# ---- a Dense module behind the pooling ----

@pytest.fixture(scope="module")
def dense(work):
    """A model that was whitened has one."""
    train(work, "dense", {"whiten": {"dimensions": 8}})
    return work / "dense"


def test_a_model_with_a_dense_module_is_trained_on(work, dense):
    train(work, "dense-again", {"learning_rate": 1e-3, "steps": 30, "objectives": [{"name": "multiple_negatives"}]}, model=dense)
    before, after = vectors(dense), vectors(work / "dense-again")
    assert len(after[0]) == 8 and before != after
    losses = json.loads((work / "dense-again" / "report.json").read_text(encoding="utf-8"))["points"]["loss"]
    assert sum(losses[-8:]) < sum(losses[:8])
    assert not (work / "dense-again" / "checkpoints").exists()


def test_what_is_not_trained_stays(work, dense):
    train(work, "dense-same", {"learning_rate": 0, "steps": 1}, model=dense)
    for before, after in zip(vectors(dense), vectors(work / "dense-same")):
        assert after == pytest.approx(before, abs=2e-3)  # once more in f16


def test_whitening_wants_no_second_module(work, dense):
    assert "has a Dense module" in train(work, "none", {"whiten": {"dimensions": 4}}, status=1, model=dense)
