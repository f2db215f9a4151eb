"""Encoders of a Hugging Face directory under one set of names, for the peers' formats.

    x_0 = LN(word[id] + position[p] + type[t]); then per layer
    x   = LN(x + W_o attention(W_q x, W_k x, W_v x) + b_o);  x = LN(x + W_2 gelu(W_1 x + b_1) + b_2)

BERT and RoBERTa / XLM-RoBERTa, with or without a classification head. Weights are float32,
linear ones as [inputs, outputs]."""
import json
import pathlib
import struct

import numpy


def read_safetensors(path):
    with open(path, "rb") as file:
        (n_header,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(n_header))
        base = 8 + n_header
        kinds = {"F32": "<f4", "F16": "<f2"}
        ret = {}
        for name, entry in header.items():
            if name == "__metadata__" or entry["dtype"] not in kinds:
                continue
            begin, end = entry["data_offsets"]
            file.seek(base + begin)
            flat = numpy.frombuffer(file.read(end - begin), kinds[entry["dtype"]])
            ret[name] = flat.reshape(entry["shape"]).astype("<f4")
    return ret


def without_prefix(tensors, config):
    """'bert.encoder.layer.0...' and 'encoder.layer.0...' are the same tensor."""
    prefix = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}[config["model_type"]]
    return {name[len(prefix):] if name.startswith(prefix) else name: value
            for name, value in tensors.items()}


class EncoderModel:
    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.config = config = json.loads((directory / "config.json").read_text())
        if config["model_type"] not in ("bert", "roberta", "xlm-roberta"):
            raise SystemExit(f"{directory}: model_type {config['model_type']}: not one that the "
                             "peers' graphs are written for (bert, roberta, xlm-roberta)")
        if config.get("hidden_act", "gelu") != "gelu":
            raise SystemExit(f"{directory}: hidden_act {config['hidden_act']}, expected gelu")
        files = sorted(directory.glob("*.safetensors"))
        if len(files) != 1:
            raise SystemExit(f"{directory}: {len(files)} safetensors files, expected one")
        tensors = without_prefix(read_safetensors(files[0]), config)
        self.is_bert = config["model_type"] == "bert"
        self.n_layers = config["num_hidden_layers"]
        self.hidden = config["hidden_size"]
        self.n_heads = config["num_attention_heads"]
        self.intermediate = config["intermediate_size"]
        self.vocab_size = config["vocab_size"]
        self.epsilon = config.get("layer_norm_eps", 1e-12)
        self.first_position = 0 if self.is_bert else config.get("pad_token_id", 1) + 1
        self.max_tokens = config["max_position_embeddings"] - self.first_position
        self.word = tensors["embeddings.word_embeddings.weight"]
        self.position = tensors["embeddings.position_embeddings.weight"]
        self.type = tensors["embeddings.token_type_embeddings.weight"]
        self.embedding_norm = self._norm(tensors, "embeddings.LayerNorm")
        self.layers = [self._layer(tensors, f"encoder.layer.{i}.") for i in range(self.n_layers)]
        self.head = self._head(tensors)

    @staticmethod
    def _norm(tensors, name):
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    @staticmethod
    def _linear(tensors, name):
        return tensors[f"{name}.weight"].T.copy(), tensors[f"{name}.bias"]

    def _layer(self, tensors, at):
        return {
            "q": self._linear(tensors, at + "attention.self.query"),
            "k": self._linear(tensors, at + "attention.self.key"),
            "v": self._linear(tensors, at + "attention.self.value"),
            "o": self._linear(tensors, at + "attention.output.dense"),
            "norm1": self._norm(tensors, at + "attention.output.LayerNorm"),
            "up": self._linear(tensors, at + "intermediate.dense"),
            "down": self._linear(tensors, at + "output.dense"),
            "norm2": self._norm(tensors, at + "output.LayerNorm"),
        }

    def _head(self, tensors):
        """(dense, out): logits = out tanh(dense x_first); None without a head."""
        if "classifier.out_proj.weight" in tensors:
            return self._linear(tensors, "classifier.dense"), self._linear(tensors,
                                                                           "classifier.out_proj")
        if "classifier.weight" in tensors and "pooler.dense.weight" in tensors:
            return self._linear(tensors, "pooler.dense"), self._linear(tensors, "classifier")
        return None
