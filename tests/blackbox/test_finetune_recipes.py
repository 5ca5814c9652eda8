"""Every kind of data, every objective and every technique of docs/recipes.md through the command, on a tiny model: it trains,
the loss falls, and what comes out is a model."""
import json
import math
import random

import pytest

from conftest import TINY_DIR
from test_cli import objects, simbert
from test_finetune import CHARACTERS, lines

STEPS = 24


def written(folder):
    """A file of each kind, of the same texts."""
    sets = [(line["text"], *line["synonyms"]) for line in lines(24, 5)]
    chance = random.Random(5)
    following = sets[1:] + sets[:1]
    relations = ("entailment", "neutral", "contradiction")
    yield "synonyms.jsonl", ({"text": a, "synonyms": [b, c]} for a, b, c in sets)
    yield "pairs.tsv", (f"{a}\t{b}" for a, b, _ in sets)
    triplets = [(a, b, other[0]) for (a, b, _), other in zip(sets, following)]
    yield "labelled.tsv", (f"{a}\t{b if i % 2 else c}\t{i % 2}" for i, (a, b, c) in enumerate(triplets))
    yield "graded.tsv", (f"{a}\t{b if i % 3 == 2 else c}\t{i % 3 / 2}" for i, (a, b, c) in enumerate(triplets))
    yield "triplets.tsv", (f"{a}\t{b}\t{c}" for a, b, c in triplets)
    yield "nli.tsv", (f"{a}\t{b}\t{relations[i % 3]}" for i, (a, b, _) in enumerate(sets))
    yield "chat.jsonl", ({"messages": [{"role": "system", "content": "天"}, {"role": "user", "content": a},
                                       {"role": "assistant", "content": b}]} for a, b, _ in sets)
    yield "sentences.txt", (a for a, _, _ in sets)
    yield "words.txt", ("".join(chance.sample(CHARACTERS, 2)) for _ in range(200))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, rows in written(folder):
        text = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def placed(value, data):
    """The recipe with the data's paths, and the teacher's."""
    if isinstance(value, dict):
        return {key: placed(item, data) for key, item in value.items()}
    if isinstance(value, list):
        return [placed(item, data) for item in value]
    if isinstance(value, str) and "." in value:
        return str(data / value)
    return str(TINY_DIR) if value == "TEACHER" else value


def train(data, tmp_path, recipe):
    recipe = {"steps": STEPS, "batch_size": 8, "learning_rate": 1e-3, "dropout": {"hidden": 0, "attention": 0},
              "evaluation": {"files": ["labelled.tsv"], "every": 1000}, "schedule": {"name": "constant", "warmup": 0},
              **recipe}
    path, out = tmp_path / "recipe.json", tmp_path / "out"
    path.write_text(json.dumps(placed(recipe, data)), encoding="utf-8")
    simbert("finetune", "--model", TINY_DIR, "--recipe", path, "--out", out, "--threads", 1, "--save-dtype", "f32")
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["result"] == "succeeded" and report["steps"] == STEPS
    vector = objects("embed", "--model", out, CHARACTERS[0])[0]["embedding"]
    assert vector != objects("embed", "--model", TINY_DIR, CHARACTERS[0])[0]["embedding"]
    return report


def check_falls(points):
    losses = points["loss"]
    assert len(losses) == STEPS and all(math.isfinite(loss) for loss in losses)
    quarter = STEPS // 4
    assert sum(losses[-quarter:]) < 0.95 * sum(losses[:quarter]), losses


def one(name, file, **options):
    return [{"name": name, "data": [file], **options}]


OBJECTIVES = [
    one("seq2seq", "synonyms.jsonl"), one("seq2seq", "pairs.tsv"), one("seq2seq", "chat.jsonl"),
    one("seq2seq", "synonyms.jsonl", noise={"source": 0.5}),
    one("in_batch", "synonyms.jsonl", scale=20), one("in_batch", "pairs.tsv"),
    one("masked_lm", "sentences.txt"), one("masked_lm", "synonyms.jsonl", noise={"unit": "word"}),
    one("causal_lm", "sentences.txt"), one("denoising", "sentences.txt"),
    one("denoising", "chat.jsonl", noise={"mask": 0.3, "erase": 0.1, "replace": 0.1, "permute": 1, "infill": True}),
    one("denoising", "pairs.tsv", noise={"words": "words.txt"}),
    one("softmax", "nli.tsv"), one("softmax", "labelled.tsv"), one("softmax", "nli.tsv") + one("softmax", "labelled.tsv"),
    one("cosent", "graded.tsv"), one("cosent", "labelled.tsv"), one("cosent", "nli.tsv"),
    one("angle", "graded.tsv"), one("cosine", "graded.tsv"),
    one("contrastive", "labelled.tsv"), one("contrastive", "labelled.tsv", distance="euclidean", margin=1),
    one("online_contrastive", "labelled.tsv"),
    one("multiple_negatives", "synonyms.jsonl"), one("multiple_negatives", "triplets.tsv", hard_negatives=True),
    one("multiple_negatives_symmetric", "pairs.tsv"), one("multiple_negatives_gte", "pairs.tsv"),
    one("triplet", "triplets.tsv", distance="cosine", margin=0.5), one("triplet", "triplets.tsv"),
    one("cosent", "graded.tsv", dimensions=[8, 32], dimension_weights=[0.5, 1]),
    one("in_batch", "synonyms.jsonl", dimensions=[16]),
    one("seq2seq", "synonyms.jsonl") + [{"name": "in_batch", "weight": 0.5}] + one("cosent", "graded.tsv", weight=2, batch_size=4),
]


def names_of(objectives):
    own = {"in_batch": "in_batch_similarity", "cosine": "cosine_similarity", "distil": "distillation"}
    return [own.get(objective["name"], objective["name"]) for objective in objectives]


@pytest.mark.parametrize("objectives", OBJECTIVES, ids=lambda objectives: "+".join(
    f"{one['name']}-{one.get('data', ['rows'])[0].split('.')[0]}" for one in objectives))
def test_objectives(data, tmp_path, objectives):
    report = train(data, tmp_path, {"objectives": objectives})
    assert {part["name"] for part in report["points"]["parts"]} == set(names_of(objectives))
    check_falls(report["points"])


def test_lone_sentences_are_their_own_partners(data, tmp_path):
    """SimCSE: dropout tells them apart. There is little to learn in a tiny model; that the loss falls is not asked."""
    report = train(data, tmp_path, {"dropout": {"hidden": 0.3}, "objectives": one("multiple_negatives", "sentences.txt")})
    assert all(math.isfinite(loss) and loss > 0 for loss in report["points"]["loss"])
    assert report["rows"] == 2 * 8 * STEPS


@pytest.mark.parametrize("objectives", [
    one("distil", "sentences.txt"), one("distil", "pairs.tsv"), one("distil", "triplets.tsv"),
    one("denoising", "sentences.txt") + [{"name": "distil"}], one("masked_lm", "sentences.txt") + [{"name": "distil"}],
    one("seq2seq", "synonyms.jsonl") + [{"name": "distil", "weight": 3}],
], ids=range(6))
def test_a_teacher(data, tmp_path, objectives):
    """The model itself teaches: alone, there is nothing to learn and nothing changes its similarities; beside another loss its part
    stays small, although that other loss moves the weights."""
    if len(objectives) == 1:
        objectives = one("cosent", "graded.tsv") + objectives
    report = train(data, tmp_path, {"teacher": "TEACHER", "objectives": objectives})
    parts = {part["name"]: part["values"] for part in report["points"]["parts"]}
    noisy = objectives[0]["name"] in ("denoising", "masked_lm")  # there the student reads other texts than the teacher
    assert noisy or parts["distillation"][0] < 1e-6
    assert all(math.isfinite(value) for value in parts["distillation"]) and parts["distillation"][-1] > 1e-6
    if not noisy:
        check_falls(report["points"])


SIMBERT_LOSSES = one("seq2seq", "synonyms.jsonl") + [{"name": "in_batch"}]

TECHNIQUES = {
    **{f"optimizer {name}": {"optimizer": {"name": name}} for name in ("adamw", "adam", "adam_keras", "adafactor")},
    "optimizer lamb": {"optimizer": {"name": "lamb"}, "learning_rate": 1e-2},
    "adafactor relative": {"optimizer": {"name": "adafactor", "relative_step": True, "beta1": 0.9}, "learning_rate": 1},
    "exclusions": {"optimizer": {"exclusions": ["embeddings"], "weight_decay": 0.1}},
    "lookahead": {"lookahead": {"k": 4, "alpha": 0.5}},
    "average": {"average": {"decay": 0.9}},
    "accumulation and clipping": {"accumulation": 3, "batch_size": 4, "clip_norm": 0.5},
    **{f"schedule {name}": {"schedule": {"name": name, "warmup": 3, "floor": 0.1}, "learning_rate": 2e-3}
       for name in ("constant", "linear", "cosine", "inverse_root")},
    **{f"adversarial {name}": {"adversarial": {"method": name}} for name in ("fgm", "fgsm", "pgd", "penalty", "vat")},
    "adversarial occurrences, summed": {"adversarial": {"method": "fgm", "target": "occurrence", "combine": "sum"}},
    **{f"exposure {name}": {"exposure_bias": {"method": name}} for name in ("random", "vocabulary", "scheduled")},
    **{f"scheduled {name}": {"exposure_bias": {"method": "scheduled", "schedule": name, "schedule_steps": 12}}
       for name in ("constant", "inverse_sigmoid")},
    "bf16": {"dtype": "bf16"},
    "recompute": {"recompute": True},
    "window and the other pair rule": {"window": 3, "pair_rule": "roformer_sim"},
    "lengths": {"maxlen": 6, "text_characters": 4},
}


@pytest.mark.parametrize("technique", TECHNIQUES.values(), ids=TECHNIQUES.keys())
def test_techniques(data, tmp_path, technique):
    report = train(data, tmp_path, {"objectives": SIMBERT_LOSSES, **technique})
    check_falls(report["points"])
    for key, value in technique.items():
        for name in value if isinstance(value, dict) else ():
            assert report["recipe"][key][name] == value[name]


@pytest.mark.parametrize("method", ["zeros", "normal", "truncated_normal", "xavier_uniform", "xavier_normal", "he_uniform",
                                    "he_normal", "lecun_uniform", "lecun_normal", "orthogonal"])
def test_new_tensors_begin_as_the_recipe_says(data, tmp_path, method):
    report = train(data, tmp_path, {"objectives": one("softmax", "nli.tsv"), "initialise": {"method": method}})
    check_falls(report["points"])


def test_a_grown_vocabulary(data, tmp_path):
    words = (TINY_DIR / "vocab.txt").read_text(encoding="utf-8") + "猫\n狗\n"
    (data / "larger.vocab").write_text(words, encoding="utf-8")
    report = train(data, tmp_path, {"objectives": SIMBERT_LOSSES, "resize": {"vocabulary": "larger.vocab"}})
    check_falls(report["points"])
    told, = objects("tokenize", "--model", tmp_path / "out", "猫狗")
    assert told["tokens"][1:3] == ["猫", "狗"]


def test_early_stopping_keeps_the_best(data, tmp_path):
    """At a rate that ruins the model nothing gets better than the first evaluation."""
    recipe = {"objectives": SIMBERT_LOSSES, "learning_rate": 0.3, "steps": 200, "evaluation": {"every": 2, "patience": 3}}
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(placed(recipe, data)))
    _, errors = simbert("finetune", "--model", TINY_DIR, "--recipe", path, "--eval", data / "labelled.tsv", "--out",
                        tmp_path / "out", "--threads", 1)
    assert "stopped early" in errors
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["steps"] < 200
