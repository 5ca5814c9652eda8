"""The command line as its users meet it: what it prints, what it refuses, and that its results are those of the server."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from conftest import MODEL_DIR, ROOT, SIMBERT, TINY_DIR, cosine, golden_vectors

GOLDEN = ROOT / "tests" / "golden"
COMMANDS = ["serve", "embed", "similar", "paraphrase", "tokenize", "inspect", "convert", "bench"]
LIMIT = 300  # seconds; sanitizers make everything several times slower
TEXTS = ["怎么申请退货", "花呗怎么还款", "", "Hello, World!", "天气" * 200, "怎么申请退货"]


def simbert(*arguments, text=None, status=0, folder=ROOT, **environment):
    """Runs a command, checks its exit status and returns what it printed on each stream."""
    data = text.encode() if isinstance(text, str) else text
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIMBERT_")}
    command = [SIMBERT, *(one if isinstance(one, bytes) else str(one) for one in arguments)]
    done = subprocess.run(command, cwd=folder, input=data or b"", capture_output=True,
                          timeout=LIMIT, env=dict(clean, **environment))
    assert done.returncode == status, (arguments, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.decode(), done.stderr.decode()


def objects(*arguments, **options):
    output, _ = simbert(*arguments, "--json", **options)
    return [json.loads(line) for line in output.splitlines()]


@contextlib.contextmanager
def running(*arguments, **streams):
    """A command that is talked to while it runs; ended by force when it hangs, so that a test fails instead of waiting. It heeds
    SIGINT also where the tests run in the background of a shell, which ignores it."""
    streams.setdefault("stdout", subprocess.PIPE)
    process = subprocess.Popen([SIMBERT, *map(str, arguments)], cwd=ROOT, stdin=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **streams)
    timer = threading.Timer(60, process.kill)
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError, AttributeError):
                stream.close()


def lines(texts):
    return "".join(text + "\n" for text in texts)


# ---- help and wrong use ----

@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command):
    output, errors = simbert(command, "--help")
    assert output.startswith(f"Usage: simbert {command}") and "\nExamples:\n  simbert " in output and not errors
    assert simbert("help", command)[0] == simbert(command, "--bogus", "-h")[0] == output
    for option in re.findall(r"^  --([a-z-]+)", output, re.MULTILINE):
        assert "SIMBERT_" + option.upper().replace("-", "_") in re.sub(r"\s+", " ", output)


def test_general_help_and_version():
    output, _ = simbert("help")
    assert simbert("--help")[0] == simbert("-h")[0] == output
    assert all(f"\n  {command} " in output for command in COMMANDS)
    assert re.fullmatch(r"simbert \d+\.\d+\.\d+\n", simbert("--version")[0])


@pytest.mark.parametrize("arguments, words", [
    ([], ["simbert help"]),
    (["embde"], ["embde", "embed"]),
    (["help", "nothing-like-it"], ["nothing-like-it"]),
    (["embed", "--modle", "x"], ["--modle", "--model"]),
    (["embed", "--jsn=1", "x"], ["--jsn", "--json"]),
    (["embed", "-5度"], ["-5度", '"--"']),
    (["embed", "--model"], ["--model", "DIR"]),
    (["embed", "--threads", "many", "x"], ["--threads", "many", "0 to 1024"]),
    (["embed", "--threads", "-1", "x"], ["--threads", "-1"]),
    (["embed", "--threads=99999999999999999999", "x"], ["--threads"]),
    (["embed", "--dtype", "f64", "x"], ["f64", "f32, bf16, int8, auto"]),
    (["embed", "--no-model", "x"], ["--no-model"]),
    (["embed", "--json=maybe", "x"], ["--json", "maybe"]),
    (["similar", "x"], ["--query"]),
    (["similar", "--query", "x", "--top-k", "0"], ["--top-k", "1 to 1000"]),
    (["similar", "--query", "x", "--min-score", "nan"], ["--min-score", "nan"]),
    (["paraphrase", "--temperature", "0", "x"], ["--temperature"]),
    (["paraphrase", "--top-p", "1e999", "x"], ["--top-p"]),
    (["inspect"], ["directory"]),
    (["inspect", "a", "b"], ["directory"]),
    (["convert", "a"], ["SRC", "DST"]),
    (["bench"], ["embed, paraphrase, train, attention, tokenize, texts"]),
    (["bench", "nothing"], ["nothing"]),
    (["serve", "models"], ["models"]),
])
def test_wrong_use(arguments, words):
    output, errors = simbert(*arguments, status=2)
    assert output == "" and errors.startswith("simbert")
    assert all(word in errors for word in words), errors


def test_environment():
    """An option's variable counts when the command line leaves the option out."""
    output, _ = simbert("tokenize", "退货", SIMBERT_JSON="yes")
    assert json.loads(output)["tokens"] == ["[CLS]", "退", "货", "[SEP]"]
    assert simbert("tokenize", "--no-json", "退货", SIMBERT_JSON="1")[0] == simbert("tokenize", "退货", SIMBERT_JSON="")[0]
    first, = objects("similar", "--query", "退货", *TEXTS, SIMBERT_TOP_K="1")
    assert len(first["matches"]) == 1
    both = objects("similar", "怎么退货", "怎么还款", SIMBERT_QUERY="退货,还款")
    assert [result["query"] for result in both] == ["退货", "还款"]
    _, errors = simbert("embed", "x", status=2, SIMBERT_THREADS="two")
    assert "SIMBERT_THREADS" in errors and "two" in errors
    assert len(objects("embed", "x", SIMBERT_MODEL=str(TINY_DIR))[0]["embedding"]) == 32


def test_which_model(tmp_path):
    """The model that ships is found here, or beside the program; the error says where it was looked for."""
    installed = tmp_path / "usr" / "bin" / "simbert"
    installed.parent.mkdir(parents=True)
    shutil.copy(SIMBERT, installed)
    done = subprocess.run([installed, "tokenize", "退"], cwd=tmp_path, capture_output=True, timeout=LIMIT)
    assert done.returncode == 1 and b"--model DIR" in done.stderr and b"share/simbert" in done.stderr
    shared = tmp_path / "usr" / "share" / "simbert" / "models" / MODEL_DIR.name
    shared.mkdir(parents=True)
    shutil.copy(MODEL_DIR / "vocab.txt", shared)
    done = subprocess.run([installed, "tokenize", "退"], cwd=tmp_path, capture_output=True, timeout=LIMIT)
    assert done.returncode == 0 and "退/" in done.stdout.decode()
    _, errors = simbert("embed", "--model", "/nowhere", "x", status=1)
    assert "/nowhere" in errors


# ---- texts in, results out ----

def test_embed_agrees_with_the_reference():
    rows = [(text, vector) for text, _, vector in golden_vectors() if not re.search("[\n\r\0]", text)][::4]
    assert len(rows) > 50
    results = objects("embed", text=lines(text for text, _ in rows))
    assert [result["index"] for result in results] == list(range(len(rows)))
    for (text, expected), result in zip(rows, results):
        assert cosine(expected, result["embedding"]) >= 0.99999, text


def test_embed_is_the_same_however_it_is_asked(server):
    """Arguments or lines, one thread or three, people's form or programs': the same bits, and those of the server."""
    whole, _ = simbert("embed", "--json", text=lines(TEXTS))
    assert simbert("embed", "--json", *TEXTS)[0] == whole
    assert simbert("embed", "--json", text="\r\n".join(TEXTS))[0] == whole
    assert simbert("embed", "--json", "--threads", "1", text=lines(TEXTS))[0] == whole
    assert simbert("embed", "--json", "--threads", "3", text=lines(TEXTS))[0] == whole
    vectors = [json.loads(line)["embedding"] for line in whole.splitlines()]
    assert [[float(number) for number in line.split(" ")] for line in simbert("embed", *TEXTS)[0].splitlines()] == vectors
    assert vectors[0] == vectors[-1] == objects("embed", TEXTS[0])[0]["embedding"]
    filled = [text for text in TEXTS if text]
    reply = server.post("/v1/embeddings", {"input": filled}).json()
    assert [entry["embedding"] for entry in reply["data"]] == [vector for text, vector in zip(TEXTS, vectors) if text]


def test_many_lines(tmp_path):
    """More than a batch; from a file as from standard input; order and number of lines are kept."""
    texts = [f"第{i}个问题怎么办" for i in range(2345)]
    (tmp_path / "texts").write_text(lines(texts), encoding="utf-8")
    options = ["embed", "--model", TINY_DIR, "--json"]
    output, errors = simbert(*options, "--input", tmp_path / "texts", "--threads", "2")
    assert simbert(*options, "--threads", "1", text=lines(texts))[0] == output and errors == ""
    results = [json.loads(line) for line in output.splitlines()]
    assert [result["index"] for result in results] == list(range(len(texts)))
    assert simbert(*options, texts[2000])[0].split(",", 1)[1] == output.splitlines(keepends=True)[2000].split(",", 1)[1]


def test_no_text():
    assert simbert("embed", text="") == ("", "")
    assert simbert("paraphrase", text="") == ("", "")
    assert objects("similar", "--query", "x", text="")[0]["matches"] == []
    assert objects("embed", "", text="ignored")[0]["index"] == 0


def test_long_text_is_cut_and_said_so():
    output, errors = simbert("embed", "--json", "天" * 600, "天" * 510)
    assert "1 of 2" in errors and "512" in errors
    first, second = (json.loads(line)["embedding"] for line in output.splitlines())
    assert first == second


@pytest.mark.parametrize("bad", [b"\xff", b"ok\xe4\xbd", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_malformed_text(bad):
    _, errors = simbert("embed", "--model", TINY_DIR, text=b"good\n" * 3 + bad + b"\n", status=1)
    assert "line 4 of standard input" in errors and "UTF-8" in errors
    _, errors = simbert("tokenize", "good", bad, status=1)
    assert "text 2" in errors


def test_line_without_end():
    _, errors = simbert("embed", "--model", TINY_DIR, text=b"ok\n" + b"x" * (1 << 21), status=1)
    assert "line 2" in errors and "1048576" in errors


def test_sources_of_texts(tmp_path):
    _, errors = simbert("embed", "--input", tmp_path / "missing", status=1)
    assert str(tmp_path / "missing") in errors
    _, errors = simbert("embed", "--input", tmp_path, status=1)
    assert "directory" in errors.lower()
    _, errors = simbert("embed", "--input", "file", "text", status=1)
    assert "not both" in errors
    assert simbert("tokenize", "--input", "-", text="退货\n") == simbert("tokenize", "--", "退货")
    assert "-/" in simbert("tokenize", "--", "-5度")[0]


def test_answers_a_line_at_a_time():
    """A program at the other end of the pipe that waits for each answer gets it."""
    with running("embed", "--model", TINY_DIR, "--json") as process:
        for i, text in enumerate(["一", "二", "一"]):
            process.stdin.write((text + "\n").encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["index"] == i
        process.stdin.close()
        assert process.wait(LIMIT) == 0


def test_reader_that_leaves():
    """As in "simbert embed | head -1": no message, no failure."""
    with running("embed", "--model", TINY_DIR, stderr=subprocess.PIPE) as process:
        process.stdin.write("退货\n".encode() * 1000)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            for _ in range(50):
                process.stdin.write("退货\n".encode() * 1000)
                process.stdin.flush()
        assert process.wait(LIMIT) == 0 and process.stderr.read() == b""


def test_output_that_fails():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([SIMBERT, "embed", "--model", TINY_DIR, "x"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE,
                              timeout=LIMIT)
    assert done.returncode == 1 and b"No space left" in done.stderr
    done = subprocess.run(f"exec '{SIMBERT}' embed --model '{TINY_DIR}' x >&-", shell=True, cwd=ROOT, stderr=subprocess.PIPE,
                          timeout=LIMIT)
    assert done.returncode == 1 and b"standard output" in done.stderr


def test_interrupted_while_it_waits():
    with running("embed", "--model", TINY_DIR) as process:
        process.stdin.write(b"x\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == -signal.SIGINT


def test_progress():
    """On request; otherwise neither with --json nor when the work is short."""
    def slow(*arguments):
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with running("embed", "--model", TINY_DIR, *arguments, **streams) as process:
            process.stdin.write(b"x\n")
            process.stdin.flush()
            time.sleep(2.5)
            return process.communicate(b"x\n")[1].decode()

    assert re.match(r"2 texts, \d+ s, [\d.]+ a second\n", slow("--json", "--progress", "always"))
    assert slow("--json") == "" and slow("--progress=never") == ""
    assert "2 texts" in slow()


# ---- the commands ----

def test_similar(server):
    texts = ["怎么申请退货？", "怎么开发票？", "", "忘记登录密码怎么找回？", "怎么申请退货？"]
    result, = objects("similar", "--query", "我要退货", *texts)
    assert result["query"] == "我要退货"
    assert [match["index"] for match in result["matches"][:2]] == [0, 4]
    assert sorted(match["index"] for match in result["matches"]) == [0, 1, 3, 4]
    scores = [match["score"] for match in result["matches"]]
    assert scores == sorted(scores, reverse=True)
    filled = [text for text in texts if text]
    body = {"inputs": {"source_sentence": "我要退货", "sentences": filled}}
    expected = dict(zip(filled, server.post("/similarity", body).json()))
    assert all(abs(expected[match["text"]] - match["score"]) < 1e-6 for match in result["matches"])
    limited, = objects("similar", "--query", "我要退货", "--min-score", str(scores[1] - 1e-6), text=lines(texts))
    assert [match["index"] for match in limited["matches"]] == [0, 4]
    output, _ = simbert("similar", "--query", "我要退货", "--top-k", "1", text=lines(texts))
    assert output == f"{scores[0]:.4f}  {texts[0]}\n"
    assert simbert("similar", "--query", "我要退货", "--top-k", "1", text="\r\n".join(texts))[0] == output
    several, _ = simbert("similar", "--query", "我要退货", "--query", "发票", "--top-k", "1", text=lines(texts))
    assert several == f"我要退货\n  {output}发票\n  " + several.rsplit("\n  ", 1)[1] and texts[1] in several


def test_similar_with_vectors_of_any_length(tmp_path):
    """A model that does not normalise its vectors: scores are cosines all the same."""
    for name in ("vocab.txt", "model.safetensors"):
        shutil.copy(TINY_DIR / name, tmp_path)
    config = json.loads((TINY_DIR / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "modules.json").write_text(json.dumps([
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(
        {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}))
    texts = ["一二三", "二三", "不"]
    vectors = [result["embedding"] for result in objects("embed", "--model", tmp_path, *texts)]
    assert abs(sum(x * x for x in vectors[0]) - 1) > 0.01
    result, = objects("similar", "--model", tmp_path, "--query", texts[0], *texts)
    for match in result["matches"]:
        assert abs(match["score"] - cosine(vectors[0], vectors[match["index"]])) < 1e-5


def test_paraphrase(server):
    options = ["--seed", "7", "--n", "5", "--num-candidates", "30"]
    first, second = objects("paraphrase", *options, "怎么申请退货", "花呗怎么还款")
    assert first["text"] == "怎么申请退货" and 1 <= len(first["candidates"]) <= 5
    for candidate in first["candidates"]:
        assert set(candidate) == {"text", "similarity", "logprob", "edit_distance", "finish_reason"}
        assert candidate["text"] != first["text"] and candidate["edit_distance"] > 0
    similarities = [candidate["similarity"] for candidate in first["candidates"]]
    assert similarities == sorted(similarities, reverse=True)
    assert objects("paraphrase", *options, "--threads", "1", text="花呗怎么还款\n怎么申请退货\n") == [second, first]
    body = {"input": first["text"], "seed": 7, "n": 5, "num_candidates": 30}
    reply = server.post("/v1/paraphrases", body).json()["data"][0]["candidates"]
    assert [candidate["text"] for candidate in reply] == [candidate["text"] for candidate in first["candidates"]]
    output, _ = simbert("paraphrase", *options, first["text"])
    best = first["candidates"][0]
    assert output.splitlines()[:2] == [first["text"], f"  {best['similarity']:.4f}  {best['text']}"]


def test_paraphrase_options():
    def texts(*arguments):
        found, = objects("paraphrase", "--num-candidates", "24", "--max-new-tokens", "12", *arguments, "怎么申请退货")
        return [candidate["text"] for candidate in found["candidates"]]

    assert 1 <= len(texts("--num-beams", "4")) <= 4
    assert all("商品" in text for text in texts("--num-beams", "4", "--force-words", "商品"))
    plain = texts("--seed", "3")
    assert texts("--seed", "3") == plain and any("怎" in text for text in plain)
    assert not any("怎" in text for text in texts("--seed", "3", "--bad-words", "怎"))
    assert texts("--seed", "3", "--mask", "2:4") != plain
    assert "怎么申请退货" in texts("--seed", "3", "--no-drop-copies", "--n", "24")
    assert texts("--seed", "3", "--min-similarity", "1.01") == []


@pytest.mark.parametrize("options, words", [
    (["--n", "30", "--num-candidates", "20"], ["num_candidates"]),
    (["--mask", "2"], ["--mask", "START:END"]),
    (["--mask", "a:b"], ["--mask", "a:b"]),
    (["--mask", "4:2"], ["mask"]),
    (["--mask", "0:100"], ["mask"]),
    (["--force-words", "商品"], ["force_words"]),
    (["--num-beam-groups", "2"], ["num_beam"]),
    (["--min-new-tokens", "9", "--max-new-tokens", "8"], ["min_new_tokens"]),
])
def test_paraphrase_refuses(options, words):
    output, errors = simbert("paraphrase", *options, "怎么申请退货", status=1)
    assert output == "" and all(word in errors for word in words), errors


def test_the_first_text_that_fails_is_named():
    _, errors = simbert("paraphrase", "--threads", "3", "--n", "1", "--num-candidates", "1", "退货", *[""] * 9, status=1)
    assert "text 2:" in errors


def test_paraphrase_with_a_model_that_only_embeds(embedding_only):
    _, errors = simbert("paraphrase", "--model", embedding_only, "一", status=1)
    assert "can not generate" in errors


def test_tokenize_agrees_with_the_reference(tmp_path):
    """Every row of the golden values that can be given on a command line; from a folder that holds a vocabulary alone."""
    with open(GOLDEN / "tokenize" / "wordpiece.jsonl") as rows:
        rows = [row for row in map(json.loads, rows) if row["lower"] and not re.search("[\n\r\0]", row["text"])]
    for vocabulary in sorted({row["vocab"] for row in rows}):
        chosen = [row for row in rows if row["vocab"] == vocabulary]
        folder = tmp_path / vocabulary
        folder.mkdir()
        shutil.copy(GOLDEN / "tokenizers" / vocabulary / "vocab.txt", folder)
        results = objects("tokenize", "--model", folder, text=lines(row["text"] for row in chosen))
        assert len(results) == len(chosen) > 500
        for row, result in zip(chosen, results):
            assert result["ids"] == row["ids"] and result["tokens"] == row["tokens"], row["text"]
            if row["offsets"]:
                assert result["offsets"] == row["offsets"], row["text"]


def test_tokenize_options():
    assert simbert("tokenize", "--model", MODEL_DIR / "vocab.txt", "退货")[0] == simbert("tokenize", "退货")[0]
    assert objects("tokenize", "--no-special", "退货")[0]["tokens"] == ["退", "货"]
    assert objects("tokenize", "--max-length", "4", "怎么退货")[0]["tokens"] == ["[CLS]", "怎", "么", "[SEP]"]
    assert objects("tokenize", "--no-special", "")[0] == {"ids": [], "tokens": [], "offsets": []}
    assert re.fullmatch(r"\[CLS\]/2 退/\d+ 货/\d+ \[SEP\]/3\n", simbert("tokenize", "退货")[0])


@pytest.mark.parametrize("name", ["tiny-bert", "tiny-factorised", "tiny-keysize", "tiny-headsize"])
def test_inspect(name):
    report, _ = simbert("inspect", "--check", GOLDEN / "models" / name)
    assert "safetensors" in report and "word_embeddings" in report
    output, _ = simbert("inspect", "--json", GOLDEN / "models" / name)
    report = json.loads(output)
    assert report["fits"] is True and report["config"]["attention_parts"] == ["vanilla"]
    assert report["tokenizer"] == {"kind": "wordpiece", "vocab_size": 200, "joins_ideographs": False}


def test_inspect_lists_attention():
    report, _ = simbert("inspect", "--check", GOLDEN / "variants" / "mixture-random-vanilla")
    assert "attention  random, vanilla\n" in report and "tokenizer  wordpiece, 60 tokens\n" in report
    output, _ = simbert("inspect", "--json", GOLDEN / "variants" / "talking")
    assert json.loads(output)["config"]["attention_parts"] == ["vanilla", "+talking"]


def test_vocabulary_of_words(tmp_path):
    """As the RoFormer models have them that were trained with the words of jieba."""
    (tmp_path / "vocab.txt").write_text("[UNK]\n[CLS]\n[SEP]\n今\n天\n我\n今天\n天气\n我们\n")
    assert objects("tokenize", "--model", tmp_path, "我们今天天气")[0]["tokens"] == \
        ["[CLS]", "我们", "今天", "天气", "[SEP]"]
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GOLDEN / "models" / "tiny-roformer" / name, tmp_path)
    report, _ = simbert("inspect", tmp_path)
    assert "attention  rotary\n" in report and "tokenizer  wordpiece, 9 tokens\n           of words: the longest" in report


def test_inspect_names_what_does_not_fit(tmp_path):
    index_only = GOLDEN / "checkpoints" / "simbert-small-index"
    output, _ = simbert("inspect", index_only)
    assert "bert/embeddings/word_embeddings" in output and "missing" in output
    _, errors = simbert("inspect", "--check", index_only, status=1)
    assert str(index_only) in errors
    _, errors = simbert("inspect", tmp_path, status=1)
    assert str(tmp_path) in errors


@pytest.mark.parametrize("dtype, stored", [([], "f32"), (["--dtype", "f16"], "f16"), (["--dtype", "bf16"], "bf16")])
def test_convert(tmp_path, dtype, stored):
    """Google's form to Hugging Face's; the same vectors, or nearly, when the numbers are smaller."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for path in (GOLDEN / "models" / "tiny-bert").glob("*"):
        if path.name.startswith("bert_") or path.name == "vocab.txt":
            shutil.copy(path, source)
    output, _ = simbert("convert", source, target, *dtype)
    assert "model.safetensors" in output and stored in output
    simbert("inspect", "--check", target)
    before, after = (objects("embed", "--model", folder, "一二三", "不")[1]["embedding"] for folder in (source, target))
    assert before == after if stored == "f32" else cosine(before, after) > 0.999
    again, _ = simbert("convert", target, tmp_path / "again")
    assert stored in again
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (target / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["tiny-roformer", "tiny-headsize"])
def test_convert_to_tensorflow(tmp_path, name):
    """And back: the same file."""
    google, back = tmp_path / "google", tmp_path / "back"
    source = tmp_path / "source"
    simbert("convert", GOLDEN / "models" / name, source)
    output, _ = simbert("convert", "--format", "tensorflow", source, google)
    assert "bert_model.ckpt.data-00000-of-00001" in output and "f32" in output
    assert sorted(path.name for path in google.iterdir()) == [
        "bert_config.json", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.index", "vocab.txt"]
    report, _ = simbert("inspect", "--check", google)
    assert "tensorflow (1 shard)" in report and "no problems" in report
    simbert("convert", google, back)
    assert (back / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    before, after = (objects("embed", "--model", folder, "一二三")[0]["embedding"] for folder in (source, google))
    assert before == after
    half, _ = simbert("convert", "--format", "tensorflow", "--dtype", "bf16", source, google)
    assert "bf16" in half
    _, errors = simbert("convert", "--format", "tensorflow", source, back, status=1)
    assert "config.json" in errors and "another folder" in errors
    simbert("convert", "--format", "onnx", source, google, status=2)


def test_convert_refuses(tmp_path):
    _, errors = simbert("convert", GOLDEN / "checkpoints" / "simbert-small-index", tmp_path / "out", status=1)
    assert "missing" in errors and not (tmp_path / "out" / "model.safetensors").exists()
    (tmp_path / "file").write_text("x")
    _, errors = simbert("convert", TINY_DIR, tmp_path / "file", status=1)
    assert str(tmp_path / "file") in errors


def test_bench():
    few = ["--count", "3", "--repeat", "1", "--model", TINY_DIR]
    embed, = objects("bench", "embed", *few)
    assert embed["bench"] == "embed" and embed["threads"] == 1 and embed["texts"] == 3 and embed["tokens"] > 12
    assert embed["tokens_per_second"] > 0 and embed["latency_ms_p50"] > 0
    paraphrase = objects("bench", "paraphrase", "--count", "3", "--repeat", "1")
    assert [(one["mode"], one["candidates"]) for one in paraphrase] == [("top_k 5", 20), ("top_p 0.95", 20), ("beam 4", 4)]
    assert all(one["generated_tokens"] == 3 * 12 * one["candidates"] and one["ms_p50"] > 0 for one in paraphrase)
    tokenize, = objects("bench", "tokenize", *few)
    assert tokenize["tokens"] == embed["tokens"] and tokenize["sentences_per_second"] > 0
    texts, _ = simbert("bench", "texts", "--count", "500")
    assert len(texts.splitlines()) == 500 and len(set(texts.splitlines())) > 200
    assert "tokens/s" in simbert("bench", "embed", *few)[0] and "beam 4" in simbert("bench", "paraphrase", *few)[0]


def test_bench_attention():
    model = ROOT / "tests" / "golden" / "models" / "tiny-bert"
    lines = objects("bench", "attention", "--model", model, "--repeat", "1")
    assert {line["tokens"] for line in lines} == {16, 32, 64}  # its longest row
    by = {(line["variant"], line["tokens"]): line for line in lines}
    assert len(by) == len(lines) == 3 * 11
    assert by["vanilla", 16]["cache_bytes_per_token"] == 2 * by["dense", 16]["cache_bytes_per_token"]
    assert by["random", 16]["parameters"] > by["factorised random", 16]["parameters"]
    for line in lines:
        assert line["serve_cpu_seconds_p50"] > 0 and line["train_cpu_seconds_p50"] > 0
        assert line["session_bytes"] > 0 and line["pass_bytes"] > line["session_bytes"]
    table, _ = simbert("bench", "attention", "--model", model, "--repeat", "1")
    assert "factorised dense" in table and "training (f32), tokens:" in table


def test_bench_with_texts_of_ones_own(tmp_path):
    (tmp_path / "texts").write_text("怎么退货\n\n怎么还款\n", encoding="utf-8")
    assert objects("bench", "tokenize", "--repeat", "1", "--input", tmp_path / "texts")[0]["texts"] == 2
    (tmp_path / "empty").write_text("\n")
    _, errors = simbert("bench", "embed", "--input", tmp_path / "empty", status=1)
    assert "holds no text" in errors
