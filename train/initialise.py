"""First values of the Korean word embeddings, in the space of the English teacher's.

The body of the encoder starts as the teacher's, whose layers already compose meanings; what it lacks is Korean words.  Two steps give
them a place near their English counterparts, so that training begins with something that works (the idea of WECHSEL, Minixhofer et al.
2022, and FOCUS, Dobler and de Melo 2023, with a parallel corpus in place of a dictionary):

1. A Korean piece that occurs often in the parallel corpus gets the mean of the English pieces that it occurs with, weighted by how much
   more often than by chance (log-likelihood ratio, Dunning 1993).
2. All others get what a linear map makes of their distributional vector (PPMI of neighbours in running Korean text, reduced by a
   truncated SVD: Levy and Goldberg 2014); the map is the ridge regression over the pieces of step 1.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

ENOUGH = 20  # parallel pairs with a piece, from which step 1 believes
BEST = 8  # English pieces that it averages
WINDOW = 4  # tokens on each side that count as neighbours
STATIC = 192  # dimensions of the distributional vectors


def _incidence(texts, rows, columns):
    """Sparse 0/1 matrix [texts x pieces]."""
    lengths = texts.lengths()[rows]
    where = np.repeat(np.arange(len(rows)), lengths)
    ids = np.concatenate([texts[r] for r in rows]) if len(rows) else np.zeros(0, int)
    m = sp.csr_matrix((np.ones(len(ids), np.float32), (where, ids)), shape=(len(rows), columns))
    m.data[:] = 1
    return m


def _translations(ko, en, rows, size):
    """Sparse [pieces x pieces]: weight of each English piece for each Korean piece; and how often each Korean piece occurs."""
    a, b = _incidence(ko, rows, size), _incidence(en, rows, size)
    both = (a.T @ b).tocoo()
    n, na, nb = float(len(rows)), np.asarray(a.sum(0)).ravel(), np.asarray(b.sum(0)).ravel()
    k11 = both.data.astype(np.float64)
    k12, k21 = na[both.row] - k11, nb[both.col] - k11
    k22 = n - k11 - k12 - k21

    def part(k, row, col):
        return np.where(k > 0, k * np.log(np.maximum(k, 1e-9) * n / np.maximum(row * col, 1e-9)), 0)

    llr = part(k11, k11 + k12, k11 + k21) + part(k12, k11 + k12, k12 + k22) + part(k21, k21 + k22, k11 + k21) \
        + part(k22, k21 + k22, k12 + k22)
    # An English piece that is no more likely beside the Korean one is no translation; a rare one by chance neither.
    dice = 2 * k11 / (na[both.row] + nb[both.col])
    keep = (k11 * n > 2 * na[both.row] * nb[both.col]) & (k11 >= 5)
    return sp.csr_matrix((llr[keep] * dice[keep], (both.row[keep], both.col[keep])), shape=(size, size)), na


def _distribution(text, size):
    """[pieces x STATIC]: truncated SVD of the positive pointwise mutual information of neighbours."""
    ids = text.ids.astype(np.int64)
    counts = sp.csr_matrix((size, size), dtype=np.float32)
    for distance in range(1, WINDOW + 1):
        key = ids[:-distance] * size + ids[distance:]
        found, n = np.unique(key, return_counts=True)
        counts = counts + sp.csr_matrix((n.astype(np.float32) / distance, (found // size, found % size)), shape=(size, size))
    counts = counts + counts.T
    counts = counts.tocoo()
    row = np.asarray(counts.sum(1)).ravel()
    context = row ** 0.75
    pmi = np.log(counts.data * context.sum() / (row[counts.row] * context[counts.col]))
    keep = (pmi > 0) & (counts.data >= 2)
    ppmi = sp.csr_matrix((pmi[keep].astype(np.float32), (counts.row[keep], counts.col[keep])), shape=(size, size))
    u, s, _ = svds(ppmi, k=min(STATIC, size // 64), random_state=0)
    return u * np.sqrt(s), row


def embeddings(pieces, teacher_pieces, teacher_table, ko, en, rows, text, log):
    """float32 [pieces x h] from the teacher's table [teacher's pieces x h]."""
    size, h = len(pieces.pieces), teacher_table.shape[1]
    own = {p: i for i, p in enumerate(teacher_pieces.pieces)}
    table = np.zeros((size, h), np.float32)
    known = np.zeros(size, bool)
    for i, p in enumerate(pieces.pieces):
        if p in own:
            table[i], known[i] = teacher_table[own[p]], True
    middle, spread = table[known].mean(0), table[known].std()
    foreign = ~known
    weights, seen = _translations(ko, en, rows, size)
    weights = weights.tolil()
    translated = np.zeros(size, bool)
    for i in np.flatnonzero(foreign & (seen >= ENOUGH)):
        columns, values = np.asarray(weights.rows[i]), np.asarray(weights.data[i])
        ok = known[columns] if len(columns) else np.zeros(0, bool)
        columns, values = columns[ok], values[ok]
        if len(columns) == 0:
            continue
        best = np.argsort(-values)[:BEST]
        table[i] = (values[best, None] * table[columns[best]]).sum(0) / values[best].sum()
        translated[i] = True
    static, often = _distribution(text, size)
    static = static / np.maximum(np.linalg.norm(static, axis=1, keepdims=True), 1e-6)
    learn = translated & (often >= 50)
    x, y = static[learn], table[learn] - middle
    w = np.linalg.solve(x.T @ x + 1e-2 * len(x) * np.eye(x.shape[1]) / x.shape[1], x.T @ y)
    rest = foreign & ~translated
    mapped = static[rest] @ w
    scale = np.linalg.norm(y, axis=1).mean() / max(1e-6, np.linalg.norm(mapped, axis=1).mean())
    table[rest] = middle + mapped * scale
    # Pieces that occur nowhere keep the middle and a little noise, so that they differ.
    nowhere = rest & (often == 0)
    table[nowhere] = middle + np.random.default_rng(0).normal(0, 0.3 * spread, (int(nowhere.sum()), h))
    log("initialise: %d pieces of the teacher, %d translated, %d mapped, %d nowhere seen"
        % (known.sum(), translated.sum(), rest.sum() - nowhere.sum(), nowhere.sum()))
    return table
