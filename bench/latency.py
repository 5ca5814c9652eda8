"""How long one sentence takes while the server has other work: the tables "Beside long work" and "Beside a fine-tuning job" of
bench/README.md.

Idle and loaded phases alternate against one server; the ratio of the 99th percentiles is taken within a pair of phases, and its
median over the pairs is shown. Beside long work (batches and paraphrases) the server has one core and all clients run on the
others, those that load it with the lowest priority, so that what is measured is the server. A job shares all cores with the
server and the client, as it does in use: what is measured is how it gives way."""
import contextlib
import json
import multiprocessing
import os
import statistics
import time

from common import Server, options, sentences, write_section

DTYPES = ("f32", "bf16", "int8")
BATCH, PAUSE, WARM_UP = 32, 0.002, 50
SETTLE = 0.5  # seconds


def send_long_work(host, port, bodies, path, going):
    from common import Client
    os.nice(19)
    client, i = Client(host, port), 0
    while going.value:
        client.post(path, bodies[i % len(bodies)])
        i += 1


def quantile(values, p):
    values = sorted(values)
    return values[min(int(p * len(values)), len(values) - 1)]


class Phases:
    """load() makes a context in which the server has other work."""

    def __init__(self, server, texts, count, load):
        self.server, self.texts, self.count, self.load, self.at = server, texts, count, load, 0

    def singles(self):
        """Seconds of each of count sentences, one after the other, with a pause in between."""
        client, seconds = self.server.client(), []
        for i in range(self.count + WARM_UP):
            text = self.texts[self.at % len(self.texts)]
            self.at += 1
            start = time.perf_counter()
            client.post("/embed", {"inputs": text})
            if i >= WARM_UP:
                seconds.append(time.perf_counter() - start)
            time.sleep(PAUSE)
        return seconds

    def pair(self):
        idle = self.singles()
        self.at -= self.count + WARM_UP  # the same sentences
        with self.load():
            loaded = self.singles()
        return idle, loaded


@contextlib.contextmanager
def long_work(server, texts):
    batches = [{"inputs": texts[i:i + BATCH]} for i in range(0, len(texts) - BATCH + 1, BATCH)]
    paraphrases = [{"input": text, "n": 5, "num_candidates": 20} for text in texts[::7]]
    going = multiprocessing.Value("b", 1)
    others = [multiprocessing.Process(target=send_long_work, args=(server.host, server.port, bodies, path, going))
              for path, bodies in (("/embed", batches), ("/v1/paraphrases", paraphrases))]
    for other in others:
        other.start()
    time.sleep(SETTLE)
    yield
    going.value = 0
    for other in others:
        other.join()


class Job:
    """SimBERT training on the sentences by twos, which is paused between the phases and never comes to its end."""

    def __init__(self, server, model, texts):
        self.client, self.path = server.client(), "/v1/fine_tuning/jobs"
        lines = [json.dumps({"text": a, "synonyms": [b]}, ensure_ascii=False) for a, b in zip(texts[::2], texts[1::2])]
        file = self.upload("\n".join(lines).encode("utf-8"))
        recipe = {"epochs": 1000, "evaluation": {"files": []}, "checkpoint": {"keep": 1}}
        job = json.loads(self.client.post(self.path, {"model": model, "training_file": file, "seed": 1,
                                                      "method": {"type": "simbert", "simbert": recipe}}))
        self.path += "/" + job["id"]
        self.wait(lambda step: step)
        self.pause()

    def upload(self, content):
        head = ('--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
                '--b\r\nContent-Disposition: form-data; name="file"; filename="pairs.jsonl"\r\n\r\n')
        body = head.encode() + content + b"\r\n--b--\r\n"
        status, reply = self.client.send("POST", "/v1/files", body, "multipart/form-data; boundary=b")
        if status != 200:
            raise SystemExit(f"/v1/files answers {status}: {reply[:200]!r}")
        return json.loads(reply)["id"]

    def step(self):
        """Of the process that trains; 0: it has told none yet; None: it has ended."""
        lines = self.client.send("GET", "/metrics")[1].decode("utf-8").splitlines()
        steps = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("simbert_finetuning_step{")]
        return steps[0] if steps else None

    def wait(self, condition):
        while not condition(self.step()):
            job = json.loads(self.client.send("GET", self.path)[1])
            if job["status"] == "failed":
                raise SystemExit(f"the job failed: {job['error']}")
            time.sleep(0.1)

    def pause(self):
        self.client.post(self.path + "/pause", None)
        self.wait(lambda step: step is None)

    @contextlib.contextmanager
    def running(self):
        self.client.post(self.path + "/resume", None)
        self.wait(lambda step: step)
        yield
        self.pause()


def summary(pairs):
    """Medians and 99th percentiles in ms, idle and loaded; the ratio of the latter: median, least, most."""
    columns = [[quantile(phase, p) * 1e3 for phase in phases] for phases in zip(*pairs) for p in (0.5, 0.99)]
    ratios = [loaded / idle for idle, loaded in zip(columns[1], columns[3])]
    return [statistics.median(column) for column in columns] + [statistics.median(ratios), min(ratios), max(ratios)]


def beside_long_work(arguments, dtype, texts):
    with Server.on_one_core(arguments, "--dtype", dtype) as server:
        phases = Phases(server, texts, arguments.count, lambda: long_work(server, texts))
        return summary([phases.pair() for _ in range(arguments.repeats)])


def beside_a_job(arguments, dtype, texts):
    with Server(arguments, "--vector-cache-bytes", "0", "--dtype", dtype) as server:
        job = Job(server, arguments.model.name, texts)
        phases = Phases(server, texts, arguments.count, job.running)
        return summary([phases.pair() for _ in range(arguments.repeats)])


def table(arguments, texts, work, measure):
    lines = [f"| one sentence a request | idle: median | idle: 99 % | {work}: median | {work}: 99 % | 99 %, {work} / idle |",
             "|---|---|---|---|---|---|"]
    for dtype in arguments.dtype or DTYPES:
        *times, ratio, least, most = measure(arguments, dtype, texts)
        lines.append(f"| {dtype} | " + " | ".join(f"{value:.1f} ms" for value in times)
                     + f" | {ratio:.1f} ({least:.1f} to {most:.1f}) |")
    return lines


def main():
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=500, help="sentences a phase (default 500)")
    parser.add_argument("--dtype", action="append", choices=DTYPES, help="default all")
    parser.add_argument("--beside", choices=("long-work", "job"), help="default both")
    arguments = parser.parse_args()
    texts = sentences(arguments)
    if arguments.beside != "long-work":
        write_section("latency-job", table(arguments, texts, "job", beside_a_job), arguments.dry_run)
    if arguments.beside != "job":
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {arguments.core} or {arguments.core})
        write_section("latency", table(arguments, texts, "loaded", beside_long_work), arguments.dry_run)


main()
