#!/usr/bin/env python3
"""Development sets for bench_relevance from query-passage pairs (not from any evaluation set).

usage: zstd -dc pairs.jsonl.zst | relevance_pairs.py FOLDER

Each input line is {"query", "positive", "kind", "lex", "verbatim"}, lex being the share of the
query's bigrams and words that the positive holds. Writes docs.jsonl (headings, titles,
descriptions and questions of documentation), sents.jsonl (sentence pairs), and beside each the
passages of other pairs as distractors (docs_dis.jsonl, sents_dis.jsonl). Seeded: the same input
gives the same files."""
import collections
import json
import os
import random
import re
import sys

DOCS = {"faq": 1500, "desc-body": 2500, "heading-section": 2500, "title-body": 1000}
SENTENCES = ("paraphrase", "sts4", "nli-entail", "utterance-argument")


def write(path, rows):
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))


def pairs(rows):
    return [{"query": row["query"], "positive": row["positive"]} for row in rows]


def texts(rows):
    return [{"text": row["positive"]} for row in rows]


def main():
    folder = sys.argv[1]
    random.seed(7)
    rows = [json.loads(line) for line in sys.stdin.buffer.read().decode().splitlines()]
    docs = [row for row in rows if row["kind"] in DOCS]
    for row in docs:
        row["query"] = re.sub(r"^다음에 대한 자세한 정보:\s*", "", row["query"])
    kinds = collections.defaultdict(list)
    for row in docs:
        if 0.35 <= row["lex"] <= 0.85 and not row["verbatim"] and len(row["positive"]) >= 80:
            kinds[row["kind"]].append(row)
    chosen = []
    for kind, n in DOCS.items():
        chosen += random.sample(kinds[kind], min(n, len(kinds[kind])))
    asked = {row["query"] for row in chosen}
    others = [row for row in docs if row["query"] not in asked]
    random.shuffle(others)
    sentences = [row for row in rows if row["kind"] in SENTENCES and 0.2 <= row["lex"] <= 0.85]
    random.shuffle(sentences)
    write(os.path.join(folder, "docs.jsonl"), pairs(chosen))
    write(os.path.join(folder, "docs_dis.jsonl"), texts(others[:12000]))
    write(os.path.join(folder, "sents.jsonl"), pairs(sentences[:6000]))
    write(os.path.join(folder, "sents_dis.jsonl"),
          texts(row for row in rows if row["kind"] in SENTENCES + ("chat-qa",)))


if __name__ == "__main__":
    main()
