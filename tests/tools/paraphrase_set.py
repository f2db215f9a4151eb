#!/usr/bin/env python3
"""paraphrase_set.py [--source NAME] [--overlap X] < pairs.jsonl > set.json - a retrieval test of paraphrases, as `ragctl eval` reads it.

Rows are {"query","positive","source"}; texts that rows connect mean the same and make a group. The first text of each group is a
passage, the others are questions that must find it. --overlap leaves out questions of which more than that share of the words (by
spaces, without final punctuation) stands in the passage. ParaKQC (CC BY-SA) has 1,000 groups of ten; it trains nothing that is shipped.
"""

import argparse
import json
import sys


def words(text):
    return {w.rstrip(".,?!~") for w in text.split()} - {""}


def groups(rows):
    """Lists of texts that rows connect, in the order in which they come."""
    parent = {}

    def root(x):
        while parent.setdefault(x, x) != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for row in rows:
        parent[root(row["positive"])] = root(row["query"])
    found = {}
    for text in parent:
        found.setdefault(root(text), []).append(text)
    return [g for g in found.values() if len(g) > 1]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--source", default="parakqc")
    p.add_argument("--overlap", type=float, default=1.0)
    a = p.parse_args()
    rows = [row for row in map(json.loads, sys.stdin) if row["source"] == a.source]
    paragraphs = []
    for i, (passage, *others) in enumerate(groups(rows)):
        have = words(passage)
        asked = [q for q in others if len(words(q) & have) <= a.overlap * max(1, len(words(q)))]
        paragraphs.append({"context": passage, "qas": [{"id": "%d-%d" % (i, j), "question": q,
                                                        "answers": [{"text": passage, "answer_start": 0}]} for j, q in enumerate(asked)]})
    print("%d passages, %d questions" % (len(paragraphs), sum(len(p["qas"]) for p in paragraphs)), file=sys.stderr)
    json.dump({"version": "paraphrases", "data": [{"title": "", "paragraphs": paragraphs}]}, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
