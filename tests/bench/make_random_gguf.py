#!/usr/bin/python3
"""A GGUF file of EXAONE-3.5-2.4B's geometry with random weights, for speed and memory.

usage: make_random_gguf.py OUT.gguf [--mix q4_k_m|q8_0] [--seed N]
                           [--layers N] [--hidden N] [--heads N] [--kv-heads N] [--head-size N]
                           [--feed-forward N] [--vocabulary N] [--context N]

2,560 wide, 30 layers, 32 heads and 8 of keys and values of 80 each, feed-forward 7,168, 102,400
tokens, embeddings tied; smaller with options. The same seed gives the same bytes. What a model
answers means nothing; how fast is the same as with trained weights, for no kernel looks at them.

q4_k_m is llama.cpp's usual mix (llama_tensor_get_type in its src/llama-quant.cpp): Q4_K, but Q6_K
for the embeddings, which are the output head too, and for attn_v and ffn_down in the first and last
eighth of the layers and every third one between. q8_0 is Q8_0 throughout. Norms are F32.

Weights of a block are random bits under scales that make their standard deviation 0.02 around 0,
so that activations keep the size that a trained model's have: a normalised row of 2,560 times such a
matrix has deviation 1. The last norm is larger, so that logits have deviation 3.

The tokenizer is a real byte-level BPE: every byte, Hangul syllables, and pairs of what is there.
"""
import argparse
import sys

try:
    import numpy as np
except ModuleNotFoundError:
    sys.exit("make_random_gguf.py: needs NumPy: apt-get install python3-numpy")
from gguf_file import tensor_bytes, write_gguf

DEVIATION = 0.02
LOGIT_DEVIATION = 3.0
PIECE_WEIGHTS = 1 << 24
SPECIAL = ["[PAD]", "[BOS]", "[EOS]", "[UNK]", "[|system|]", "[|user|]", "[|assistant|]",
           "[|endofturn|]"]
NORMAL, CONTROL = 1, 3
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}{{ '[|system|][|endofturn|]\\n' }}"
    "{% endif %}{{ '[|' + message['role'] + '|]' + message['content'] }}"
    "{% if message['role'] == 'user' %}{{ '\\n' }}{% else %}{{ '[|endofturn|]\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '[|assistant|]' }}{% endif %}")


def random_bytes(rng, shape):
    n = int(np.prod(shape))
    words = rng.bit_generator.random_raw(-(-n // 8))
    return words.view(np.uint8)[:n].reshape(shape)


def halves(rng, n, middle):
    """N f16 numbers around MIDDLE, as bytes."""
    values = middle * (0.75 + 0.5 * rng.random(n, dtype=np.float32))
    return values.astype("<f2").view(np.uint8).reshape(n, 2)


def blocks_q4_k(rng, n):
    """256 weights: d, dmin, eight 6-bit scales and minimums in 12 bytes, nibbles.

    w = d sc q - dmin mn with sc = mn and dmin = 7.5 d: the mean is 0, the deviation d sc 4.61."""
    ret = np.empty((n, 144), np.uint8)
    d = DEVIATION / (4.61 * 48) * (0.75 + 0.5 * rng.random(n, dtype=np.float32))
    ret[:, 0:2] = d.astype("<f2").view(np.uint8).reshape(n, 2)
    ret[:, 2:4] = (7.5 * d).astype("<f2").view(np.uint8).reshape(n, 2)
    scales = 32 + (random_bytes(rng, (n, 8)) & 31)
    first, last = scales[:, :4], scales[:, 4:]
    ret[:, 4:8] = ret[:, 8:12] = first | (last >> 4) << 6
    ret[:, 12:16] = (last & 15) | (last & 15) << 4
    ret[:, 16:] = random_bytes(rng, (n, 128))
    return ret


def blocks_q6_k(rng, n):
    """256 weights: low nibbles, high pairs of bits, sixteen signed scales, d.

    w = d sc (q - 32): the deviation is d |sc| 18.5."""
    ret = np.empty((n, 210), np.uint8)
    ret[:, :192] = random_bytes(rng, (n, 192))
    bits = random_bytes(rng, (n, 16))
    sizes = (64 + (bits & 63)).astype(np.int8)
    ret[:, 192:208] = np.where(bits & 128, -sizes, sizes).view(np.uint8)
    ret[:, 208:] = halves(rng, n, DEVIATION / (18.5 * 96))
    return ret


def blocks_q8_0(rng, n):
    """32 weights: d, signed bytes. w = d q: the deviation is d 73.9."""
    ret = np.empty((n, 34), np.uint8)
    ret[:, 2:] = np.maximum(random_bytes(rng, (n, 32)).view(np.int8), -127).view(np.uint8)
    ret[:, :2] = halves(rng, n, DEVIATION / 73.9)
    return ret


BLOCKS = {"Q4_K": (256, blocks_q4_k), "Q6_K": (256, blocks_q6_k), "Q8_0": (32, blocks_q8_0)}


def matrix(rng, shape, kind):
    """A matrix's bytes in pieces."""
    block, make = BLOCKS[kind]
    rest = int(np.prod(shape)) // block
    while rest > 0:
        n = min(rest, PIECE_WEIGHTS // block)
        yield make(rng, n).tobytes()
        rest -= n


def norm(rng, n, mean):
    yield (mean * (1 + 0.1 * rng.standard_normal(n, dtype=np.float32))).astype("<f4").tobytes()


def rope_factors(head_size, base):
    """What divides each pair's frequency ("llama3" scaling, factor 8 from 8,192 positions):
    Llama 3.1's model card and the modelling code published with it."""
    factor, low, high, context = 8.0, 1.0, 4.0, 8192.0
    waves = 2 * np.pi * base ** (np.arange(0, head_size, 2) / head_size)
    smooth = np.clip((context / waves - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype("<f4")


def more_bits(layer, n_layers):
    """llama.cpp's choice of the layers whose attn_v and ffn_down get Q6_K."""
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2


def tensors(a):
    """name -> (shape, format, bytes in pieces), each with a stream of random numbers of its own."""
    ret = {}

    def stream():
        return np.random.Generator(np.random.SFC64([a.seed, len(ret)]))

    def add_norm(name, mean=1.0):
        ret[name] = ((a.hidden,), "F32", norm(stream(), a.hidden, np.float32(mean)))

    def add_matrix(name, n_out, n_in, more=False):
        kind = {"q8_0": "Q8_0", "q4_k_m": "Q6_K" if more else "Q4_K"}[a.mix]
        tensor_bytes((n_out, n_in), kind)  # refuses rows that are not whole blocks
        ret[name] = ((n_out, n_in), kind, matrix(stream(), (n_out, n_in), kind))

    q, kv = a.heads * a.head_size, a.kv_heads * a.head_size
    add_matrix("token_embd.weight", a.vocabulary, a.hidden, True)
    for i in range(a.layers):
        more, at = more_bits(i, a.layers), f"blk.{i}."
        add_norm(at + "attn_norm.weight")
        add_matrix(at + "attn_q.weight", q, a.hidden)
        add_matrix(at + "attn_k.weight", kv, a.hidden)
        add_matrix(at + "attn_v.weight", kv, a.hidden, more)
        add_matrix(at + "attn_output.weight", a.hidden, q)
        add_norm(at + "ffn_norm.weight")
        add_matrix(at + "ffn_gate.weight", a.feed_forward, a.hidden)
        add_matrix(at + "ffn_up.weight", a.feed_forward, a.hidden)
        add_matrix(at + "ffn_down.weight", a.hidden, a.feed_forward, more)
    add_norm("output_norm.weight", LOGIT_DEVIATION / (DEVIATION * a.hidden ** 0.5))
    factors = rope_factors(a.head_size, 1e6)
    ret["rope_freqs.weight"] = (factors.shape, "F32", [factors.tobytes()])
    return ret


def byte_letters():
    """The letter that stands for each byte in GPT-2's vocabularies (its bytes_to_unicode)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    ret = {b: chr(b) for b in printable}
    ret.update({b: chr(256 + i) for i, b in enumerate(others)})
    return ret


def vocabulary(size, seed):
    """Tokens and merges: special tokens, bytes, Hangul syllables (two merges for its three bytes)
    alone and after a space, then pairs of what is there."""
    letters = byte_letters()
    tokens = SPECIAL + [letters[b] for b in range(256)]
    known, merges = set(tokens), []

    def merge(left, right):
        if left + right not in known and len(tokens) < size:
            known.add(left + right)
            tokens.append(left + right)
            merges.append(f"{left} {right}")

    for code in range(0xAC00, 0xD7A4):
        a, b, c = (letters[x] for x in chr(code).encode())
        merge(a, b)
        merge(a + b, c)
    pieces = tokens[len(SPECIAL):]
    for piece in pieces[ord("A"):] if len(tokens) < size else []:
        merge(letters[32], piece)
    rng = np.random.Generator(np.random.SFC64([seed, 1 << 20]))
    while len(tokens) < size:
        left, right = (tokens[len(SPECIAL) + i] for i in
                       rng.integers(0, len(tokens) - len(SPECIAL), 2))
        if len(left) + len(right) <= 24 and not right.startswith(letters[32]):
            merge(left, right)
    if len(tokens) > size:
        raise ValueError(f"a vocabulary of {size}: {len(tokens)} is the least")
    return tokens, merges


def metadata(a):
    tokens, merges = vocabulary(a.vocabulary, a.seed)
    kinds = [CONTROL if i < len(SPECIAL) else NORMAL for i in range(len(tokens))]
    arch = {"context_length": a.context, "embedding_length": a.hidden, "block_count": a.layers,
            "feed_forward_length": a.feed_forward, "attention.head_count": a.heads,
            "attention.head_count_kv": a.kv_heads, "attention.key_length": a.head_size,
            "attention.value_length": a.head_size, "rope.dimension_count": a.head_size,
            "rope.freq_base": 1e6, "attention.layer_norm_rms_epsilon": 1e-5,
            "vocab_size": a.vocabulary}
    return {
        "general.architecture": "exaone", "general.name": f"random {a.mix}",
        "general.file_type": {"q4_k_m": 15, "q8_0": 7}[a.mix], "general.quantization_version": 2,
        **{f"exaone.{key}": x for key, x in arch.items()},
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "exaone",
        "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": SPECIAL.index("[BOS]"),
        "tokenizer.ggml.eos_token_id": SPECIAL.index("[|endofturn|]"),
        "tokenizer.ggml.unknown_token_id": SPECIAL.index("[UNK]"),
        "tokenizer.ggml.padding_token_id": SPECIAL.index("[PAD]"),
        "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": CHAT_TEMPLATE,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out")
    parser.add_argument("--mix", choices=["q4_k_m", "q8_0"], default="q4_k_m")
    parser.add_argument("--seed", type=int, default=1)
    for name, default in (("layers", 30), ("hidden", 2560), ("heads", 32), ("kv-heads", 8),
                          ("head-size", 80), ("feed-forward", 7168), ("vocabulary", 102400),
                          ("context", 32768)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    a = parser.parse_args()
    try:
        write_gguf(a.out, metadata(a), tensors(a))
    except ValueError as error:
        print(f"make_random_gguf.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
