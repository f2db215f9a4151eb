#!/usr/bin/python3
"""A model directory of a well-known geometry with random weights (f16), for speed and memory.

usage: make_random_model.py GEOMETRY DIR [--labels N] [--vocabulary N] [--seed N]
       make_random_model.py --list

Writes config.json, model.safetensors and tokenizer.json. The geometry is what decides speed; the
answers of such a model mean nothing. The tokenizer knows single characters and as many invented
words as the vocabulary has room for: real text becomes about one token a character.
"""
import argparse
import json
import os
import struct
import sys

import numpy as np

BERT = {"model_type": "bert", "layer_norm_eps": 1e-12, "pad_token_id": 0, "type_vocab_size": 2,
        "vocab_size": 30522, "max_position_embeddings": 512}
ROBERTA = {"model_type": "roberta", "layer_norm_eps": 1e-5, "pad_token_id": 1, "bos_token_id": 0,
           "eos_token_id": 2, "type_vocab_size": 1, "vocab_size": 50265,
           "max_position_embeddings": 514}
XLMR = dict(ROBERTA, model_type="xlm-roberta", vocab_size=250002)


def sizes(base, layers, hidden, heads, **more):
    return dict(base, num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
                intermediate_size=4 * hidden, hidden_act="gelu", **more)


GEOMETRIES = {
    "minilm-l6": sizes(BERT, 6, 384, 12),
    "e5-small": sizes(BERT, 12, 384, 12, vocab_size=250037),
    "bert-base": sizes(BERT, 12, 768, 12),
    "roberta-small": sizes(ROBERTA, 6, 768, 12),
    "roberta-base": sizes(ROBERTA, 12, 768, 12),
    "xlmr-base": sizes(XLMR, 12, 768, 12),
    "bge-m3": sizes(XLMR, 24, 1024, 16, max_position_embeddings=8194),
}
CLASSES = {"bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta"}


def shapes(c, labels):
    """(name, shape, standard deviation or None for a LayerNorm's gamma) of every tensor."""
    h, f = c["hidden_size"], c["intermediate_size"]
    prefix = ""
    if labels:
        prefix = "bert." if c["model_type"] == "bert" else "roberta."
    out = []

    def linear(name, n_out, n_in):
        out.append((name + ".weight", (n_out, n_in), 1 / np.sqrt(n_in)))
        out.append((name + ".bias", (n_out,), 0.02))

    def norm(name):
        out.append((name + ".weight", (h,), None))
        out.append((name + ".bias", (h,), 0.02))

    e = prefix + "embeddings."
    out.append((e + "word_embeddings.weight", (c["vocab_size"], h), 0.05))
    out.append((e + "position_embeddings.weight", (c["max_position_embeddings"], h), 0.02))
    out.append((e + "token_type_embeddings.weight", (c["type_vocab_size"], h), 0.02))
    norm(e + "LayerNorm")
    for i in range(c["num_hidden_layers"]):
        p = f"{prefix}encoder.layer.{i}."
        for s in ("query", "key", "value"):
            linear(p + "attention.self." + s, h, h)
        linear(p + "attention.output.dense", h, h)
        norm(p + "attention.output.LayerNorm")
        linear(p + "intermediate.dense", f, h)
        linear(p + "output.dense", h, f)
        norm(p + "output.LayerNorm")
    if labels and c["model_type"] == "bert":
        linear(prefix + "pooler.dense", h, h)
        linear("classifier", labels, h)
    elif labels:
        linear("classifier.dense", h, h)
        linear("classifier.out_proj", labels, h)
    return out


def write_weights(path, tensors, rng):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in tensors:
        n = 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, shape, deviation in tensors:
            rest = int(np.prod(shape))
            while rest > 0:  # in pieces: the largest table has 256 million elements
                n = min(rest, 1 << 22)
                values = rng.standard_normal(n, dtype=np.float32)
                values = 1 + 0.1 * values if deviation is None else values * np.float32(deviation)
                f.write(values.astype("<f2").tobytes())
                rest -= n


def characters():
    return [chr(c) for c in range(33, 127)] + [chr(c) for c in range(0xAC00, 0xD7A4)]


def tokenizer(c):
    """A tokenizer.json that gives every id below the vocabulary's size a token."""
    size, bert = c["vocab_size"], c["model_type"] == "bert"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if bert else \
        ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = list(special)
    for s in characters():
        pieces += [s, ("##" if bert else "\u2581") + s]
    pieces += [f"word{i}" for i in range(size)]
    pieces = pieces[:size]
    ids = {p: i for i, p in enumerate(pieces)}
    first, last = ("[CLS]", "[SEP]") if bert else ("<s>", "</s>")

    def token(t, k=0):
        return {"SpecialToken": {"id": t, "type_id": k}}

    def text(t, k=0):
        return {"Sequence": {"id": t, "type_id": k}}

    middle = [token(last)] if bert else [token(last), token(last)]
    spec = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": ids[t], "content": t, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}
                         for t in special],
        "post_processor": {
            "type": "TemplateProcessing", "single": [token(first), text("A"), token(last)],
            "pair": [token(first), text("A")] + middle +
                    [text("B", int(bert)), token(last, int(bert))],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]}
                               for t in (first, last)}}}
    if bert:
        spec["normalizer"] = {"type": "BertNormalizer", "clean_text": True, "lowercase": False,
                              "handle_chinese_chars": False, "strip_accents": False}
        spec["pre_tokenizer"] = {"type": "BertPreTokenizer"}
        spec["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
        spec["model"] = {"type": "WordPiece", "unk_token": "[UNK]", "vocab": ids,
                         "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
    else:
        space = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always",
                 "split": True}
        spec["normalizer"] = {"type": "NFKC"}
        spec["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"}, space]}
        spec["decoder"] = space
        spec["model"] = {"type": "Unigram", "unk_id": ids["<unk>"], "byte_fallback": False,
                         "vocab": [[p, 0.0 if p in special else -10.0] for p in pieces]}
    return spec


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("geometry", nargs="?", choices=sorted(GEOMETRIES))
    parser.add_argument("dir", nargs="?")
    parser.add_argument("--labels", type=int, default=0, help="a classification head of N labels")
    parser.add_argument("--vocabulary", type=int, metavar="N",
                        help="at most N words, where their number does not matter")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(GEOMETRIES))
        return 0
    if not args.geometry or not args.dir:
        parser.error("GEOMETRY and DIR are needed")
    config = dict(GEOMETRIES[args.geometry])
    config["vocab_size"] = min(config["vocab_size"], args.vocabulary or config["vocab_size"])
    kind = "ForSequenceClassification" if args.labels else "Model"
    config["architectures"] = [CLASSES[config["model_type"]] + kind]
    if args.labels:
        config["id2label"] = {str(i): f"LABEL_{i}" for i in range(args.labels)}
    os.makedirs(args.dir, exist_ok=True)
    tensors = shapes(config, args.labels)
    write_weights(os.path.join(args.dir, "model.safetensors"), tensors,
                  np.random.default_rng(args.seed))
    with open(os.path.join(args.dir, "tokenizer.json"), "w", encoding="utf-8") as f:
        json.dump(tokenizer(config), f, ensure_ascii=False)
    with open(os.path.join(args.dir, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
