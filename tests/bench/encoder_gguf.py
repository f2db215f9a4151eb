#!/usr/bin/env python3
"""A GGUF file (version 3, architecture "bert", F16 matrices, F32 vectors) of an encoder directory,
for llama.cpp side by side with ragd.

    encoder_gguf.py MODEL_DIR OUT.gguf

Only what a forward pass and the loader need: token strings are those of a WordPiece vocabulary, or
invented ones (engines are given ids)."""
import json
import pathlib
import sys

import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from encoder_model import EncoderModel  # noqa: E402
from gguf_file import write_gguf  # noqa: E402


def vocabulary(directory, size):
    """Token strings as llama.cpp's WordPiece has them: a word's first piece carries U+2581."""
    words = [f"[unused{i}]" for i in range(size)]
    file = pathlib.Path(directory) / "tokenizer.json"
    if file.exists():
        vocab = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
        if isinstance(vocab, dict):
            for piece, i in vocab.items():
                if i < size:
                    words[i] = piece
    ret, seen = [], set()
    for i, piece in enumerate(words):
        if piece.startswith("##"):
            piece = piece[2:]
        elif not piece.startswith("["):
            piece = "\u2581" + piece
        if piece in seen:
            piece = f"[again{i}]"
        seen.add(piece)
        ret.append(piece)
    return ret


def metadata(model, directory):
    tokens = vocabulary(directory, model.vocab_size)
    first, last = (101, 102) if model.is_bert else (0, 2)
    if "[CLS]" in tokens:
        first, last = tokens.index("[CLS]"), tokens.index("[SEP]")
    kinds = [1] * len(tokens)
    kinds[first] = kinds[last] = 3
    return {
        "general.architecture": "bert", "general.name": pathlib.Path(directory).name,
        "general.file_type": 1, "bert.context_length": model.max_tokens,
        "bert.embedding_length": model.hidden, "bert.block_count": model.n_layers,
        "bert.feed_forward_length": model.intermediate,
        "bert.attention.head_count": model.n_heads,
        "bert.attention.layer_norm_epsilon": float(model.epsilon),
        "bert.attention.causal": False, "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.token_type_count": len(model.type),
        "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": first, "tokenizer.ggml.eos_token_id": last,
        "tokenizer.ggml.cls_token_id": first, "tokenizer.ggml.seperator_token_id": last,
        "tokenizer.ggml.unknown_token_id": 3 if not model.is_bert else 100,
        "tokenizer.ggml.padding_token_id": 1 if not model.is_bert else 0,
    }


def tensors(model):
    def matrix(name, linear):
        ret[f"{name}.weight"] = numpy.ascontiguousarray(linear[0].T).astype("<f2")
        ret[f"{name}.bias"] = linear[1]

    def norm(name, pair):
        ret[f"{name}.weight"], ret[f"{name}.bias"] = pair

    ret = {"token_embd.weight": model.word.astype("<f2"),
           "position_embd.weight": model.position[model.first_position:],
           "token_types.weight": model.type}
    norm("token_embd_norm", model.embedding_norm)
    for i, layer in enumerate(model.layers):
        at = f"blk.{i}."
        for part, name in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output"),
                           ("up", "ffn_up"), ("down", "ffn_down")):
            matrix(at + name, layer[part])
        norm(at + "attn_output_norm", layer["norm1"])
        norm(at + "layer_output_norm", layer["norm2"])
    return ret


def main():
    model = EncoderModel(sys.argv[1])
    kinds = {numpy.dtype("<f2"): "F16", numpy.dtype("<f4"): "F32"}
    write_gguf(sys.argv[2], metadata(model, sys.argv[1]),
               {name: (array.shape, kinds[array.dtype], [array.tobytes()])
                for name, array in tensors(model).items()})


if __name__ == "__main__":
    main()
