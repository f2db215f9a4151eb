"""BERT in PyTorch, and the reading and writing of its weights as safetensors.

The names of the tensors are those of Hugging Face's BertModel.  On CPUs with bf16 instructions (AVX-512 BF16, AMX) and on CUDA the
matrix products run in bf16 under autocast, with the weights kept in fp32.
"""

import json
import math
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {"architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": 384, "intermediate_size": 1536,
          "num_attention_heads": 12, "num_hidden_layers": 6, "max_position_embeddings": 512, "type_vocab_size": 2,
          "layer_norm_eps": 1e-12, "pad_token_id": 0, "position_embedding_type": "absolute",
          "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02}


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        h = c["hidden_size"]
        self.heads = c["num_attention_heads"]
        self.query, self.key, self.value, self.output = (nn.Linear(h, h) for _ in range(4))
        self.norm1 = nn.LayerNorm(h, eps=c["layer_norm_eps"])
        self.up, self.down = nn.Linear(h, c["intermediate_size"]), nn.Linear(c["intermediate_size"], h)
        self.norm2 = nn.LayerNorm(h, eps=c["layer_norm_eps"])

    def forward(self, x, bias):
        b, t, h = x.shape
        weight = torch.cat((self.query.weight, self.key.weight, self.value.weight))
        qkv = F.linear(x, weight, torch.cat((self.query.bias, self.key.bias, self.value.bias)))
        q, k, v = qkv.view(b, t, 3, self.heads, h // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (h // self.heads) ** -0.5
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        mixed = (torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(b, t, h)
        x = self.norm1(x + self.output(mixed))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


class Bert(nn.Module):
    """ids [b x t] -> hidden states [b x t x h].  `mask` is true at tokens; None: no padding.  `types`: segment of each token."""

    def __init__(self, config):
        super().__init__()
        self.config = c = {**CONFIG, **config}
        h = c["hidden_size"]
        self.words = nn.Embedding(c["vocab_size"], h)
        self.positions = nn.Embedding(c["max_position_embeddings"], h)
        self.types = nn.Embedding(c["type_vocab_size"], h)
        self.norm = nn.LayerNorm(h, eps=c["layer_norm_eps"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["num_hidden_layers"]))
        self.apply(self._init)

    def _init(self, m):
        if isinstance(m, (nn.Linear, nn.Embedding)):
            nn.init.normal_(m.weight, std=self.config["initializer_range"])
        if isinstance(m, nn.Linear):
            nn.init.zeros_(m.bias)

    def forward(self, ids, mask=None, types=None):
        x = self.words(ids) + self.positions.weight[:ids.shape[1]]
        x = self.norm(x + (self.types.weight[0] if types is None else self.types(types)))
        bias = None
        if mask is not None and not bool(mask.all()):
            bias = torch.where(mask, 0.0, -1e4)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        return x


def mean_pool(hidden, mask):
    """Unit vectors [b x h] in fp32."""
    m = mask.unsqueeze(-1).float()
    return F.normalize((hidden.float() * m).sum(1) / m.sum(1), dim=-1)


# our name of a module -> Hugging Face's, inside of encoder.layer.N
_LAYER = {"query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
          "output": "attention.output.dense", "norm1": "attention.output.LayerNorm", "up": "intermediate.dense",
          "down": "output.dense", "norm2": "output.LayerNorm"}
_TOP = {"words": "embeddings.word_embeddings", "positions": "embeddings.position_embeddings",
        "types": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm"}


def hf_name(ours):
    parts = ours.split(".")
    if parts[0] == "layers":
        return "encoder.layer.%s.%s.%s" % (parts[1], _LAYER[parts[2]], parts[3])
    return "%s.%s" % (_TOP[parts[0]], parts[1])


def read_safetensors(path):
    """name -> numpy array; bf16 is not read."""
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "I8": np.int8}
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + n])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            a, b = t["data_offsets"]
            out[name] = np.frombuffer(data[8 + n + a:8 + n + b], dtype=kinds[t["dtype"]]).reshape(t["shape"])
    return out


def write_safetensors(path, tensors):
    kinds = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in sorted(tensors.items()):
        header[name] = {"dtype": kinds[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, t in sorted(tensors.items()):
            f.write(np.ascontiguousarray(t).tobytes())


def load(config, tensors, prefix=""):
    """A Bert from Hugging Face tensors; layers of `tensors` beyond the config's are left out."""
    model = Bert(config)
    with torch.no_grad():
        for name, p in model.named_parameters():
            t = torch.from_numpy(tensors[prefix + hf_name(name)].astype(np.float32))
            if t.shape != p.shape:
                raise ValueError("%s: shape %s, expected %s" % (name, tuple(t.shape), tuple(p.shape)))
            p.copy_(t)
    return model


def tensors_of(model, prefix="", dtype=np.float16):
    return {prefix + hf_name(n): p.detach().cpu().float().numpy().astype(dtype) for n, p in model.named_parameters()}


def learning_rate(step, steps, peak, warmup):
    """Learning rate: linear warm-up over a share of the steps, then a half cosine down to a tenth."""
    if step < warmup * steps:
        return peak * (step + 1) / (warmup * steps)
    done = (step - warmup * steps) / max(1, (1 - warmup) * steps)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, done))))
