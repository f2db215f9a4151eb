#!/usr/bin/env python3
"""A GGUF file without tensors that holds the tokenizer of a tokenizer.json, for comparing both.

usage: tokenizer_to_gguf.py TOKENIZER_JSON OUT.gguf --pre NAME      (byte-level BPE)
       tokenizer_to_gguf.py TOKENIZER_JSON OUT.gguf --llama         (SentencePiece's BPE)

Control tokens are the special ones of added_tokens, user-defined the others; a mark (U+2581) in
those is a space, as llama.cpp's converter writes it. A tokenizer.json has no scores: here the score
of a piece is minus the rank of its first merge, which puts pieces in the same order."""
import argparse
import json
import pathlib
import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


def text(s):
    s = s.encode()
    return struct.pack("<Q", len(s)) + s


def value(v):
    if isinstance(v, bool):
        return struct.pack("<I?", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + text(v)
    kind = {str: 8, int: 5, float: 6}[type(v[0])]
    head = struct.pack("<IIQ", 9, kind, len(v))
    if kind == 8:
        return head + b"".join(map(text, v))
    return head + struct.pack(f"<{len(v)}{'i' if kind == 5 else 'f'}", *v)


def write(path, keys):
    body = b"".join(text(k) + value(v) for k, v in keys.items())
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + body
    pathlib.Path(path).write_bytes(data + b"\0" * (-len(data) % 32))


def pieces(spec, llama):
    vocab = spec["model"]["vocab"]
    n = 1 + max([*vocab.values(), *(a["id"] for a in spec["added_tokens"])])
    tokens = [None] * n
    types = [NORMAL] * n
    for token, i in vocab.items():
        tokens[i] = token
        if llama and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            types[i] = BYTE
    for a in spec["added_tokens"]:
        i = a["id"]
        tokens[i] = a["content"]
        types[i] = CONTROL if a["special"] else USER_DEFINED
        if types[i] == USER_DEFINED and llama:
            tokens[i] = tokens[i].replace("\u2581", " ")
        if a["content"] == spec["model"].get("unk_token"):
            types[i] = UNKNOWN
    for i, token in enumerate(tokens):
        if token is None:
            tokens[i], types[i] = f"[PAD{i}]", UNUSED
    return tokens, types


def bos_of(spec):
    post = spec["post_processor"] or {}
    for p in post.get("processors", [post]):
        for item in p.get("single", [])[:1]:
            if "SpecialToken" in item:
                return p["special_tokens"][item["SpecialToken"]["id"]]["ids"][0]
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("json")
    parser.add_argument("out")
    parser.add_argument("--pre")
    parser.add_argument("--llama", action="store_true")
    args = parser.parse_args()
    spec = json.loads(pathlib.Path(args.json).read_text(encoding="utf-8"))
    merges = [m.split(" ") if isinstance(m, str) else m for m in spec["model"]["merges"]]
    tokens, types = pieces(spec, args.llama)
    bos = bos_of(spec)
    keys = {"general.architecture": "llama",
            "tokenizer.ggml.model": "llama" if args.llama else "gpt2",
            "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.add_bos_token": bos is not None}
    if bos is not None:
        keys["tokenizer.ggml.bos_token_id"] = bos
    if args.llama:
        rank = {}
        for i, (left, right) in enumerate(merges):
            rank.setdefault(left + right, i)
        keys["tokenizer.ggml.scores"] = [-float(rank.get(t.replace(" ", "\u2581"), 1e9))
                                         for t in tokens]
        keys["tokenizer.ggml.unknown_token_id"] = tokens.index(spec["model"]["unk_token"])
        prefix = "Prepend" in json.dumps(spec["normalizer"])
        keys["tokenizer.ggml.add_space_prefix"] = prefix
    else:
        keys["tokenizer.ggml.pre"] = args.pre
        keys["tokenizer.ggml.merges"] = [" ".join(m) for m in merges]
    write(args.out, keys)


if __name__ == "__main__":
    main()
