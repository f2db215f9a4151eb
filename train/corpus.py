"""Reads the training data: JSON lines packed with zstd, filtered to the licences that shipped weights may use."""

import json
import os
import random
import re
import subprocess

# Licences of which a model may be shipped under any terms that name the authors.
PERMISSIVE = ("CC0", "CC-BY-4.0", "CC-BY-3.0", "CC-BY-2.0", "MIT", "BSD", "Apache-2.0")
# Sources of pairs.jsonl and sts.jsonl by their own names, where the rows carry no licence: all others there are share-alike.
PERMISSIVE_SOURCES = ("msdocs:", "songys-", "react-ko", "tensorflow-ko", "pytorch-tutorials-kr", "rust-book-ko", "nsmc")


def is_permissive(row):
    licence = row.get("license")
    if licence is not None:
        return licence.startswith(PERMISSIVE)
    return row["source"].startswith(PERMISSIVE_SOURCES)


def rows(path):
    """The objects of a .jsonl or .jsonl.zst file."""
    if path.endswith(".zst"):
        with subprocess.Popen(["zstd", "-dcq", "--long=27", path], stdout=subprocess.PIPE) as p:
            for line in p.stdout:
                yield json.loads(line)
        if p.returncode != 0:
            raise OSError("zstd -dc %s: exit status %d" % (path, p.returncode))
    else:
        with open(path, encoding="utf-8") as f:
            for line in f:
                yield json.loads(line)


def find(folder, stem):
    """The files of a kind: text.jsonl, text-1.jsonl.zst, ... in the order of their names."""
    names = sorted(n for n in os.listdir(folder) if re.fullmatch(re.escape(stem) + r"(-\d+)?\.jsonl(\.zst)?", n))
    if not names:
        raise FileNotFoundError("no %s*.jsonl[.zst] in %s" % (stem, folder))
    return [os.path.join(folder, n) for n in names]


def permissive_rows(folder, stem):
    for path in find(folder, stem):
        for row in rows(path):
            if is_permissive(row):
                yield row


def mend_blanks(text):
    """Joins blanks that machine translation left in Korean ("실행 하 고", "데이터 를"): one-syllable stems, particles and endings that
    are no words of their own."""
    text = re.sub(r"(?<=[가-힣]) (하|되|시키|드리) (?=[가-힣])", r"\1", text)
    return re.sub(r"(?<=[가-힣]) (를|을|은|는|가|의|에|로|으로|와|과|에서|하는|하고|하여|합니다|됩니다)(?=[\s.,)]|$)", r"\1", text)


def held_out(key, percent):
    """Whether a row belongs to the part that is kept for measuring, by a stable hash of its key."""
    h = 2166136261
    for b in key.encode():
        h = (h ^ b) * 16777619 & 0xFFFFFFFF
    return random.Random(h).random() * 100 < percent
