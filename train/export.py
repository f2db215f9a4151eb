"""Writes trained models as Hugging Face folders, and packs them to ragd's int8 form with `ragctl model pack`."""

import json
import os
import shutil
import subprocess

import numpy as np

from bert import tensors_of, write_safetensors


def _json(folder, name, value):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, ensure_ascii=False, indent=2)
        f.write("\n")


def bi_encoder(model, pieces, folder, max_length=256):
    """A sentence-transformers folder: mean pooling, unit vectors, float16."""
    os.makedirs(folder, exist_ok=True)
    _json(folder, "config.json", {**model.config, "torch_dtype": "float16"})
    pieces.save(os.path.join(folder, "tokenizer.json"), max_length)
    _json(folder, "tokenizer_config.json", {"model_max_length": max_length, "do_lower_case": True, "strip_accents": False,
                                            "tokenizer_class": "PreTrainedTokenizerFast"})
    _json(folder, "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": "sentence_transformers.models." + kind}
        for i, (path, kind) in enumerate((("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")))])
    _json(folder, "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _json(folder, "1_Pooling/config.json", {"word_embedding_dimension": model.config["hidden_size"], "pooling_mode_cls_token": False,
                                            "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
                                            "pooling_mode_mean_sqrt_len_tokens": False})
    _json(folder, "config_sentence_transformers.json", {"similarity_fn_name": "cosine"})
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors_of(model))


def cross_encoder(model, pieces, folder, max_length=256):
    """BertForSequenceClassification with one label, float16.  `model`: rerank.CrossEncoder."""
    os.makedirs(folder, exist_ok=True)
    _json(folder, "config.json", {**model.bert.config, "architectures": ["BertForSequenceClassification"], "num_labels": 1,
                                  "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "torch_dtype": "float16"})
    pieces.save(os.path.join(folder, "tokenizer.json"), max_length)
    _json(folder, "tokenizer_config.json", {"model_max_length": max_length, "do_lower_case": True, "strip_accents": False,
                                            "tokenizer_class": "PreTrainedTokenizerFast"})
    tensors = tensors_of(model.bert, "bert.")
    for ours, theirs in (("pooler", "bert.pooler.dense"), ("classifier", "classifier")):
        layer = getattr(model, ours)
        tensors[theirs + ".weight"] = layer.weight.detach().float().numpy().astype(np.float16)
        tensors[theirs + ".bias"] = layer.bias.detach().float().numpy().astype(np.float16)
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors)


def packed(ragctl, folder, out):
    """ragd's int8 folder; `out` is replaced when it is whole, but for its model card and credits: what they say is the reader's to mend."""
    fresh = out + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run([ragctl, "model", "pack", folder, fresh], check=True)
    for name in ("README.md", "SOURCES.md"):
        if os.path.exists(os.path.join(out, name)):
            shutil.copy(os.path.join(out, name), fresh)
    shutil.rmtree(out, ignore_errors=True)
    os.rename(fresh, out)
