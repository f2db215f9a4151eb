"""Development figures of a bi-encoder, on data that no shipped weights are trained on.

parallel   Korean paragraph -> its English one among all held-out ones, and the reverse (hit@1)
pairs      held-out query -> its passage among the held-out passages (hit@1, hit@10, MRR@10), and of pairs with few words in common
paraphrase ParaKQC question -> another of its group among one of each group and as many others (hit@1, MRR@10); share-alike, so never
           trained on
sts        Spearman's rank correlation of cosine and human score: KorSTS dev
KorQuAD, KLUE-STS and the demo questions are measured by `ragctl eval` and at the end alone, never here.
"""

import numpy as np
import torch
from scipy.stats import spearmanr

import corpus
from batches import encode_all
from prepare import QUERY_TOKENS, load_array, load_texts


def ranks(queries, passages, gold):
    """Rank from 1 of passage gold[i] for query i, by dot product; ties rank the gold last."""
    out = []
    for begin in range(0, len(queries), 512):
        s = queries[begin:begin + 512] @ passages.T
        g = s[np.arange(len(s)), gold[begin:begin + 512]]
        out.append((s >= g[:, None]).sum(1))
    return np.concatenate(out)


def figures(r):
    return {"hit_at_1": round(float((r <= 1).mean()), 4), "hit_at_10": round(float((r <= 10).mean()), 4),
            "mrr_at_10": round(float(np.where(r <= 10, 1 / r, 0).mean()), 4), "queries": int(len(r))}


def bi_encoder(model, pieces, data, work, limit=4000):
    """A dict of figures; at most `limit` queries of each kind."""
    model.eval()
    out = {}

    def vectors(lists):
        return encode_all(model, lists)

    with torch.no_grad():
        path = work + "/parallel.npz"
        held = np.flatnonzero(load_array(path, "held"))[:limit]
        ko, en = load_texts(path, "ko"), load_texts(path, "en")
        if len(held):
            a, b = vectors([ko[i] for i in held]), vectors([en[i] for i in held])
            out["ko_to_en"], out["en_to_ko"] = (float((ranks(x, y, np.arange(len(held))) == 1).mean()) for x, y in ((a, b), (b, a)))
        path = work + "/pairs.npz"
        held = np.flatnonzero(load_array(path, "held"))[:limit]
        q, p, lex = load_texts(path, "q"), load_texts(path, "p"), load_array(path, "lex")[held]
        if len(held):
            r = ranks(vectors([q[i] for i in held]), vectors([p[i] for i in held]), np.arange(len(held)))
            out["pairs"] = figures(r)
            out["pairs_lex_below_.4"] = figures(r[lex < 0.4])
        groups = [(r["query"], r["positive"]) for path in corpus.find(data, "pairs") for r in corpus.rows(path)
                  if r["source"] == "parakqc"][::6][:limit]
        if groups:
            a, b = (vectors([pieces.encode(x, QUERY_TOKENS) for x in side]) for side in zip(*groups))
            out["paraphrase"] = figures(ranks(a, b, np.arange(len(groups))))
        sts = [r for path in corpus.find(data, "sts") for r in corpus.rows(path) if r["split"] == "dev"]
        if sts:
            a, b = (vectors([pieces.encode(r[k], QUERY_TOKENS) for r in sts]) for k in "ab")
            out["korsts_dev"] = round(float(spearmanr((a * b).sum(1), [r["score0_5"] for r in sts])[0]), 4)
    model.train()
    return out
