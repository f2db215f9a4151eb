#!/usr/bin/env python3
"""Token ids that every engine of the encoder benchmarks gets, from this tree's own English text.

    encoder_texts.py MODEL_DIR TREE > workloads.json

    128, 512   texts of exactly so many tokens, special ones included
    mixed      log-normal lengths (sigma .7), mean 120, from 16 tokens, clipped to 512
    pairs      one question and 30 passages, pair lengths as mixed (types are 0 and 1)

Words come in the order of the text. A model with a WordPiece vocabulary gets its own tokens of
them; for others, whose weights are random here, each word stands for one id, so that frequent
words are as frequent. Nothing of what is measured depends on which ids they are."""
import json
import math
import pathlib
import random
import re
import sys
import zlib

SIGMA = .7
MEAN = 120
SHORTEST = 16
LONGEST = 512


def words(tree):
    """Lower-case words and single punctuation marks of the documentation, endlessly."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in
                     [tree / "README.md", tree / "ARCHITECTURE.md", *sorted(tree.glob("docs/*.md"))])
    found = re.findall(r"[a-z]+|[0-9]+|[.,;:()]", text.lower())
    while True:
        yield from found


def wordpieces(vocabulary, word):
    """Greedy longest match; None when a part is not in the vocabulary."""
    pieces, at = [], 0
    while at < len(word):
        for end in range(len(word), at, -1):
            piece = ("##" if at else "") + word[at:end]
            if piece in vocabulary:
                pieces.append(vocabulary[piece])
                at = end
                break
        else:
            return None
    return pieces


class Words:
    """Ids without end, and the ids of a text's first and last token."""

    def __init__(self, directory, tree):
        self.stream = words(tree)
        self.buffer = []
        config = json.loads((directory / "config.json").read_text())
        self.vocab_size = config["vocab_size"]
        self.vocabulary = None
        self.first, self.last = 0, 2  # <s> and </s> of RoBERTa
        self.middle = [2, 2]
        self.n_types = config.get("type_vocab_size", 2)
        if config["model_type"] == "bert":
            self.first, self.last, self.middle = 101, 102, [102]
        file = directory / "tokenizer.json"
        if file.exists():
            model = json.loads(file.read_text(encoding="utf-8"))["model"]
            if isinstance(model["vocab"], dict) and {"the", "##s", "[CLS]"} <= set(model["vocab"]):
                self.vocabulary = model["vocab"]
                self.first, self.last = self.vocabulary["[CLS]"], self.vocabulary["[SEP]"]
                self.middle = [self.last]

    def take(self, n):
        while len(self.buffer) < n:
            word = next(self.stream)
            if self.vocabulary is None:
                self.buffer.append(1000 + zlib.crc32(word.encode()) % (self.vocab_size - 1000))
            else:
                self.buffer += wordpieces(self.vocabulary, word) or []
        ids, self.buffer = self.buffer[:n], self.buffer[n:]
        return ids

    def text(self, n_tokens):
        ids = [self.first] + self.take(n_tokens - 2) + [self.last]
        return {"ids": ids, "types": [0] * n_tokens}

    def pair(self, query, n_tokens):
        """A pair of n tokens; the query keeps its own, as longest-first truncation does."""
        head = [self.first] + query + self.middle
        ids = head + self.take(max(1, n_tokens - len(head) - 1)) + [self.last]
        second = 1 if self.n_types > 1 else 0
        return {"ids": ids, "types": [0] * len(head) + [second] * (len(ids) - len(head))}


def mixed_lengths(n, rng):
    mu = math.log(MEAN) - SIGMA * SIGMA / 2
    return [min(LONGEST, max(SHORTEST, round(rng.lognormvariate(mu, SIGMA)))) for _ in range(n)]


def main():
    directory, tree = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    source, rng = Words(directory, tree), random.Random(3)
    query = source.take(12)
    json.dump({
        "128": [source.text(128) for _ in range(64)],
        "512": [source.text(512) for _ in range(16)],
        "mixed": [source.text(n) for n in mixed_lengths(128, rng)],
        "pairs": [source.pair(query, n) for n in mixed_lengths(30, rng)],
    }, sys.stdout)


if __name__ == "__main__":
    main()
