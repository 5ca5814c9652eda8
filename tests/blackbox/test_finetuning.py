"""Fine-tuning jobs: their life, what ends them, what a restart finds; the models they make; aliases. The trainer is
fake_trainer.py, so that this is about the server."""
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import requests

from conftest import SANITIZED, TINY_DIR, Server, cosine

TRAINER = {"SIMBERT_FINETUNE": str(Path(__file__).with_name("fake_trainer.py"))}
LINE = b'{"text": "a", "synonyms": ["b"]}\n'
LONG = {"steps": 10000, "sleep": 0.05}
PATIENCE = 60


def start(folder, *arguments, **options):
    return Server(folder, *arguments, models=(("tiny", TINY_DIR),), environment=TRAINER, **options)


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("tuner"))
    yield running
    assert running.process.poll() is None, running.log()
    assert running.stop() == 0, running.log()


@pytest.fixture
def own(tmp_path):
    """Starts servers on one data directory; those that still run must stop cleanly."""
    started = []

    def begin(*arguments):
        started.append(start(tmp_path, *arguments))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            assert running.stop() == 0, running.log()


def upload(server, content=LINE):
    reply = server.request("POST", "/v1/files", files={"file": ("x.jsonl", content)}, data={"purpose": "fine-tune"})
    assert reply.status_code == 200, reply.text
    return reply.json()["id"]


def plan_file(server, plan):
    """What the fake trainer is to do goes by the training file."""
    return upload(server, json.dumps({"text": "a", "synonyms": ["b"], **plan}).encode() + b"\n")


def create(server, plan=None, **fields):
    body = {"model": "tiny", "training_file": plan_file(server, plan or {}), **fields}
    reply = server.post("/v1/fine_tuning/jobs", body)
    assert reply.status_code == 200, reply.text
    assert reply.json()["status"] == "validating_files"
    return reply.json()["id"]


def job_of(server, job):
    return server.get(f"/v1/fine_tuning/jobs/{job}").json()


def wait_for(server, job, *statuses):
    end = time.monotonic() + PATIENCE
    while True:
        now = job_of(server, job)
        if now["status"] in statuses:
            return now
        assert time.monotonic() < end, (now, events_of(server, job))
        time.sleep(0.05)


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def events_of(server, job):
    """Messages, the oldest first."""
    return [event["message"] for event in server.get(f"/v1/fine_tuning/jobs/{job}/events?limit=1000").json()["data"]][::-1]


def do(server, job, verb, status=200):
    reply = server.request("POST", f"/v1/fine_tuning/jobs/{job}/{verb}")
    assert reply.status_code == status, reply.text
    return reply.json()


def folder_of(server, job):
    return server.log_path.parent / "data" / "jobs" / job


def steps_of(server, job):
    return [int(line["data"]["step"]) for line in
            server.get(f"/v1/fine_tuning/jobs/{job}/events?limit=1000").json()["data"]
            if line["data"] and "train_loss" in line["data"]][::-1]


def pid_of(server, job):
    return [int(line.rsplit(" ", 1)[1]) for line in server.log().splitlines() if f"{job}: started, process" in line][-1]


def vector(server, model, text="天天"):
    reply = server.post("/v1/embeddings", {"input": text, "model": model})
    assert reply.status_code == 200, reply.text
    return reply.json()["model"], reply.json()["data"][0]["embedding"]


# ---- a job's life ----

def test_from_upload_to_a_served_model(tuner):
    validation = upload(tuner)
    recipe = {"steps": 4, "learning_rate": 1e-5, "teacher": "tiny"}
    job = create(tuner, {"steps": 4, "shift": 3}, suffix="faq", seed=7, validation_file=validation,
                 metadata={"team": "support"}, method={"type": "simbert", "simbert": recipe})
    done = wait_for(tuner, job, "succeeded", "failed")
    name = done["fine_tuned_model"]
    assert name == f"ft:tiny:simbert:faq:{job[-8:]}"
    assert (done["object"], done["model"], done["seed"], done["error"]) == ("fine_tuning.job", "tiny", 7, None)
    assert done["trained_tokens"] == 256 and done["created_at"] <= done["finished_at"]
    assert done["validation_file"] == validation and done["metadata"] == {"team": "support"}
    assert done["method"] == {"type": "simbert", "simbert": recipe}
    model = tuner.get(f"/v1/models/{name}").json()
    assert model["id"] == name and model["hash"] != tuner.get("/v1/models/tiny").json()["hash"]
    assert name in [each["id"] for each in tuner.get("/v1/models").json()["data"]]
    assert vector(tuner, name)[0] == name and vector(tuner, name)[1] != vector(tuner, "tiny")[1]
    messages = events_of(tuner, job)
    wanted = ["Created fine-tuning job", "Files validated, job queued", "Fine-tuning job started", "Training on 10",
              "Step 1/4", "Checkpoint created at step 2", "Step 4/4", "Evaluation at step 4: spearman=0.8",
              "one line was dropped", "passed the evaluation", "The job has successfully completed"]
    at = [next(i for i, message in enumerate(messages) if text in message) for text in wanted]
    assert at == sorted(at), messages
    told = json.loads((folder_of(tuner, job) / "job.json").read_text())
    assert told["recipe"] == {**recipe, "teacher": str(TINY_DIR), "seed": 7} and told["name"] == name
    assert Path(told["model"]) == TINY_DIR and Path(told["validation"]).read_bytes() == LINE
    wait_until(lambda: not (folder_of(tuner, job) / "checkpoints").exists())
    assert not (folder_of(tuner, job) / "model").exists()


def test_results_are_a_file(tuner):
    job = create(tuner, {"steps": 3})
    results = wait_for(tuner, job, "succeeded")["result_files"]
    lines = [json.loads(line) for line in tuner.get(f"/v1/files/{results[0]}/content").text.splitlines()]
    assert [line["train_loss"] for line in lines if "train_loss" in line] == [1, pytest.approx(1 / 3)]
    assert {"spearman": 0.8} in [line.get("metrics") for line in lines]
    assert tuner.get(f"/v1/files/{results[0]}").json()["purpose"] == "fine-tune-results"


def test_hyperparameters(tuner):
    values = {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5}
    rates = []
    for fields in ({"method": {"type": "supervised", "supervised": {"hyperparameters": values}}},
                   {"hyperparameters": values}):
        job = create(tuner, **fields)
        done = wait_for(tuner, job, "succeeded")
        assert done["hyperparameters"] == values
        assert done["method"] == {"type": "supervised", "supervised": {"hyperparameters": values}}
        recipe = json.loads((folder_of(tuner, job) / "job.json").read_text())["recipe"]
        rate = recipe.pop("learning_rate")
        assert recipe == {"epochs": 2, "seed": done["seed"]}
        rates.append(rate)
    assert rates[0] == rates[1] and 0 < rates[0] < 0.1
    assert job_of(tuner, create(tuner))["hyperparameters"]["n_epochs"] == "auto"


@pytest.mark.parametrize("changes, status, param", [
    ({"model": None}, 400, "model"), ({"model": "gpt-4"}, 404, "model"), ({"model": 3}, 400, "model"),
    ({"training_file": None}, 400, "training_file"), ({"training_file": "file-x"}, 400, "training_file"),
    ({"validation_file": "file-x"}, 400, "validation_file"), ({"suffix": "a b"}, 400, "suffix"),
    ({"suffix": "x" * 65}, 400, "suffix"), ({"seed": -1}, 400, "seed"), ({"seed": 1.5}, 400, "seed"),
    ({"metadata": []}, 400, "metadata"), ({"metadata": {"a": 1}}, 400, "metadata"),
    ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"), ({"metadata": {"a": "x" * 513}}, 400, "metadata"),
    ({"integrations": [{"type": "wandb"}]}, 400, "integrations"), ({"method": "x"}, 400, "method"),
    ({"method": {}}, 400, "method.type"), ({"method": {"type": "dpo"}}, 400, "method.type"),
    ({"method": {"type": "simbert", "simbert": []}}, 400, "method.simbert"),
    ({"method": {"type": "simbert", "simbert": {"epoch": 3}}}, 400, "method.simbert"),
    ({"method": {"type": "simbert", "simbert": {"teacher": "/etc"}}}, 400, "method.simbert"),
    ({"method": {"type": "simbert", "simbert": {"objectives": [{"name": "seq2seq", "data": ["/etc/passwd"]}]}}}, 400,
     "method.simbert"),
    ({"method": {"type": "simbert", "simbert": {"objectives": [{"name": "masked_lm", "noise": {"words": "/etc/passwd"}}]}}}, 400,
     "method.simbert"),
    ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}}, 400,
     "method.supervised.hyperparameters.n_epochs"),
    ({"hyperparameters": {"batch_size": 1.5}}, 400, "method.supervised.hyperparameters.batch_size"),
    ({"hyperparameters": {"learning_rate_multiplier": "x"}}, 400,
     "method.supervised.hyperparameters.learning_rate_multiplier"),
], ids=range(26))
def test_what_is_wrong_is_named(tuner, changes, status, param):
    reply = tuner.post("/v1/fine_tuning/jobs", {"model": "tiny", "training_file": upload(tuner), **changes})
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]["param"] == param, reply.text


def test_unknown_job(tuner):
    for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/events?stream=true"), ("GET", "/checkpoints"),
                         ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume")):
        reply = tuner.request(method, f"/v1/fine_tuning/jobs/ftjob-x{path}")
        assert reply.status_code == 404 and reply.json()["error"]["param"] == "fine_tuning_job_id"


def test_pages(tuner):
    jobs = [create(tuner, {"steps": 6}) for _ in range(3)]
    for job in jobs:
        wait_for(tuner, job, "succeeded")
    page = tuner.get("/v1/fine_tuning/jobs?limit=2").json()
    assert [job["id"] for job in page["data"]] == jobs[:0:-1] and page["has_more"] and page["object"] == "list"
    assert tuner.get(f"/v1/fine_tuning/jobs?limit=1&after={jobs[1]}").json()["data"][0]["id"] == jobs[0]
    path = f"/v1/fine_tuning/jobs/{jobs[0]}/"
    every = tuner.get(path + "events?limit=1000").json()["data"]
    first = tuner.get(path + "events?limit=4").json()
    rest = tuner.get(path + f"events?limit=1000&after={first['data'][-1]['id']}").json()
    assert first["data"] + rest["data"] == every and first["has_more"] and not rest["has_more"]
    page = tuner.get(path + "checkpoints?limit=2").json()
    assert [each["step_number"] for each in page["data"]] == [6, 4] and page["has_more"]
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][1]["id"])
    assert page["data"][0]["metrics"] == {"train_loss": pytest.approx(1 / 6)}
    assert [each["step_number"] for each in
            tuner.get(path + f"checkpoints?after={page['last_id']}").json()["data"]] == [2]
    for query in ("limit=0", "after=x", "limit=x", "stream=maybe"):
        assert tuner.get(path + f"events?{query}").status_code == 400, query


# ---- following ----

def read_stream(server, job, query=""):
    with requests.get(server.url + f"/v1/fine_tuning/jobs/{job}/events?stream=true{query}", stream=True,
                      timeout=PATIENCE) as reply:
        assert reply.headers["content-type"] == "text/event-stream"
        for line in reply.iter_lines():
            if line.startswith(b"data: "):
                yield line[6:].decode()


def test_stream(tuner):
    job = create(tuner, {"steps": 5, "sleep": 0.1})
    lines = list(read_stream(tuner, job))
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1]]
    assert events == tuner.get(f"/v1/fine_tuning/jobs/{job}/events?limit=1000").json()["data"][::-1]
    assert list(read_stream(tuner, job, f"&after={events[3]['id']}")) == lines[4:]


def test_streams_end_with_their_client_and_with_the_server(own):
    server = own()
    job = create(server, LONG)
    gone = read_stream(server, job)
    next(gone)
    gone.close()
    follower, seen = read_stream(server, job), []
    seen.append(next(follower))
    thread = threading.Thread(target=lambda: seen.extend(follower))
    thread.start()
    wait_until(lambda: server.metric("simbert_requests_active") <= 2)
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 20
    thread.join(PATIENCE)
    assert not thread.is_alive() and "[DONE]" not in seen


def test_metrics(own):
    server = own()
    job = create(server, LONG)

    def told():
        return f'simbert_finetuning_step{{job="{job}"}}' in server.get("/metrics").text

    wait_until(told)
    assert server.metric(f'simbert_finetuning_step{{job="{job}"}}') >= 1
    assert server.metric(f'simbert_finetuning_steps{{job="{job}"}}') == 10000
    assert server.metric(f'simbert_finetuning_eta_seconds{{job="{job}"}}') > 1000
    assert server.metric(f'simbert_finetuning_loss{{job="{job}"}}') <= 1
    assert server.metric(f'simbert_finetuning_objective_loss{{job="{job}",objective="in\\"batch"}}') == 0.5
    assert server.metric('simbert_finetuning_jobs{status="running"}') == 1
    assert job_of(server, job)["estimated_finish"] > time.time() + 1000
    assert do(server, job, "cancel")["estimated_finish"] is None


# ---- cancel, pause, resume, the queue ----

def test_one_at_a_time(own):
    server = own()
    first, second, third = (create(server, LONG), create(server, {"steps": 3}), create(server, {"steps": 3}))
    wait_for(server, first, "running")
    assert wait_for(server, second, "queued") and wait_for(server, third, "queued")
    assert do(server, second, "cancel")["status"] == "cancelled"
    assert do(server, third, "pause")["status"] == "paused"
    assert do(server, first, "cancel")["status"] == "cancelled"
    wait_until(lambda: not folder_of(server, first).exists())
    do(server, third, "resume")
    wait_for(server, third, "succeeded")
    assert job_of(server, second)["status"] == "cancelled" and steps_of(server, second) == []
    for job, verb in ((first, "resume"), (first, "cancel"), (third, "pause"), (third, "resume"), (third, "cancel")):
        assert "it can not be" in do(server, job, verb, 409)["error"]["message"]


def test_several_at_a_time(own):
    server = own("--max-jobs", 2)
    jobs = [create(server, LONG) for _ in range(3)]
    wait_for(server, jobs[0], "running")
    wait_for(server, jobs[1], "running")
    wait_for(server, jobs[2], "queued")
    do(server, jobs[0], "cancel")
    wait_for(server, jobs[2], "running")


def test_pause_and_resume_go_on_from_the_checkpoint(own):
    server = own()
    job = create(server, {"steps": 40, "sleep": 0.05, "checkpoint_every": 1000})
    wait_until(lambda: steps_of(server, job))
    assert do(server, job, "pause")["status"] == "paused"
    wait_until(lambda: "its process has ended" in server.log())
    checkpoint = server.get(f"/v1/fine_tuning/jobs/{job}/checkpoints").json()["data"][0]["step_number"]
    assert 1 <= checkpoint < 40 and job_of(server, job)["status"] == "paused"
    do(server, job, "resume")
    do(server, job, "pause")
    do(server, job, "resume")  # whatever the child was at
    wait_for(server, job, "succeeded")
    assert any(f"going on after step {checkpoint}" in message for message in events_of(server, job))


def test_cancel_ends_the_whole_group(own):
    server = own()
    job = create(server, {**LONG, "children": True, "ignore_sigterm": True})
    wait_until(lambda: steps_of(server, job))
    group = pid_of(server, job)
    os.killpg(group, 0)
    do(server, job, "cancel")

    def gone():
        try:
            os.killpg(group, 0)
            return False
        except ProcessLookupError:
            return True

    wait_until(gone)


# ---- failures ----

@pytest.mark.parametrize("recipe, code, words", [
    ({"fail_at": 2, "message": "loss is not a number"}, "training_failed", "loss is not a number"),
    ({"fail_at": 2, "message": "step 2: no memory for activations"}, "out_of_memory", "no memory"),
    ({"fail_at": 2, "exit": 3}, "training_failed", "status 3"),
    ({"fail_at": 2, "signal": int(signal.SIGSEGV)}, "killed", "signal 11"),
    ({"fail_at": 2, "signal": int(signal.SIGKILL)}, "killed", "memory"),
    ({"gate": False}, "eval_gate", "spearman was 0.75, is 0.5"),
    ({"gate": False, "after": None}, "eval_gate", "spearman was 0.75, is without a value"),
    ({"source": "/nowhere"}, "training_failed", "/nowhere"),
    ({"source": str(Path(__file__).parent)}, "model_not_loaded", "config"),
], ids=range(9))
def test_failures_have_their_reason(tuner, recipe, code, words):
    models = tuner.get("/v1/models").json()
    job = create(tuner, {"steps": 4, **recipe})
    failed = wait_for(tuner, job, "failed", "succeeded")
    assert failed["status"] == "failed" and failed["fine_tuned_model"] is None
    assert failed["error"]["code"] == code and words in failed["error"]["message"], failed["error"]
    assert words in events_of(tuner, job)[-1]
    assert tuner.get("/v1/models").json() == models and vector(tuner, "tiny")


def test_a_model_that_nothing_measures_is_served_with_a_warning(tuner):
    job = create(tuner, {"steps": 2, "gate": None})
    assert wait_for(tuner, job, "succeeded", "failed")["status"] == "succeeded"
    assert any("Nothing was measured" in message for message in events_of(tuner, job))


def test_a_failed_job_can_go_on(tuner):
    job = create(tuner, {"steps": 6, "fail_at": 5, "once": True, "message": "the disk is full"})
    assert "disk" in wait_for(tuner, job, "failed")["error"]["message"]
    assert do(tuner, job, "resume")["error"] is None
    assert wait_for(tuner, job, "succeeded", "failed")["status"] == "succeeded"
    assert any("going on after step 4" in message for message in events_of(tuner, job))


def test_files_that_a_job_needs(own):
    server = own()
    blocker, job = create(server, LONG), create(server, {"steps": 2})
    wait_for(server, job, "queued")
    file = job_of(server, job)["training_file"]
    reply = server.delete(f"/v1/files/{file}")
    assert reply.status_code == 409 and "in use" in reply.json()["error"]["message"]
    do(server, blocker, "cancel")
    wait_for(server, job, "succeeded")
    assert server.delete(f"/v1/files/{file}").status_code == 200
    file = upload(server)
    stored = server.log_path.parent / "data" / "files" / f"{file}.jsonl"
    stored.write_bytes(b"")
    for reason in ("bytes on disk", "gone"):
        failed = wait_for(server, create(server, {"steps": 2}, training_file=file), "failed")
        assert failed["error"]["param"] == "training_file" and reason in failed["error"]["message"]
        stored.unlink(missing_ok=True)


def test_a_trainer_that_is_stopped_from_outside_is_paused(tuner):
    job = create(tuner, {"steps": 200, "sleep": 0.02})
    wait_until(lambda: steps_of(tuner, job))
    os.kill(pid_of(tuner, job), signal.SIGTERM)
    wait_for(tuner, job, "paused")
    do(tuner, job, "cancel")


def test_memory_limit_and_niceness(own):
    server = own("--job-memory-bytes", 200 << 20, "--job-niceness", 7, "--job-threads", 3)
    job = create(server, {"steps": 3, "fail_at": 2, "memory": 400 << 20})
    assert "MemoryError" in wait_for(server, job, "failed")["error"]["message"]
    job = create(server, LONG)
    wait_until(lambda: steps_of(server, job))
    pid = pid_of(server, job)
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(os.getpriority(os.PRIO_PROCESS, server.process.pid) + 7, 19)
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert [item for item in environment if item.startswith(b"SIMBERT_")] == [b"SIMBERT_THREADS=3"]
    assert os.getpgid(pid) == pid and Path(f"/proc/{pid}/oom_score_adj").read_text() == "800\n"
    opened = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    assert not [name for name in opened if "socket" in name or name.endswith(".db")], opened


# ---- restarts ----

@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_goes_on(own, end):
    server = own()
    job = create(server, {"steps": 60, "sleep": 0.05, "checkpoint_every": 5})
    other = create(server, {"steps": 2})
    wait_until(lambda: len(server.get(f"/v1/fine_tuning/jobs/{job}/checkpoints").json()["data"]) > 0)
    if end == "stop":
        assert server.stop() == 0
    else:
        server.process.kill()
        server.process.wait()
    server = own()
    assert job_of(server, job)["status"] in ("queued", "running")
    assert wait_for(server, job, "succeeded", "failed")["status"] == "succeeded"
    messages = events_of(server, job)
    assert any("restarted" in message for message in messages)
    resumed = [int(message.rsplit(" ", 1)[1]) for message in messages if "going on after step" in message]
    assert len(resumed) == 1 and resumed[0] >= 1
    steps = steps_of(server, job)
    assert steps[-1] == 60
    wait_for(server, other, "succeeded")


def test_models_aliases_and_the_past_survive_a_restart(own):
    server = own()
    job = create(server, {"steps": 2, "shift": 3}, suffix="a.b")
    name = wait_for(server, job, "succeeded")["fine_tuned_model"]
    expected = vector(server, name)
    assert server.put("/v1/aliases/prod", {"model": name}).status_code == 200
    assert server.put("/v1/aliases/default", {"model": name}).status_code == 200
    past = job_of(server, job), events_of(server, job)
    server.process.kill()
    server.process.wait()
    broken = server.log_path.parent / "data" / "models" / "broken"
    broken.mkdir()
    server = own()
    assert vector(server, name) == vector(server, "prod") == vector(server, None) == expected
    assert (job_of(server, job), events_of(server, job)) == past
    assert "model broken is not served" in server.log()
    assert server.delete("/v1/aliases/default").status_code == 200
    assert vector(server, None)[0] == "tiny"


# ---- models and aliases ----

@pytest.fixture(scope="module")
def tuned(tuner):
    return wait_for(tuner, create(tuner, {"steps": 2, "shift": 3}), "succeeded")["fine_tuned_model"]


def test_aliases(tuner, tuned):
    alias = {"object": "model.alias", "name": "faq", "model": tuned, "served": True}
    assert tuner.get("/v1/aliases/faq").status_code == 404
    assert tuner.put("/v1/aliases/faq", {"model": tuned}).json() == alias
    assert tuner.get("/v1/aliases/faq").json() == alias
    assert tuner.get("/v1/aliases").json() == {"object": "list", "data": [alias]}
    assert vector(tuner, "faq")[0] == tuned
    assert tuner.get("/v1/models/faq").json()["id"] == tuned
    swaps = tuner.metric("simbert_model_swaps_total")
    tuner.put("/v1/aliases/faq", {"model": "tiny"})
    assert vector(tuner, "faq")[0] == "tiny" and tuner.metric("simbert_model_swaps_total") == swaps + 1
    for path, body, status in (("faq", {"model": "nothing"}, 404), ("faq", {}, 400), ("faq", {"model": 1}, 400),
                               ("tiny", {"model": tuned}, 409), ("a%20b", {"model": "tiny"}, 400)):
        assert tuner.put(f"/v1/aliases/{path}", body).status_code == status, path
    assert tuner.delete("/v1/aliases/faq").json()["deleted"]
    assert tuner.delete("/v1/aliases/faq").status_code == 404
    assert tuner.post("/v1/embeddings", {"input": "a", "model": "faq"}).status_code == 404


def test_an_alias_can_be_a_base(tuner, tuned):
    """The job keeps the model that the alias stood for, and a second tuning keeps the first base's name."""
    tuner.put("/v1/aliases/base", {"model": tuned})
    job = create(tuner, {"steps": 2}, model="base")
    tuner.delete("/v1/aliases/base")
    done = wait_for(tuner, job, "succeeded")
    assert done["model"] == tuned and done["fine_tuned_model"].startswith("ft:tiny:simbert::")


def test_a_model_is_deleted_when_nothing_uses_it(tuner):
    name = wait_for(tuner, create(tuner, {"steps": 2, "shift": 5}), "succeeded")["fine_tuned_model"]
    folder = tuner.log_path.parent / "data" / "models" / name
    wait_until(folder.is_dir)  # it moves there just after the success is told
    assert tuner.delete("/v1/models/tiny").status_code == 409
    assert tuner.delete("/v1/models/nothing").status_code == 404
    tuner.put("/v1/aliases/in-use", {"model": name})
    assert tuner.delete("/v1/models/in-use").status_code == 404
    assert "in-use" in tuner.delete(f"/v1/models/{name}").json()["error"]["message"]
    tuner.delete("/v1/aliases/in-use")
    tuner.put("/v1/collections/c", {"model": name})
    assert '"c"' in tuner.delete(f"/v1/models/{name}").json()["error"]["message"]
    tuner.delete("/v1/collections/c")
    job = create(tuner, LONG, model=name)
    assert "base" in tuner.delete(f"/v1/models/{name}").json()["error"]["message"]
    do(tuner, job, "cancel")
    assert tuner.delete(f"/v1/models/{name}").json() == {"id": name, "object": "model", "deleted": True}
    assert tuner.get(f"/v1/models/{name}").status_code == 404 and not folder.exists()


def test_switching_under_load_mixes_nothing_up(tuner, tuned):
    """100 switches while clients ask: each answer is wholly of the model that it names, none fails, none is slow to see
    the switch."""
    expected = {model: [vector(tuner, model, text)[1] for text in ("天天", "地", "a b")] for model in ("tiny", tuned)}
    assert expected["tiny"] != expected[tuned]
    tuner.put("/v1/aliases/live", {"model": "tiny"})
    wrong, seen, going = [], {"tiny": 0, tuned: 0}, True

    def client():
        session = requests.Session()
        while going:
            reply = session.post(tuner.url + "/v1/embeddings", timeout=PATIENCE,
                                 json={"input": ["天天", "地", "a b"], "model": "live"})
            if reply.status_code != 200:
                wrong.append(reply.text)
                continue
            model = reply.json()["model"]
            if [item["embedding"] for item in reply.json()["data"]] != expected.get(model):
                wrong.append(model)
            seen[model] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for switch in range(100):
        target = (tuned, "tiny")[switch % 2]
        assert tuner.put("/v1/aliases/live", {"model": target}).status_code == 200
        assert vector(tuner, "live")[0] == target
    going = False
    for thread in threads:
        thread.join()
    tuner.delete("/v1/aliases/live")
    assert not wrong, wrong[:3]
    assert min(seen.values()) > 10, seen


# ---- the real trainer ----

@pytest.mark.skipif(SANITIZED, reason="a job's memory limit leaves no room for a sanitizer's shadow")
def test_simbert_trains(launch):
    server = launch(models=(("tiny", TINY_DIR),))
    lines = [json.dumps({"text": f"天地人{n}", "synonyms": [f"人地天{n}", "地天人"]}) for n in range(12)]
    job = server.post("/v1/fine_tuning/jobs", {
        "model": "tiny", "training_file": upload(server, "\n".join(lines).encode()), "seed": 1,
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}}).json()
    done = wait_for(server, job["id"], "succeeded", "failed")
    assert done["status"] == "succeeded" and done["trained_tokens"] > 0, done["error"]
    assert vector(server, done["fine_tuned_model"])[1] != vector(server, "tiny")[1]
    checkpoint, = server.get(f"/v1/fine_tuning/jobs/{job['id']}/checkpoints").json()["data"]
    measured = [name.rsplit(".", 1)[-1] for name in checkpoint["metrics"]]
    assert checkpoint["step_number"] == 3 and {"train_loss", "mrr"} <= set(measured)


# ---- the OpenAI SDK ----

def test_openai_sdk(tuner):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=tuner.url + "/v1", api_key="none", max_retries=0) as client:
        file = client.files.create(file=("faq.jsonl", LINE), purpose="fine-tune")
        jobs = client.fine_tuning.jobs
        job = jobs.create(model="tiny", training_file=file.id, suffix="sdk", metadata={"a": "b"},
                          method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}})
        assert job.method.supervised.hyperparameters.n_epochs == 3 and job.metadata == {"a": "b"}
        end = time.monotonic() + PATIENCE
        while jobs.retrieve(job.id).status != "succeeded":
            assert time.monotonic() < end
            time.sleep(0.05)
        done = jobs.retrieve(job.id)
        assert client.embeddings.create(model=done.fine_tuned_model, input="天天").model == done.fine_tuned_model
        assert job.id in [each.id for each in jobs.list(limit=1)]  # goes through all pages
        events = list(jobs.list_events(job.id, limit=2))
        assert events[0].message == "The job has successfully completed" and events[-1].message.startswith("Created")
        assert [each.step_number for each in jobs.checkpoints.list(job.id, limit=1)] == [4, 2]
        assert client.files.content(done.result_files[0]).text
        slow = jobs.create(model="tiny", training_file=plan_file(tuner, LONG))
        assert jobs.pause(slow.id).status == "paused" and jobs.resume(slow.id).status in ("queued", "running")
        assert jobs.cancel(slow.id).status == "cancelled"
        assert client.models.delete(done.fine_tuned_model).deleted
        with pytest.raises(openai.BadRequestError) as caught:
            jobs.create(model="tiny", training_file="file-none")
        assert caught.value.param == "training_file"
        with pytest.raises(openai.ConflictError):
            jobs.cancel(job.id)
