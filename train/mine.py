"""Hard negatives: what BM25 and the bi-encoder rank high for a query although it is not its passage."""

import numpy as np
import scipy.sparse as sp

K1, B = 0.9, 0.4
FREQUENT = 0.1  # a piece in more than this share of the passages ranks nothing


class Bm25:
    """BM25 over the pieces of the vocabulary, for mining alone (ragd's own index works on analysed terms)."""

    def __init__(self, passages, size):
        lengths = passages.lengths().astype(np.float32)
        rows = np.repeat(np.arange(len(passages)), passages.lengths())
        tf = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, passages.ids[:passages.starts[-1]])), shape=(len(passages), size))
        tf.sum_duplicates()
        df = np.bincount(tf.indices, minlength=size)
        idf = np.log(1 + (len(passages) - df + 0.5) / (df + 0.5)).astype(np.float32)
        idf[df > FREQUENT * len(passages)] = 0
        norm = K1 * (1 - B + B * lengths / lengths.mean())
        tf.data = idf[tf.indices] * tf.data * (K1 + 1) / (tf.data + np.repeat(norm, np.diff(tf.indptr)))
        tf.eliminate_zeros()
        self.columns, self.size = tf.T.tocsr(), size

    def top(self, queries, k):
        """Row numbers of the k best passages of each query [queries x k]; -1 where fewer have a score."""
        out = np.full((len(queries), k), -1, np.int64)
        for begin in range(0, len(queries), 256):
            part = queries[begin:begin + 256]
            rows = np.repeat(np.arange(len(part)), [len(q) for q in part])
            q = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, np.concatenate(part))), shape=(len(part), self.size))
            q.data[:] = 1
            scores = (q @ self.columns).tocsr()
            for i in range(len(part)):
                s = scores.data[scores.indptr[i]:scores.indptr[i + 1]]
                c = scores.indices[scores.indptr[i]:scores.indptr[i + 1]]
                best = np.argpartition(-s, k - 1)[:k] if len(s) > k else np.arange(len(s))
                best = best[np.argsort(-s[best])]
                out[begin + i, :len(best)] = c[best]
        return out


def nearest(queries, passages, k, block=256):
    """The same by dot product of unit vectors."""
    out = np.zeros((len(queries), k), np.int64)
    for begin in range(0, len(queries), block):
        s = queries[begin:begin + block] @ passages.T
        best = np.argpartition(-s, k, axis=1)[:, :k]
        out[begin:begin + block] = np.take_along_axis(best, np.argsort(-np.take_along_axis(s, best, 1), 1), 1)
    return out


def negatives(candidates, gold, texts, random, n, easy=0):
    """n of the candidates (row numbers, -1: none) that are not the gold passage nor equal to it; `easy` of them, and what is missing,
    are random passages."""
    own = texts[gold].tobytes()
    out = [c for c in dict.fromkeys(int(c) for c in candidates) if c >= 0 and c != gold and texts[c].tobytes() != own]
    random.shuffle(out)
    out = out[:n - easy]
    while len(out) < n:
        c = int(random.integers(len(texts)))
        if c != gold:
            out.append(c)
    return out
