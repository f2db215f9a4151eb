#!/usr/bin/env python3
"""sts_spearman.py RAGCTL MODEL FILE... - Spearman's rank correlation of cosine and human score, by ragd's own encoder.

FILE: JSON lines {"a","b","score0_5","split","source"}. A figure for each split, of KLUE-STS dev only the rows that are not from ParaKQC
and, beside it, all of them. Ties have their mean rank. The last line is one JSON object.
"""

import json
import math
import subprocess
import sys
import tempfile

BATCH = 4096  # texts per call


def vectors(ragctl, model, texts):
    out = []
    for begin in range(0, len(texts), BATCH):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
            f.writelines(json.dumps({"text": t}) + "\n" for t in texts[begin:begin + BATCH])
            f.flush()
            done = subprocess.run([ragctl, "model", "embed", model, "--file", f.name, "--json"], capture_output=True, check=True)
        out += json.loads(done.stdout)["embeddings"]
    return out


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and values[order[end]] == values[order[at]]:
            end += 1
        for i in order[at:end]:
            out[i] = (at + end - 1) / 2
        at = end
    return out


def spearman(x, y):
    x, y = ranks(x), ranks(y)
    mx, my = sum(x) / len(x), sum(y) / len(y)
    both = sum((a - mx) * (b - my) for a, b in zip(x, y))
    return both / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    rows = [json.loads(line) for path in sys.argv[3:] for line in open(path, encoding="utf-8")]
    sets = {"korsts_dev": [r for r in rows if r["split"] == "dev"], "korsts_test": [r for r in rows if r["split"] == "test"],
            "klue_sts_dev": [r for r in rows if r["split"] == "klue_dev" and "paraKQC" not in r["source"]],
            "klue_sts_dev_all": [r for r in rows if r["split"] == "klue_dev"]}
    result = {"bench": "sts", "model": sys.argv[2]}
    for name, part in sets.items():
        if not part:
            continue
        found = vectors(sys.argv[1], sys.argv[2], [r[k] for r in part for k in "ab"])
        near = [sum(p * q for p, q in zip(found[2 * i], found[2 * i + 1])) for i in range(len(part))]
        result[name] = round(spearman(near, [r["score0_5"] for r in part]), 4)
        result[name + "_pairs"] = len(part)
        print("%-18s %.4f of %d pairs" % (name, result[name], len(part)))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
