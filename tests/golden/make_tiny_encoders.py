#!/usr/bin/python3
"""Tiny encoders with random weights and what they must answer, computed here in float64.

usage: make_tiny_encoders.py OUT_DIR        (Debian's python3-numpy)

Writes, for each model, OUT_DIR/NAME/{config.json, *.safetensors, vocab.txt} and OUT_DIR/NAME.jsonl:
{id, token_ids, type_ids, cls_hidden, logits}. The families are those that have no golden files from
elsewhere. Each also carries something that real files have:

    tiny-electra-ce     embeddings narrower than the states, LayerNorms named gamma and beta, two
                        labels
    tiny-distilbert-ce  its own tensor names, no segments, F16, a file of another name
    tiny-bert-sharded   two shards with an index, BF16, tanh GELU, no head, the prefix "model."
"""
import json
import math
import os
import struct
import sys

import numpy as np

ELECTRA = {"model_type": "electra", "architectures": ["ElectraForSequenceClassification"],
           "hidden_size": 32, "embedding_size": 24, "num_hidden_layers": 2,
           "num_attention_heads": 4, "intermediate_size": 64, "hidden_act": "gelu",
           "vocab_size": 60, "max_position_embeddings": 40, "type_vocab_size": 2,
           "layer_norm_eps": 1e-12, "pad_token_id": 0, "summary_activation": "gelu",
           "id2label": {"0": "no", "1": "yes"}}
DISTILBERT = {"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"],
              "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "activation": "gelu",
              "vocab_size": 60, "max_position_embeddings": 40, "pad_token_id": 0,
              "sinusoidal_pos_embds": False, "id2label": {"0": "relevant"}}
SHARDED = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 32,
           "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
           "hidden_act": "gelu_new", "vocab_size": 60, "max_position_embeddings": 40,
           "type_vocab_size": 2, "layer_norm_eps": 1e-12}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(c) for c in range(97, 123)] + \
        ["##" + chr(c) for c in range(97, 123)] + [".", ",", "?"]


def erf(x):
    return np.vectorize(math.erf)(x)


ACTIVATIONS = {
    "gelu": lambda x: x / 2 * (1 + erf(x / math.sqrt(2))),
    "gelu_new": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3))),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
}


class Model:
    """One class for the three families: only names differ."""

    def __init__(self, config, rng):
        self.config, self.rng, self.weights = config, rng, {}
        self.distil = config["model_type"] == "distilbert"
        get = config.get
        self.hidden = get("hidden_size") or get("dim")
        self.width = get("embedding_size", self.hidden)
        self.layers = get("num_hidden_layers") or get("n_layers")
        self.heads = get("num_attention_heads") or get("n_heads")
        self.wide = get("intermediate_size") or get("hidden_dim")
        self.activation = ACTIVATIONS[get("hidden_act") or get("activation")]
        self.prefix = {"electra": "electra.", "distilbert": "distilbert.",
                       "bert": "model."}[config["model_type"]]
        self.norm_names = ("gamma", "beta") if config["model_type"] == "electra" else \
            ("weight", "bias")

    def table(self, name, rows, width, scale=0.5):
        self.weights[name] = scale * self.rng.standard_normal((rows, width))

    def linear(self, name, n_out, n_in):
        self.table(name + ".weight", n_out, n_in, 1.2 / math.sqrt(n_in))
        self.weights[name + ".bias"] = 0.2 * self.rng.standard_normal(n_out)

    def norm(self, name, width):
        self.weights[f"{name}.{self.norm_names[0]}"] = 1 + 0.2 * self.rng.standard_normal(width)
        self.weights[f"{name}.{self.norm_names[1]}"] = 0.1 * self.rng.standard_normal(width)

    def layer_names(self, i):
        if self.distil:
            p = f"{self.prefix}transformer.layer.{i}."
            return [p + s for s in ("attention.q_lin", "attention.k_lin", "attention.v_lin",
                                    "attention.out_lin", "sa_layer_norm", "ffn.lin1", "ffn.lin2",
                                    "output_layer_norm")]
        p = f"{self.prefix}encoder.layer.{i}."
        return [p + s for s in ("attention.self.query", "attention.self.key",
                                "attention.self.value", "attention.output.dense",
                                "attention.output.LayerNorm", "intermediate.dense", "output.dense",
                                "output.LayerNorm")]

    def make(self):
        e, h = self.prefix + "embeddings.", self.hidden
        self.table(e + "word_embeddings.weight", self.config["vocab_size"], self.width)
        self.table(e + "position_embeddings.weight", self.config["max_position_embeddings"],
                   self.width)
        if not self.distil:
            self.table(e + "token_type_embeddings.weight", 2, self.width)
        self.norm(e + "LayerNorm", self.width)
        if self.width != h:
            self.linear(self.prefix + "embeddings_project", h, self.width)
        for i in range(self.layers):
            q, k, v, out, norm_1, up, down, norm_2 = self.layer_names(i)
            for name in (q, k, v, out):
                self.linear(name, h, h)
            self.norm(norm_1, h)
            self.linear(up, self.wide, h)
            self.linear(down, h, self.wide)
            self.norm(norm_2, h)
        labels = len(self.config.get("id2label", {}))
        if labels and self.distil:
            self.linear("pre_classifier", h, h)
            self.linear("classifier", labels, h)
        elif labels:
            self.linear("classifier.dense", h, h)
            self.linear("classifier.out_proj", labels, h)

    # ---- forward, in float64 ----

    def apply(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def normalize(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred ** 2).mean(-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-12) * self.weights[f"{name}.{self.norm_names[0]}"] \
            + self.weights[f"{name}.{self.norm_names[1]}"]

    def attend(self, x, names):
        n, d = len(x), self.hidden // self.heads
        q, k, v = (self.apply(x, s).reshape(n, self.heads, d) for s in names)
        scores = np.einsum("ihd,jhd->hij", q, k) / math.sqrt(d)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        return np.einsum("hij,jhd->ihd", p, v).reshape(n, self.hidden)

    def states(self, ids, types):
        e = self.prefix + "embeddings."
        x = self.weights[e + "word_embeddings.weight"][ids] + \
            self.weights[e + "position_embeddings.weight"][:len(ids)]
        if not self.distil:
            x = x + self.weights[e + "token_type_embeddings.weight"][types]
        x = self.normalize(x, e + "LayerNorm")
        if self.width != self.hidden:
            x = self.apply(x, self.prefix + "embeddings_project")
        for i in range(self.layers):
            q, k, v, out, norm_1, up, down, norm_2 = self.layer_names(i)
            x = self.normalize(x + self.apply(self.attend(x, (q, k, v)), out), norm_1)
            x = self.normalize(x + self.apply(self.activation(self.apply(x, up)), down), norm_2)
        return x

    def logits(self, state):
        if self.distil:
            return self.apply(ACTIVATIONS["relu"](self.apply(state, "pre_classifier")),
                              "classifier")
        return self.apply(ACTIVATIONS["gelu"](self.apply(state, "classifier.dense")),
                          "classifier.out_proj")


def stored(values, dtype):
    """Bytes as the file has them, and the values that a reader gets."""
    single = values.astype("<f4")
    if dtype == "F32":
        return single.tobytes(), single.astype(np.float64)
    if dtype == "F16":
        half = single.astype("<f2")
        return half.tobytes(), half.astype(np.float64)
    bits = (single.view("<u4") + 0x8000) & 0xFFFF0000  # half up is near enough for a fixture
    return (bits >> 16).astype("<u2").tobytes(), bits.astype("<u4").view("<f4").astype(np.float64)


def write_file(path, weights, dtype, name_of=lambda name: name):
    """The weights become what the file holds; name_of: what a weight is called there."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(weights):
        raw, weights[name] = stored(weights[name], dtype)
        header[name_of(name)] = {"dtype": dtype, "shape": list(weights[name].shape),
                                 "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def write_weights(path, model, dtype):
    w = model.weights
    if model.config is not SHARDED:
        write_file(os.path.join(path, "model.safetensors" if dtype == "F32" else
                                "weights.fp16.safetensors"), w, dtype)
        return
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    of = {name: shards["layer.1" in name] for name in w}
    for shard in shards:
        part = {name: w[name] for name in w if of[name] == shard}
        write_file(os.path.join(path, shard), part, dtype)
        w.update(part)
    with open(os.path.join(path, "model.safetensors.index.json"), "w", encoding="utf-8") as f:
        json.dump({"metadata": {}, "weight_map": of}, f, indent=0, sort_keys=True)


def round_all(values):
    return [float(f"{v:.9g}") for v in values]


def main():
    out = sys.argv[1]
    for seed, (name, config, dtype) in enumerate((
            ("tiny-electra-ce", ELECTRA, "F32"), ("tiny-distilbert-ce", DISTILBERT, "F16"),
            ("tiny-bert-sharded", SHARDED, "BF16"))):
        rng = np.random.default_rng(700 + seed)
        model = Model(config, rng)
        model.make()
        path = os.path.join(out, name)
        os.makedirs(path, exist_ok=True)
        write_weights(path, model, dtype)
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
        with open(os.path.join(path, "vocab.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(WORDS) + "\n")
        with open(path + ".jsonl", "w", encoding="utf-8") as f:
            for i, n in enumerate((1, 2, 3, 7, 16, 17, 31, 40)):
                ids = rng.integers(0, config["vocab_size"], n)
                types = np.sort(rng.integers(0, 2, n))
                states = model.states(ids, types)
                record = {"id": f"n{n}", "token_ids": ids.tolist(), "type_ids": types.tolist(),
                          "cls_hidden": round_all(states[0]), "last_hidden": round_all(states[-1])}
                if "id2label" in config:
                    record["logits"] = round_all(model.logits(states[0]))
                f.write(json.dumps(record) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
