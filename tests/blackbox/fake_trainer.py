#!/usr/bin/env python3
"""A trainer that trains nothing and speaks the protocol of `simbert finetune --job DIR`: what tests of the server's jobs
run as the child. What it does is in the first line of the training file, beside what a server reads there:

    steps, sleep       how many, and seconds for each
    checkpoint_every   steps
    source             model directory whose files become the result
    shift              bits to turn over in each of its word embeddings
    gate               false: the evaluation is not passed; null: there was none
    after              what it measured then: .5
    fail_at, message   ends with status 1 at this step; once: only if it has not gone on from a checkpoint
    exit, signal       ends so at fail_at, without a word
    memory             bytes to take at fail_at
    ignore_sigterm     does not stop
    children           starts a child of its own that never ends
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


class Trainer:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.job = json.loads((self.folder / "job.json").read_text())
        self.plan = json.loads(Path(self.job["train"]).read_text().splitlines()[0])
        self.checkpoints = self.folder / "checkpoints"
        self.stopping = False

    def latest(self):
        steps = [int(path.name.removeprefix("step-")) for path in self.checkpoints.glob("step-*")]
        return max(steps, default=0)

    def checkpoint(self, step):
        path = self.checkpoints / f"step-{step}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "state").write_text(str(step))
        say("checkpoint", step=step, path=str(path), metrics={"train_loss": 1 / step})

    def misbehave(self, step, resumed):
        if step != self.plan.get("fail_at") or (self.plan.get("once") and resumed):
            return
        if "memory" in self.plan:
            bytearray(self.plan["memory"])
        if "signal" in self.plan:
            os.kill(os.getpid(), self.plan["signal"])
        if "message" in self.plan:
            say("failed", message=self.plan["message"])
        sys.exit(self.plan.get("exit", 1))

    def write_model(self):
        output = Path(self.job["output"])
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(self.plan.get("source", self.job["model"]), output)
        shift = self.plan.get("shift", 0)
        if shift:
            path = output / "model.safetensors"
            data = bytearray(path.read_bytes())
            (size,) = struct.unpack("<Q", data[:8])
            entry = next(entry for name, entry in json.loads(data[8:8 + size]).items() if "word_embeddings" in name)
            start, end = (8 + size + offset for offset in entry["data_offsets"])
            for at in range(start + 2, end, 4):  # of each f32 the byte with the end of the exponent
                data[at] ^= shift
            path.write_bytes(data)

    def run(self):
        def stop(number, frame):
            self.stopping = not self.plan.get("ignore_sigterm")

        signal.signal(signal.SIGTERM, stop)
        steps, resumed = self.plan.get("steps", 5), self.latest()
        if self.plan.get("children"):
            subprocess.Popen(["sleep", "1000"])
        say("start", steps=steps, examples=10, dropped={"empty": 1}, optimizer_state_bytes=0, resumed_step=resumed)
        print("not JSON", flush=True)
        for step in range(resumed + 1, steps + 1):
            time.sleep(self.plan.get("sleep", 0))
            self.misbehave(step, resumed)
            say("step", step=step, steps=steps, loss=1 / step, losses={"seq2seq": 1 / step, "in\"batch": 0.5},
                learning_rate=2e-5, rows_per_second=100.0, tokens=step * 64, eta_seconds=(steps - step) * 1.0)
            if step % self.plan.get("checkpoint_every", 2) == 0 or self.stopping:
                self.checkpoint(step)
            if self.stopping:
                sys.exit(75)
        say("evaluation", step=steps, metrics={"spearman": 0.8})
        say("message", level="warn", message="one line was dropped")
        self.write_model()
        passed = self.plan.get("gate", True)
        say("done", model=self.job["output"], tokens=steps * 64,
            gate=None if passed is None else
            {"passed": passed, "metric": "spearman", "before": 0.75, "after": 0.8 if passed else self.plan.get("after", 0.5)})


if len(sys.argv) != 4 or sys.argv[1:3] != ["finetune", "--job"]:
    sys.exit("usage: fake_trainer.py finetune --job DIR")
Trainer(sys.argv[3]).run()
