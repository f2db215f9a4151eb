#!/usr/bin/python3
"""Tiny decoders with random weights and what they must answer, computed here in float64.

usage: make_tiny_decoders.py OUT_DIR        (Debian's python3-numpy)

Writes OUT_DIR/NAME/{config.json, model.safetensors}, for some OUT_DIR/NAME.gguf with the same
weights, and OUT_DIR/NAME.jsonl: {id, token_ids, positions, logits: one list a position}.

    tiny-llama    llama3 rope scaling, heads of their own for the output, F32; GGUF (interleaved
                  rotation)
    tiny-exaone   EXAONE's tensor names and keys, tied, F16
    tiny-qwen2    biases of q, k, v, tied, BF16
    tiny-qwen3    norms of q and k heads, whose width is not hidden / heads, F16
    tiny-gemma3   a window of 8, two rotations, norms behind both halves, F16; GGUF
"""
import json
import math
import os
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
from gguf_file import write_gguf  # noqa: E402
from make_tiny_encoders import write_file  # noqa: E402

SCALING = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
           "original_max_position_embeddings": 64}
COMMON = {"hidden_size": 64, "intermediate_size": 112, "num_hidden_layers": 2,
          "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 256,
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "vocab_size": 96,
          "bos_token_id": 94, "eos_token_id": 95}
EXAONE = {k: v for k, v in COMMON.items() if k not in ("num_hidden_layers", "rms_norm_eps",
                                                       "hidden_act")}
MODELS = {
    "tiny-llama": ("F32", {**COMMON, "model_type": "llama", "architectures": ["LlamaForCausalLM"],
                           "rope_scaling": SCALING, "rope_theta": 500000.0,
                           "tie_word_embeddings": False}),
    "tiny-exaone": ("F16", {**EXAONE, "model_type": "exaone",
                            "architectures": ["ExaoneForCausalLM"], "num_layers": 2,
                            "layer_norm_epsilon": 1e-5, "activation_function": "silu",
                            "rope_scaling": SCALING, "head_dim": 8, "tie_word_embeddings": True}),
    "tiny-qwen2": ("BF16", {**COMMON, "model_type": "qwen2", "num_attention_heads": 4,
                            "architectures": ["Qwen2ForCausalLM"], "rope_theta": 1000000.0,
                            "tie_word_embeddings": True}),
    "tiny-qwen3": ("F16", {**COMMON, "model_type": "qwen3", "num_attention_heads": 4,
                           "architectures": ["Qwen3ForCausalLM"], "head_dim": 24,
                           "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
                           "attention_bias": False}),
    "tiny-gemma3": ("F16", {**COMMON, "model_type": "gemma3_text", "hidden_size": 32,
                            "architectures": ["Gemma3ForCausalLM"], "intermediate_size": 48,
                            "num_hidden_layers": 6, "num_attention_heads": 2,
                            "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 8,
                            "sliding_window_pattern": 6, "rope_local_base_freq": 10000.0,
                            "rope_theta": 1000000.0, "query_pre_attn_scalar": 16,
                            "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 1e-6,
                            "tie_word_embeddings": True}),
}
GGUF_OF = {"tiny-llama": "llama", "tiny-gemma3": "gemma3"}
EXAONE_PARTS = {"input_layernorm": "ln_1", "post_attention_layernorm": "ln_2",
                "self_attn.q_proj": "attn.attention.q_proj",
                "self_attn.k_proj": "attn.attention.k_proj",
                "self_attn.v_proj": "attn.attention.v_proj",
                "self_attn.o_proj": "attn.attention.out_proj", "mlp.gate_proj": "mlp.c_fc_0",
                "mlp.up_proj": "mlp.c_fc_1", "mlp.down_proj": "mlp.c_proj"}
GGUF_PARTS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q",
              "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
              "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
              "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
              "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


class Model:
    """Weights under Llama's names; what a family lacks is not there."""

    def __init__(self, config, rng):
        get = config.get
        self.config, self.rng, self.w = config, rng, {}
        self.gemma = config["model_type"] == "gemma3_text"
        self.n_layers = get("num_hidden_layers") or get("num_layers")
        self.hidden, self.wide = config["hidden_size"], config["intermediate_size"]
        self.n_heads, self.n_kv = config["num_attention_heads"], config["num_key_value_heads"]
        self.dim = get("head_dim") or self.hidden // self.n_heads
        self.epsilon = get("rms_norm_eps") or get("layer_norm_epsilon")

    def matrix(self, name, n_out, n_in, gain=1.2):
        self.w[name + ".weight"] = gain / math.sqrt(n_in) * self.rng.standard_normal((n_out, n_in))

    def vector(self, name, n, mean, deviation):
        self.w[name] = mean + deviation * self.rng.standard_normal(n)

    def make(self):
        mean = 0.0 if self.gemma else 1.0  # Gemma stores what is to be added to 1
        q, kv = self.n_heads * self.dim, self.n_kv * self.dim
        self.matrix("model.embed_tokens", self.config["vocab_size"], self.hidden, 4.0)
        self.vector("model.norm.weight", self.hidden, mean, 0.2)
        if not self.config["tie_word_embeddings"]:
            self.matrix("lm_head", self.config["vocab_size"], self.hidden, 3.0)
        for i in range(self.n_layers):
            p = f"model.layers.{i}."
            norms = ["input_layernorm", "post_attention_layernorm"]
            if self.gemma:
                norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
            for norm in norms:
                self.vector(p + norm + ".weight", self.hidden, mean, 0.2)
            for part, n in (("q", q), ("k", kv), ("v", kv)):
                self.matrix(f"{p}self_attn.{part}_proj", n, self.hidden)
                if self.config["model_type"] == "qwen2":
                    self.vector(f"{p}self_attn.{part}_proj.bias", n, 0.0, 0.5)
            if self.gemma or self.config["model_type"] == "qwen3":
                self.vector(p + "self_attn.q_norm.weight", self.dim, mean, 0.3)
                self.vector(p + "self_attn.k_norm.weight", self.dim, mean, 0.3)
            self.matrix(p + "self_attn.o_proj", self.hidden, q)
            self.matrix(p + "mlp.gate_proj", self.wide, self.hidden)
            self.matrix(p + "mlp.up_proj", self.wide, self.hidden)
            self.matrix(p + "mlp.down_proj", self.hidden, self.wide)

    # ---- forward, in float64, one position after another ----

    def apply(self, x, name):
        return self.w[name + ".weight"] @ x + self.w.get(name + ".bias", 0.0)

    def norm(self, x, name):
        weight = self.w[name + ".weight"] + (1.0 if self.gemma else 0.0)
        return x / math.sqrt(float(x @ x) / len(x) + self.epsilon) * weight

    def frequencies(self, local):
        theta = self.config["rope_local_base_freq"] if local else self.config["rope_theta"]
        scaling = None if local else self.config.get("rope_scaling")
        ret = []
        for i in range(self.dim // 2):
            f = theta ** (-2 * i / self.dim)
            if scaling:
                turns = scaling["original_max_position_embeddings"] * f / (2 * math.pi)
                low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
                kept = min(max((turns - low) / (high - low), 0.0), 1.0)
                f = kept * f + (1 - kept) * f / scaling["factor"]
            ret.append(f)
        return np.array(ret)

    def heads(self, x, name, n, norm, position, local):
        """n heads of a projection, normed where the family norms them, rotated."""
        half, ret = self.dim // 2, []
        angle = position * self.frequencies(local)
        for head in self.apply(x, name).reshape(n, self.dim):
            if norm + ".weight" in self.w:
                head = self.norm(head, norm)
            a, b = head[:half], head[half:]
            ret.append(np.concatenate([a * np.cos(angle) - b * np.sin(angle),
                                       a * np.sin(angle) + b * np.cos(angle)]))
        return ret

    def attend(self, x, p, position, cache, local):
        """cache: [(keys, values)] of each position so far, which this one is added to."""
        k = self.heads(x, p + "k_proj", self.n_kv, p + "k_norm", position, local)
        q = self.heads(x, p + "q_proj", self.n_heads, p + "q_norm", position, local)
        cache.append((k, self.apply(x, p + "v_proj").reshape(self.n_kv, self.dim)))
        seen = cache[-self.config["sliding_window"]:] if local else cache
        scale = 1 / math.sqrt(self.config.get("query_pre_attn_scalar", self.dim))
        out = []
        for h in range(self.n_heads):
            j = h * self.n_kv // self.n_heads
            score = np.array([scale * float(q[h] @ keys[j]) for keys, _ in seen])
            score = np.exp(score - score.max())
            out.append(sum(s * values[j] for s, (_, values) in zip(score / score.sum(), seen)))
        return self.apply(np.concatenate(out), p + "o_proj")

    def feed_forward(self, x, p):
        gate = self.apply(x, p + "gate_proj")
        if self.gemma:
            gate = gate / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate ** 3)))
        else:
            gate = gate / (1 + np.exp(-gate))
        return self.apply(gate * self.apply(x, p + "up_proj"), p + "down_proj")

    def logits(self, ids):
        caches = [[] for _ in range(self.n_layers)]
        ret = []
        for position, token in enumerate(ids):
            x = self.w["model.embed_tokens.weight"][token]
            if self.gemma:
                x = x * math.sqrt(self.hidden)
            for i in range(self.n_layers):
                p = f"model.layers.{i}."
                local = self.gemma and (i + 1) % self.config["sliding_window_pattern"] != 0
                a = self.attend(self.norm(x, p + "input_layernorm"), p + "self_attn.", position,
                                caches[i], local)
                if self.gemma:
                    x = x + self.norm(a, p + "post_attention_layernorm")
                    f = self.feed_forward(self.norm(x, p + "pre_feedforward_layernorm"), p + "mlp.")
                    x = x + self.norm(f, p + "post_feedforward_layernorm")
                else:
                    x = x + a
                    x = x + self.feed_forward(self.norm(x, p + "post_attention_layernorm"),
                                              p + "mlp.")
            head = "model.embed_tokens" if self.config["tie_word_embeddings"] else "lm_head"
            ret.append(self.apply(self.norm(x, "model.norm"), head))
        return ret


# ---- files ----

def name_in_file(model, name):
    if model.config["model_type"] != "exaone":
        return name
    for part, theirs in EXAONE_PARTS.items():
        name = name.replace(part, theirs)
    for ours, theirs in (("model.layers", "transformer.h"), ("model.embed_tokens",
                         "transformer.wte"), ("model.norm", "transformer.ln_f")):
        name = name.replace(ours, theirs)
    return name


def gguf_tensor(model, name, arch):
    """Name and values in a GGUF file: a llama's pairs stand beside each other there, Gemma's norms
    have their 1."""
    w = model.w[name]
    for part in ("q", "k"):
        if arch == "llama" and f"self_attn.{part}_proj" in name:
            n = model.n_heads if part == "q" else model.n_kv
            w = w.reshape(n, 2, model.dim // 2, -1).swapaxes(1, 2).reshape(w.shape)
    if arch == "gemma3" and "norm" in name:
        w = w + 1.0
    parts = dict(GGUF_PARTS)
    parts["post_attention_layernorm"] = "post_attention_norm" if arch == "gemma3" else "ffn_norm"
    parts.update({"pre_feedforward_layernorm": "ffn_norm",
                  "post_feedforward_layernorm": "post_ffw_norm"})
    whole = {"lm_head.weight": "output.weight", "model.embed_tokens.weight": "token_embd.weight",
             "model.norm.weight": "output_norm.weight"}
    if name in whole:
        return whole[name], w
    _, _, layer, rest = name.split(".", 3)
    part, leaf = rest.rsplit(".", 1)
    return f"blk.{layer}.{parts[part]}.{leaf}", w


def write_gguf_of(path, model, arch, dtype):
    c = model.config
    keys = {"context_length": c["max_position_embeddings"], "embedding_length": model.hidden,
            "block_count": model.n_layers, "feed_forward_length": model.wide,
            "attention.head_count": model.n_heads, "attention.head_count_kv": model.n_kv,
            "attention.key_length": model.dim, "attention.value_length": model.dim,
            "attention.layer_norm_rms_epsilon": model.epsilon, "vocab_size": c["vocab_size"],
            "rope.freq_base": c["rope_theta"]}
    if arch == "llama":
        keys["rope.dimension_count"] = model.dim
    else:
        keys["attention.sliding_window"] = c["sliding_window"]
        keys["rope.freq_base_swa"] = c["rope_local_base_freq"]
    metadata = {"general.architecture": arch, "general.name": os.path.basename(path)}
    metadata.update({f"{arch}.{k}": v for k, v in keys.items()})
    metadata["tokenizer.ggml.bos_token_id"] = c["bos_token_id"]
    metadata["tokenizer.ggml.eos_token_id"] = c["eos_token_id"]
    tensors = {}
    if c.get("rope_scaling"):
        plain = c["rope_theta"] ** (-np.arange(0, model.dim, 2) / model.dim)
        divisors = (plain / model.frequencies(False)).astype("<f4")
        tensors["rope_freqs.weight"] = (divisors.shape, "F32", [divisors.tobytes()])
    for name in sorted(model.w):
        theirs, w = gguf_tensor(model, name, arch)
        kind = dtype if w.ndim > 1 else "F32"
        tensors[theirs] = (w.shape, kind, [w.astype("<f2" if kind == "F16" else "<f4").tobytes()])
    write_gguf(path, metadata, tensors)


def main():
    out = sys.argv[1]
    for seed, (name, (dtype, config)) in enumerate(MODELS.items()):
        rng = np.random.default_rng(800 + seed)
        model = Model(config, rng)
        model.make()
        path = os.path.join(out, name)
        os.makedirs(path, exist_ok=True)
        write_file(os.path.join(path, "model.safetensors"), model.w, dtype,
                   lambda name, model=model: name_in_file(model, name))
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
        if name in GGUF_OF:
            write_gguf_of(path + ".gguf", model, GGUF_OF[name], dtype)
        with open(path + ".jsonl", "w", encoding="utf-8") as f:
            for n in (1, 9, 40, 70):
                ids = rng.integers(0, config["vocab_size"], n).tolist()
                logits = model.logits(ids)
                positions = sorted({0, n // 3, 2 * n // 3, n - 1})
                f.write(json.dumps({"id": f"n{n}", "token_ids": ids, "positions": positions,
                                    "logits": [[float(f"{v:.7g}") for v in logits[i]]
                                               for i in positions]}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
