"""The commands on collections and on sets of texts: import, export, check, duplicates, clusters, coverage."""
import json
import os
import subprocess

import pytest

from conftest import ENVIRONMENT, MODEL_DIR, ROOT, SIMBERT, TINY_DIR

TEXTS = ["怎么申请退货", "如何申请退货", "花呗怎么还款", "花呗如何还款", "今天天气不错"]


def run(*arguments, input=None, status=0):
    done = subprocess.run([SIMBERT, *map(str, arguments)], input=input, capture_output=True, env=ENVIRONMENT, cwd=ROOT,
                          timeout=300)
    assert done.returncode == status, done.stderr.decode(errors="replace")
    return done.stdout.decode() if status == 0 else done.stderr.decode()


def lines(count, first=0):
    return "".join(json.dumps({"id": f"s{i}", "text": f"第{i}句话", "metadata": {"n": i}}, ensure_ascii=False) + "\n"
                   for i in range(first, first + count)).encode()


@pytest.fixture
def into(tmp_path):
    return ["import", "--data", tmp_path / "data", "--collection", "c", "--model", TINY_DIR]


def export(tmp_path, *arguments):
    return run("export", "--data", tmp_path / "data", "--collection", "c", *arguments)


def test_round_trip(tmp_path, into):
    (tmp_path / "file").write_bytes(lines(2500))
    assert run(*into, "--vectors", "int16", tmp_path / "file") == "2500 lines: 2500 inserted, 0 updated\n"
    assert export(tmp_path).encode() == lines(2500).replace(b'": ', b'":').replace(b', "', b',"')
    assert json.loads(run(*into, "--json", input=lines(2500))) == {"lines": 2500, "inserted": 0, "updated": 2500}
    kept = export(tmp_path, "--filter", '{"n": {"lt": 2}}', "--vectors").splitlines()
    assert [json.loads(text)["id"] for text in kept] == ["s0", "s1"]
    vector = json.loads(kept[0])["vector"]
    assert len(vector) > 8 and sum(x * x for x in vector) == pytest.approx(1, abs=1e-3)


def test_odd_lines(tmp_path, into):
    assert run(*into, input=b"") == "0 lines: 0 inserted, 0 updated\n"
    assert run(*into, input=b"\n \r\n" + lines(1) + b"\n" + lines(1) * 3) == "7 lines: 1 inserted, 3 updated\n"
    error = run(*into, input=lines(1200) + b"{}\n" + lines(5), status=1)
    assert "line 1201 has no id" in error and "1200 lines are stored" in error
    error = run(*into, input=lines(3) + b'{"id": "a\\nb", "text": "x"}\n', status=1)
    assert "0 lines are stored" in error
    assert "line 2" in run(*into, input=lines(1) + b"{\xff\n", status=1)
    assert len(export(tmp_path).splitlines()) == 1200


def test_a_server_has_the_directory(launch, tmp_path, into):
    launch()
    error = run(*into, input=lines(1), status=1)
    assert "another simbert process" in error and "curl -T" in error


def test_the_model_must_be_the_same(tmp_path, into):
    run(*into, input=lines(1))
    into[into.index(TINY_DIR)] = MODEL_DIR
    assert "was made by model" in run(*into, input=lines(1), status=1)


@pytest.mark.parametrize("arguments, says", [
    (["import"], "--collection NAME is missing"), (["export"], "--collection NAME is missing"), (["check"], "is missing"),
    (["check", "a", "b"], "one data directory"), (["import", "a", "b"], "one file"), (["coverage"], "--against"),
    (["import", "--vectors", "f8"], "f32"),
])
def test_usage(tmp_path, arguments, says):
    done = subprocess.run([SIMBERT, *arguments], capture_output=True, env=ENVIRONMENT, cwd=tmp_path,
                          stdin=subprocess.DEVNULL)
    assert done.returncode in (1, 2) and says in done.stderr.decode()


def test_check(tmp_path, into):
    run(*into, input=lines(3000))
    assert "1 collections, 3000 sentences, 0 problems" in run("check", tmp_path / "data")
    path = tmp_path / "data" / "simbert.db"
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle:middle + 4096] = os.urandom(4096)
    path.write_bytes(data)
    error = run("check", tmp_path / "data", status=1)
    assert "simbert.db" in error
    repaired = run("check", "--repair", tmp_path / "data")
    assert "repaired" in repaired and (tmp_path / "data" / "simbert.db.damaged").exists()
    assert " 0 problems" in run("check", tmp_path / "data")
    left = export(tmp_path).splitlines()
    assert 2000 < len(left) < 3000 or len(left) == 3000


def test_duplicates():
    out = run("duplicates", "--min-score", "0.8", *TEXTS).splitlines()
    rows = [row.split("\t") for row in out]
    assert {tuple(row[1:]) for row in rows} >= {(TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[3])}
    scores = [float(row[0]) for row in rows]
    assert scores == sorted(scores, reverse=True) and min(scores) >= 0.8
    first = json.loads(run("duplicates", "--limit", "1", "--json", input="\n\n".join(TEXTS).encode()))
    assert first["first"]["index"] % 2 == 0 and first["first"]["text"] in TEXTS and first["score"] > 0.8
    assert run("duplicates", input=b"") == ""


def test_clusters():
    out = run("clusters", "--min-score", "0.7", *TEXTS).splitlines()
    assert [row.split("\t")[0] for row in out] == ["2", "", "2", ""]
    groups = [json.loads(row) for row in run("clusters", "--k", "3", "--min-size", "1", "--json", *TEXTS).splitlines()]
    assert sorted(group["size"] for group in groups) == [1, 2, 2]
    for group in groups:
        assert group["title"] == TEXTS[group["index"]] and len(group["members"]) == group["size"]
    assert run("clusters", input=b"") == ""


def test_coverage(tmp_path):
    (tmp_path / "faq").write_text("\n".join(TEXTS[::2]))
    out = run("coverage", "--against", tmp_path / "faq", "怎样申请退货", "宇宙有多大")
    assert [row.split("\t")[1] for row in out.splitlines()] == ["宇宙有多大"]
    rows = [json.loads(row) for row in run("coverage", "--against", tmp_path / "faq", "--all", "--json", "怎样申请退货",
                                           "宇宙有多大").splitlines()]
    assert [row["covered"] for row in rows] == [True, False] and rows[0]["nearest"]["text"] == TEXTS[0]
    (tmp_path / "empty").write_text("")
    (row,) = run("coverage", "--against", tmp_path / "empty", "--json", "x").splitlines()
    assert json.loads(row)["covered"] is False
    assert "No such file" in run("coverage", "--against", tmp_path / "none", "x", status=1)
