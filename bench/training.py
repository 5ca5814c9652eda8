"""A step of SimBERT training beside torch on one core: 64 pairs of sentences, 128 rows, UniLM mask, cross entropy at the target
positions with the output layer tied to the word embedding, in-batch similarity, AdamW, dropout .1; a model of 21,128 words with
random weights (bench/models.py). Torch pads rows to the longest of the batch, as its users do; tokens that count are real ones
in both. Each repeat measures both, one after the other."""
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from common import models, options, sentences, write_section

ROWS, STEPS, SCALE = 128, 3, 30
DTYPES = ("f32", "bf16")


def batch(folder, texts):
    """Rows [CLS] a [SEP] b [SEP] and the other way round of neighbouring texts: padded ids, segments, mask, labels, real tokens."""
    import torch
    import transformers
    tokenizer = transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    rows = [tokenizer(texts[i], texts[i ^ 1], truncation=True, max_length=64) for i in range(ROWS)]
    longest = max(len(row["input_ids"]) for row in rows)
    ids, segments = (torch.tensor([row[key] + [0] * (longest - len(row[key])) for row in rows])
                     for key in ("input_ids", "token_type_ids"))
    real = torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]).bool()
    order = segments.cumsum(1)
    sees = (order[:, None, :] <= order[:, :, None]) & real[:, None, :]
    mask = torch.zeros(sees.shape).masked_fill(~sees, torch.finfo(torch.float32).min)[:, None]
    targets = (segments == 1) & real
    return ids, segments, mask, targets, int(real.sum())


def torch_steps(folder, sentence_file, dtype):
    """Seconds of processor time of each step, and the peak of memory."""
    import resource

    import torch
    import transformers
    from torch.nn.functional import cross_entropy, normalize
    torch.set_num_threads(1)
    torch.manual_seed(0)
    texts = Path(sentence_file).read_text(encoding="utf-8").splitlines()
    ids, segments, mask, targets, real = batch(folder, texts)
    config = transformers.BertConfig.from_pretrained(folder, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1,
                                                     attn_implementation="sdpa", tie_word_embeddings=True)
    network = transformers.BertForMaskedLM.from_pretrained(folder, config=config)
    network.train()
    pooler = torch.nn.Linear(config.hidden_size, config.hidden_size)
    optimizer = torch.optim.AdamW([*network.parameters(), *pooler.parameters()], lr=1e-5)
    partner = torch.arange(ROWS) ^ 1
    seconds = []
    for _ in range(STEPS + 1):
        start = time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            hidden = network.bert(ids, token_type_ids=segments, attention_mask=mask).last_hidden_state
            labels = ids[:, 1:][targets[:, 1:]]
            loss = cross_entropy(network.cls(hidden[:, :-1][targets[:, 1:]]).float(), labels)
            vectors = normalize(pooler(hidden[:, 0]).float())
        similarities = SCALE * vectors @ vectors.T - 1e12 * torch.eye(ROWS)
        (loss + cross_entropy(similarities, partner)).backward()
        optimizer.step()
        seconds.append(time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "tokens": real, "peak_mb": peak}))


def run(arguments, *command):
    done = subprocess.run(["taskset", "-c", str(arguments.core), *map(str, command)], stdout=subprocess.PIPE, check=True,
                          encoding="utf-8")
    return json.loads(done.stdout.splitlines()[-1])


def measure(arguments, folder, sentence_file, dtype):
    """Tokens/s and peak memory, simbert's and torch's."""
    ours = run(arguments, arguments.simbert, "bench", "train", "--model", folder, "--input", sentence_file, "--dtype", dtype,
               "--repeat", STEPS, "--json")
    theirs = run(arguments, sys.executable, __file__, "--torch", folder, sentence_file, dtype)
    return ours["tokens_per_cpu_second"], theirs["tokens"] / theirs["seconds"], ours["peak_mb"], theirs["peak_mb"]


def main():
    if sys.argv[1:2] == ["--torch"]:
        torch_steps(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
        return
    arguments = options(__doc__).parse_args()
    folder = models(arguments) / "generator"
    lines = ["| training, one thread | simbert | torch | simbert / torch | memory, simbert | memory, torch |",
             "|---|---|---|---|---|---|"]
    with TemporaryDirectory() as work:
        sentence_file = Path(work) / "sentences.txt"
        sentence_file.write_text("\n".join(sentences(arguments, ROWS)) + "\n", encoding="utf-8")
        for dtype in DTYPES:
            rounds = [measure(arguments, folder, sentence_file, dtype) for _ in range(arguments.repeats)]
            ratio = statistics.median(ours / theirs for ours, theirs, *_ in rounds)
            ours, theirs, memory, their_memory = (statistics.median(column) for column in zip(*rounds))
            lines.append(f"| {dtype} | {ours:,.0f} tokens/s | {theirs:,.0f} tokens/s | {ratio:.2f} | {memory:,.0f} MB "
                         f"| {their_memory:,.0f} MB |")
    write_section("training", lines, arguments.dry_run)


main()
