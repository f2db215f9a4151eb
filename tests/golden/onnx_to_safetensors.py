#!/usr/bin/env python3
"""A BERT that exists as ONNX only, as a model folder with safetensors in float32.

    onnx_to_safetensors.py MODEL_DIR/onnx/model.onnx OUT_DIR

Needs python3-onnx and python3-numpy. The exporter keeps biases, norms and embeddings under their
own names, but stores the factor of each MatMul transposed and without a name; the node says whose
it is ("/encoder/layer.0/attention/self/query/MatMul"). The other files of MODEL_DIR are copied."""
import json
import pathlib
import shutil
import struct
import sys

import numpy
import onnx
from onnx import numpy_helper

KEPT = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")


def tensors(path):
    graph = onnx.load(str(path)).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    found = {name: value for name, value in constants.items()
             if name.split(".")[0] in ("embeddings", "encoder", "pooler")
             and value.dtype == numpy.float32}
    for node in graph.node:
        factors = [n for n in node.input if n in constants and n not in found]
        if node.op_type == "MatMul" and factors:
            owner = ".".join(node.name.strip("/").split("/")[:-1])
            found[owner + ".weight"] = numpy.ascontiguousarray(constants[factors[0]].T)
    return found


def write(found, path):
    header, offset = {}, 0
    for name in sorted(found):
        n_bytes = found[name].nbytes
        header[name] = {"dtype": "F32", "shape": list(found[name].shape),
                        "data_offsets": [offset, offset + n_bytes]}
        offset += n_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(found):
            f.write(found[name].tobytes())


def main():
    source, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    found = tensors(source)
    write(found, out / "model.safetensors")
    for name in KEPT:
        if (source.parents[1] / name).is_file():
            shutil.copyfile(source.parents[1] / name, out / name)
    print(f"{len(found)} tensors, {sum(t.size for t in found.values())} numbers -> {out}")


if __name__ == "__main__":
    main()
