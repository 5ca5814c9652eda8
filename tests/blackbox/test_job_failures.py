"""What can happen under a job of the real trainer: the disk fills up, its file is deleted, cut or rewritten, memory runs out. The
job says what happened, the server goes on, and so can the job, from its last good checkpoint to the same model."""
import errno
import json
import os
import subprocess

import pytest

import conftest
from conftest import TINY_DIR, Server
from test_finetune import lines
from test_finetuning import do, events_of, folder_of, upload, vector, wait_for, wait_until

STEPS = 200 if conftest.SANITIZED else 600
RECIPE = {"steps": STEPS, "batch_size": 4, "learning_rate": 1e-4, "evaluation": {"every": 10 * STEPS, "metric": "mrr"},
          "gate": {"min_change": -1}, "checkpoint": {"every": 20, "keep": 2}}
ROOM = ("--job-memory-bytes", 10**14, "--job-threads", 1)  # sanitizers reserve address space without end
HEADROOM = 200_000  # less than a checkpoint of the tiny model, enough for the database


def data(count=12):
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(count)).encode()


def create(server, file, **changes):
    reply = server.post("/v1/fine_tuning/jobs", {"model": "tiny", "training_file": file, "seed": 5,
                                                 "method": {"type": "simbert", "simbert": {**RECIPE, **changes}}})
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


def has_checkpoint(server, job):
    return len(server.get(f"/v1/fine_tuning/jobs/{job}/checkpoints").json()["data"]) > 0


def tuned_vector(server, job):
    done = wait_for(server, job, "succeeded", "failed")
    assert done["status"] == "succeeded", done["error"]
    return vector(server, done["fine_tuned_model"])[1]


def checkpoint_names(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".ckpt"))


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    """A server whose data directory is a file system of 12 MB, in a mount namespace of its own; and that directory's path."""
    folder = tmp_path / "disk"
    folder.mkdir()
    probe = subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)],
                           capture_output=True)
    if probe.returncode != 0:
        pytest.skip("mounting needs user namespaces")
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nexec unshare -Urm sh -c \'mount -t tmpfs -o size=12m none "{folder}" && '
                       f'exec "{conftest.SIMBERT}" "$@"\' simbert "$@"\n')
    limited.chmod(0o755)
    monkeypatch.setattr(conftest, "SIMBERT", limited)
    server = Server(folder, *ROOM, models=(("tiny", TINY_DIR),))
    yield server, f"/proc/{server.process.pid}/root{folder}/data"
    assert server.stop() == 0, server.log()


def fill(path, room):
    """Writes until the disk is full, then leaves so many bytes."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError as problem:
            assert problem.errno == errno.ENOSPC
        file.truncate(max(file.tell() - room, 0))


@pytest.mark.parametrize("room", [HEADROOM, 0])
def test_a_disk_that_fills_up(small_disk, room):
    """With no room at all the failure can not even be recorded, and is as soon as there is some."""
    server, folder = small_disk
    file = upload(server, data())
    expected = tuned_vector(server, create(server, file))
    job = create(server, file)
    wait_until(lambda: has_checkpoint(server, job))
    fill(f"{folder}/filler", room)
    if not room:
        wait_until(lambda: f"{job}: its process has ended" in server.log())
        assert server.request("POST", "/v1/files", files={"file": ("x", data(50))},
                              data={"purpose": "fine-tune"}).status_code == 507
        assert vector(server, "tiny")
        os.unlink(f"{folder}/filler")
    failed = wait_for(server, job, "failed", "succeeded")
    assert failed["status"] == "failed" and "No space left" in failed["error"]["message"], failed["error"]
    assert failed["error"]["code"] == "training_failed" and "No space left" in events_of(server, job)[-1]
    assert vector(server, "tiny") and checkpoint_names(f"{folder}/jobs/{job}/checkpoints")
    if room:
        os.unlink(f"{folder}/filler")
    do(server, job, "resume")
    assert tuned_vector(server, job) == expected
    assert any("going on after step" in message for message in events_of(server, job))


@pytest.fixture
def trainer(launch):
    return launch(*ROOM, models=(("tiny", TINY_DIR),))


def stored_file(server, file):
    return server.log_path.parent / "data" / "files" / f"{file}.jsonl"


@pytest.mark.parametrize("damage", ["deleted", "cut", "rewritten"])
def test_a_file_that_is_damaged_under_a_job(trainer, damage):
    """A deleted one is missed when the result is to be measured by it, the others at the next step that reads them."""
    file = upload(trainer, data())
    expected = tuned_vector(trainer, create(trainer, file))
    job = create(trainer, file)
    wait_until(lambda: has_checkpoint(trainer, job))
    path = stored_file(trainer, file)
    if damage == "deleted":
        path.unlink()
    elif damage == "cut":
        os.truncate(path, 40)
    else:
        path.write_bytes(b"\n" * len(data()))
    failed = wait_for(trainer, job, "failed", "succeeded")
    assert failed["status"] == "failed" and path.name in failed["error"]["message"], failed["error"]
    assert vector(trainer, "tiny") and checkpoint_names(folder_of(trainer, job) / "checkpoints")
    path.write_bytes(data())
    do(trainer, job, "resume")
    assert tuned_vector(trainer, job) == expected


def test_lines_that_are_no_examples(trainer):
    """A few are counted and told; too many end the job before it trains, with file and line."""
    bad = b"not an example\n"
    job = create(trainer, upload(trainer, bad + data()), steps=3, bad_lines={"max_share": 0.2})
    assert tuned_vector(trainer, job)
    assert any("12 examples" in message and "1 dropped" in message for message in events_of(trainer, job))
    job = create(trainer, upload(trainer, bad + data()), steps=3)
    failed = wait_for(trainer, job, "failed", "succeeded")
    assert failed["status"] == "failed" and "line 1:" in failed["error"]["message"], failed["error"]
    assert not any(message.startswith("Step ") for message in events_of(trainer, job))


@pytest.mark.skipif(conftest.SANITIZED, reason="a job's memory limit leaves no room for a sanitizer's shadow")
def test_memory_that_runs_out(launch):
    """A batch of everything asks for more than a job may have."""
    server = launch("--job-memory-bytes", 300 << 20, "--job-threads", 1, models=(("tiny", TINY_DIR),))
    small, large = upload(server, data()), upload(server, data(8000))
    job = create(server, large, batch_size=8000)
    failed = wait_for(server, job, "failed", "succeeded")
    assert failed["status"] == "failed" and failed["error"]["code"] == "out_of_memory", failed["error"]
    assert "memory" in failed["error"]["message"] and vector(server, "tiny")
    assert tuned_vector(server, create(server, small, steps=3))
