"""Writes the model as its competitors read it: ONNX (plain and fused), CTranslate2, Hugging Face in float32. And, to write
texts with, models of its size with random weights and as many words as Google's Chinese BERT has: a BERT, which simbert and
transformers read, and for CTranslate2, which has no BERT that writes, a BART of as many layers in encoder and in decoder.

    models.py MODEL_DIR OUT_DIR

MODEL_DIR is a Hugging Face directory of a BERT with a linear pooler on [CLS], such as models/simbert-small-zh."""
import json
import sys
from pathlib import Path

import torch
import transformers
from ctranslate2.converters import TransformersConverter
from safetensors.torch import load_file, save_file

GENERATOR_WORDS = 21128


class Embedder(torch.nn.Module):
    """What simbert computes: the encoder, the pooler without tanh on [CLS], length 1."""

    def __init__(self, encoder, weight, bias):
        super().__init__()
        self.encoder, self.weight, self.bias = encoder, torch.nn.Parameter(weight), torch.nn.Parameter(bias)

    def forward(self, input_ids, attention_mask):
        first = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state[:, 0]
        return torch.nn.functional.normalize(torch.nn.functional.linear(first, self.weight, self.bias), dim=-1)


def write_hugging_face(source, weights, out):
    out.mkdir(parents=True, exist_ok=True)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    # position_embedding_type: CTranslate2 asks for it, newer transformers no longer add it.
    config.update(architectures=["BertModel"], dtype="float32", position_embedding_type="absolute")
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    (out / "vocab.txt").write_bytes((source / "vocab.txt").read_bytes())


def write_onnx(embedder, out):
    axes = {0: "rows", 1: "tokens"}
    ids = torch.ones(2, 16, dtype=torch.int64)
    torch.onnx.export(embedder, (ids, ids), out / "model.onnx", input_names=["input_ids", "attention_mask"],
                      output_names=["vectors"], dynamic_axes={"input_ids": axes, "attention_mask": axes}, dynamo=False)


def write_fused(config, out):
    """Fused attention, LayerNorm and gelu, as onnxruntime's own tool makes them."""
    from onnxruntime.transformers import optimizer
    model = optimizer.optimize_model(str(out / "model.onnx"), model_type="bert", num_heads=config.num_attention_heads,
                                     hidden_size=config.hidden_size, opt_level=1)
    print("fused:", {name: n for name, n in model.get_fused_operator_statistics().items() if n}, file=sys.stderr)
    model.save_model_to_file(str(out / "fused.onnx"))


def write_ctranslate2(hugging_face, out):
    tokenizer = transformers.BertTokenizerFast(vocab=str(hugging_face / "vocab.txt"))
    tokenizer.save_pretrained(hugging_face)
    TransformersConverter(str(hugging_face)).convert(str(out / "ctranslate2"), quantization="float32", force=True)


def write_random_bert(source, out):
    config = transformers.BertConfig.from_pretrained(source, vocab_size=GENERATOR_WORDS, is_decoder=True)
    torch.manual_seed(0)
    network = transformers.BertLMHeadModel(config)
    weights = {name: value for name, value in network.state_dict().items()
               if "decoder." not in name and "position_ids" not in name}
    weights |= {"bert.pooler.dense.weight": torch.randn(config.hidden_size, config.hidden_size) * config.initializer_range,
                "bert.pooler.dense.bias": torch.zeros(config.hidden_size)}
    write_hugging_face(source, weights, out)
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    settings.update(vocab_size=GENERATOR_WORDS, dtype="float32")
    (out / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    words = (source / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    words += [f"[more{i}]" for i in range(GENERATOR_WORDS - len(words))]
    (out / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return words, config


def write_random_bart(words, bert, out):
    ids = {word: i for i, word in enumerate(words)}
    # The last three: CTranslate2 asks for them, newer transformers no longer add them.
    config = transformers.BartConfig(
        vocab_size=len(words), d_model=bert.hidden_size, encoder_layers=bert.num_hidden_layers,
        decoder_layers=bert.num_hidden_layers, encoder_attention_heads=bert.num_attention_heads,
        decoder_attention_heads=bert.num_attention_heads, encoder_ffn_dim=bert.intermediate_size,
        decoder_ffn_dim=bert.intermediate_size, max_position_embeddings=bert.max_position_embeddings, pad_token_id=0,
        bos_token_id=ids["[CLS]"], eos_token_id=ids["[SEP]"], decoder_start_token_id=ids["[CLS]"], forced_eos_token_id=None,
        forced_bos_token_id=None, normalize_before=False, normalize_embedding=True, add_final_layer_norm=False)
    torch.manual_seed(0)
    transformers.BartForConditionalGeneration(config).save_pretrained(out / "bart")
    tokenizer = transformers.BertTokenizerFast(vocab=str(out / "vocab.txt"), bos_token="[CLS]", eos_token="[SEP]")
    tokenizer.save_pretrained(out / "bart")
    for quantization in ("float32", "int8"):
        converter = TransformersConverter(str(out / "bart"))
        converter.convert(str(out / f"ctranslate2-{quantization}"), quantization=quantization, force=True)


def main(source, out):
    weights = {name: value.float() for name, value in load_file(source / "model.safetensors").items()}
    write_hugging_face(source, weights, out / "hf")
    encoder = transformers.BertModel.from_pretrained(out / "hf", add_pooling_layer=False, attn_implementation="eager")
    encoder.eval()
    pooler = {name.rsplit(".", 1)[1]: value for name, value in weights.items() if "pooler." in name}
    write_onnx(Embedder(encoder, pooler["weight"], pooler["bias"]).eval(), out)
    save_file(pooler, out / "pooler.safetensors")
    write_fused(encoder.config, out)
    write_ctranslate2(out / "hf", out)
    write_random_bart(*write_random_bert(source, out / "generator"), out / "generator")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
