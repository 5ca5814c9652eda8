"""Times one competitor on one thread, by the processor time that it takes, and prints one JSON line of results.

    peers.py onnxruntime|ctranslate2|tokenizers|transformers|... --models DIR --sentences FILE ...

DIR is what models.py wrote. Each is measured as `simbert bench` measures itself: after a warm-up, tokenization
included."""
import argparse
import json
import os
import statistics
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np

LONGEST = 512
BATCH_SIZES = (1, 4, 8, 16, 32)
COMPARED = 300  # vectors that --save writes
SAMPLES, BEAMS, NEW_TOKENS, REQUESTS = 20, 4, 12, 20
SAMPLING = {"top_k": {"top_k": 5, "top_p": 1.0}, "top_p": {"top_k": 0, "top_p": 0.95}}


def tokenizer(models):
    """The model's WordPiece, from its vocab.txt."""
    from tokenizers import Tokenizer, models as kinds, normalizers, pre_tokenizers, processors
    words = (models / "hf" / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    ids = {word: i for i, word in enumerate(words)}
    made = Tokenizer(kinds.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    made.enable_truncation(LONGEST)
    return made


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start


class Onnxruntime:
    """Rows of a batch are padded to its longest."""
    file, arrival_order = "model.onnx", True

    def __init__(self, models):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(models / self.file, options, providers=["CPUExecutionProvider"])
        self.integers = np.int32 if "int32" in self.session.get_inputs()[0].type else np.int64

    def vectors(self, rows):
        longest = max(map(len, rows))
        ids = np.zeros((len(rows), longest), self.integers)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = row
            mask[i, :len(row)] = 1
        return self.session.run(None, {"input_ids": ids, "attention_mask": mask})[0]


class OnnxruntimeFused(Onnxruntime):
    file = "fused.onnx"


class OpenvinoBf16(Onnxruntime):
    """Reads the same graph and rounds to bfloat16 where it computes."""

    def __init__(self, models):
        import openvino
        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "bf16",
                    "PERFORMANCE_HINT": "LATENCY"}
        self.compiled = openvino.Core().compile_model(models / self.file, "CPU", settings)
        self.integers = np.int64
        self.session = self

    def run(self, _, inputs):
        return [next(iter(self.compiled(inputs).values()))]


class Ctranslate2:
    """Its library leaves sorting to the caller, who sorts by length here."""
    arrival_order, compute_type = False, "float32"

    def __init__(self, models):
        import ctranslate2
        from safetensors.numpy import load_file
        pooler = load_file(models / "pooler.safetensors")
        self.weight, self.bias = pooler["weight"].T.copy(), pooler["bias"]
        self.encoder = ctranslate2.Encoder(str(models / "ctranslate2"), device="cpu", compute_type=self.compute_type,
                                           inter_threads=1, intra_threads=1)

    def vectors(self, rows):
        hidden = np.array(self.encoder.forward_batch(rows).last_hidden_state)[:, 0]
        pooled = hidden @ self.weight + self.bias
        return pooled / np.linalg.norm(pooled, axis=-1, keepdims=True)


class Ctranslate2Int8(Ctranslate2):
    compute_type = "int8"


EMBEDDERS = {"onnxruntime": Onnxruntime, "onnxruntime-fused": OnnxruntimeFused, "ctranslate2": Ctranslate2,
             "openvino-bf16": OpenvinoBf16, "ctranslate2-int8": Ctranslate2Int8}


def embed(kind, models, sentences, long_texts, size, long_size, save):
    encode, peer = tokenizer(models), kind(models)

    def run(texts, size):
        batches = (texts[i:i + size] for i in range(0, len(texts), size))
        return [peer.vectors([e.ids for e in encode.encode_batch(batch)]) for batch in batches]

    def one(text):
        return peer.vectors([encode.encode(text).ids])

    def order(texts):
        return texts if peer.arrival_order else sorted(texts, key=len)

    def best_size(texts):
        part = order(texts)[::8]
        run(part[:64], 8)
        return min(BATCH_SIZES, key=lambda size: seconds(lambda: run(part, size)))

    def speed(texts, size):
        tokens = sum(len(e.ids) for e in encode.encode_batch(texts))
        return tokens / seconds(lambda: run(order(texts), size))

    size, long_size = size or best_size(sentences), long_size or best_size(long_texts)
    if save:
        np.save(save, np.concatenate(run(sentences[:COMPARED], size)))
    one(sentences[0])
    single = [seconds(lambda text=text: one(text)) for text in sentences[:300]]
    return {"tokens_per_second": speed(sentences, size), "batch_size": size,
            "long_tokens_per_second": speed(long_texts, long_size), "long_batch_size": long_size,
            "single_seconds": statistics.median(single)}


def tokenize(models, sentences):
    encode = tokenizer(models)
    encode.encode_batch(sentences)
    return {"sentences_per_second": len(sentences) / seconds(lambda: encode.encode_batch(sentences))}


class TransformersWriter:
    """The model as a causal one: source and samples in one left-to-right mask. SimBERT lets the source look both ways, which
    transformers cannot express with a cache; the work is the same but for masked scores among the source's tokens."""

    def __init__(self, folder):
        import torch
        import transformers
        self.torch = torch
        torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()
        config = transformers.BertConfig.from_pretrained(folder, is_decoder=True)
        self.network = transformers.BertLMHeadModel.from_pretrained(folder, config=config).eval()

    def write(self, encoding, rows, **options):
        ids = self.torch.tensor([encoding.ids])
        with self.torch.inference_mode():
            made = self.network.generate(ids, attention_mask=self.torch.ones_like(ids), num_return_sequences=rows,
                                         use_cache=True, pad_token_id=0, eos_token_id=encoding.ids[-1],
                                         min_new_tokens=NEW_TOKENS, max_new_tokens=NEW_TOKENS, **options)
        return [row[len(encoding.ids):] for row in made]

    def sample(self, encoding, top_k, top_p):
        return self.write(encoding, SAMPLES, do_sample=True, top_k=top_k, top_p=top_p)

    def beam(self, encoding):
        return self.write(encoding, 1, do_sample=False, num_beams=BEAMS)


class Ctranslate2Writer:
    """A BART: encoder and decoder, each of as many layers."""

    def __init__(self, folder, quantization):
        import ctranslate2
        self.translator = ctranslate2.Translator(str(folder / f"ctranslate2-{quantization}"), device="cpu",
                                                 compute_type=quantization, inter_threads=1, intra_threads=1)

    def write(self, encoding, **options):
        return self.translator.translate_batch([encoding.tokens], min_decoding_length=NEW_TOKENS,
                                               max_decoding_length=NEW_TOKENS, **options)[0].hypotheses

    def sample(self, encoding, top_k, top_p):
        return self.write(encoding, beam_size=1, num_hypotheses=SAMPLES, sampling_topk=top_k, sampling_topp=top_p)

    def beam(self, encoding):
        return self.write(encoding, beam_size=BEAMS)


WRITERS = {"transformers": TransformersWriter, "ctranslate2-writes": lambda folder: Ctranslate2Writer(folder, "float32"),
           "ctranslate2-writes-int8": lambda folder: Ctranslate2Writer(folder, "int8")}


def paraphrase(kind, models, sources):
    """Seconds of a request: SAMPLES of NEW_TOKENS tokens each, or the best of BEAMS."""
    writer = kind(models / "generator")
    encodings = tokenizer(models).encode_batch(sources[:REQUESTS])

    def median(write, rows):
        made = write(encodings[0])
        assert len(made) == rows and all(len(row) == NEW_TOKENS for row in made), made
        return statistics.median(seconds(lambda e=e: write(e)) for e in encodings)

    result = {f"{name}_seconds": median(lambda e, o=options: writer.sample(e, **o), SAMPLES)
              for name, options in SAMPLING.items()}
    return result | {"beam_seconds": median(writer.beam, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=[*EMBEDDERS, "tokenizers", *WRITERS])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--long-texts", type=Path, required=True)
    parser.add_argument("--sources", type=Path, required=True, help="what to paraphrase")
    parser.add_argument("--batch-size", type=int, help="sentences a batch (default: the fastest of some)")
    parser.add_argument("--long-batch-size", type=int, help="long texts a batch (default: the fastest of some)")
    parser.add_argument("--save", type=Path, help="write the vectors to this .npy file")
    arguments = parser.parse_args()
    sentences = [line for line in arguments.sentences.read_text(encoding="utf-8").splitlines() if line]
    long_texts = arguments.long_texts.read_text(encoding="utf-8").splitlines()
    if arguments.peer in EMBEDDERS:
        result = embed(EMBEDDERS[arguments.peer], arguments.models, sentences, long_texts, arguments.batch_size,
                       arguments.long_batch_size, arguments.save)
    elif arguments.peer in WRITERS:
        sources = arguments.sources.read_text(encoding="utf-8").splitlines()
        result = paraphrase(WRITERS[arguments.peer], arguments.models, sources)
    else:
        result = tokenize(arguments.models, sentences)
    print(json.dumps(result))


main()
