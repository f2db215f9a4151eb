"""Writing GGUF files (version 3), for llama.cpp beside ragd. Format: ggml, docs/gguf.md."""
import struct

ALIGNMENT = 32
KIND_U32, KIND_I32, KIND_F32, KIND_BOOL, KIND_STRING, KIND_ARRAY = 4, 5, 6, 7, 8, 9

# What a tensor is stored in: its number in the file, weights of a block, bytes of a block.
FORMATS = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144),
           "Q6_K": (14, 256, 210)}


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(x):
    """The kind of a metadata value and its bytes."""
    if isinstance(x, bool):
        return KIND_BOOL, struct.pack("<?", x)
    if isinstance(x, int):
        return KIND_U32, struct.pack("<I", x)
    if isinstance(x, float):
        return KIND_F32, struct.pack("<f", x)
    if isinstance(x, str):
        return KIND_STRING, string(x)
    if isinstance(x[0], str):
        kind, items = KIND_STRING, b"".join(map(string, x))
    else:
        kind, items = KIND_I32, struct.pack(f"<{len(x)}i", *x)
    return KIND_ARRAY, struct.pack("<IQ", kind, len(x)) + items


def tensor_bytes(shape, kind):
    """Bytes of a tensor; a row (the last dimension) is whole blocks."""
    _, block, size = FORMATS[kind]
    if shape[-1] % block != 0:
        raise ValueError(f"rows of {shape[-1]} are not whole blocks of {block} for {kind}")
    ret = shape[-1] // block * size
    for n in shape[:-1]:
        ret *= n
    return ret


def write_gguf(path, metadata, tensors):
    """TENSORS: name -> (shape with rows first, format, its bytes in pieces: an iterable)."""
    head = [struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))]
    for key, x in metadata.items():
        kind, data = value(x)
        head.append(string(key) + struct.pack("<I", kind) + data)
    at = 0
    for name, (shape, kind, _) in tensors.items():
        dimensions = shape[::-1]  # innermost first
        head.append(string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *dimensions) +
                    struct.pack("<IQ", FORMATS[kind][0], at))
        at += -(-tensor_bytes(shape, kind) // ALIGNMENT) * ALIGNMENT
    start = b"".join(head)
    with open(path, "wb") as file:
        file.write(start + bytes(-len(start) % ALIGNMENT))
        for name, (shape, kind, pieces) in tensors.items():
            n_bytes = 0
            for piece in pieces:
                n_bytes += file.write(piece)
            if n_bytes != tensor_bytes(shape, kind):
                raise ValueError(f"tensor '{name}': {n_bytes} bytes for {shape} of {kind}")
            file.write(bytes(-n_bytes % ALIGNMENT))
