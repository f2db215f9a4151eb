"""The bi-encoder learns the English teacher's space for Korean, and retrieval, at the same time.

Each step does one of four tasks, drawn by its number:
distil   a Korean text's vector is drawn to the teacher's vector of its English translation: 1 - cosine, and the multiple-negatives
         ranking loss among the batch's translations (Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual")
retain   the same for the English text itself, so that English stays where it was
rank     multiple-negatives ranking (Henderson et al. 2017) of (query, passage) pairs, those with few words in common drawn more often,
         on the first 384, 256, 128 and 64 dimensions (Matryoshka, Kusupati et al. 2022)
crop     the same for spans of running text and the passages that they are from (crops.py)
"""

import numpy as np
import torch
import torch.nn.functional as F

from batches import autocast, by_length, padded
from bert import mean_pool
from crops import Crops
from prepare import draw_pairs, load_array, load_texts
from stage import Stage

TEMPERATURE = 0.05
TASKS = (("distil", 0.2), ("retain", 0.05), ("rank", 0.3), ("crop", 0.45))
CROP_TOKENS = 64  # of a passage that a crop is looked for in: short ones make room for more wrong passages in a batch
DIMENSIONS = (384, 256, 128, 64)


def ranking_loss(a, b, same=None):
    """-log of the share of row i's own column among all columns, in both directions; `same` [n x n] is true where column j is as good
    as the own one for row i (equal texts) and is left out."""
    scores = a @ b.T / TEMPERATURE
    if same is not None:
        scores = scores.masked_fill(same & ~torch.eye(len(scores), dtype=torch.bool, device=scores.device), -1e4)
    own = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2


def matryoshka_loss(a, b, same=None):
    return sum(ranking_loss(F.normalize(a[:, :d], dim=-1), F.normalize(b[:, :d], dim=-1), same) for d in DIMENSIONS) / len(DIMENSIONS)


def equal_rows(texts, rows):
    """[n x n] true where two texts are the same."""
    keys = [texts[r].tobytes() for r in rows]
    number = {k: i for i, k in enumerate(dict.fromkeys(keys))}
    n = torch.tensor([number[k] for k in keys])
    return n[:, None] == n[None, :]


def train(model, work, teacher, pieces, device="cpu", steps=1_000_000, minutes=0, tokens=8192, peak=1e-4, table_rate=5.0, seed=1, name="distil",
          measure=None, tasks=TASKS):
    """`teacher`: float16 [parallel rows x h], the teacher's vectors of the English sides."""
    path = work + "/parallel.npz"
    ko, en, learn = load_texts(path, "ko"), load_texts(path, "en"), np.flatnonzero(~load_array(path, "held"))
    path = work + "/pairs.npz"
    q, p = load_texts(path, "q"), load_texts(path, "p")
    lex, free = load_array(path, "lex"), np.flatnonzero(~load_array(path, "held"))
    path = work + "/text.npz"
    crops = Crops(load_texts(path, "text"), load_array(path, "source"), pieces, CROP_TOKENS)
    queues = {}

    def rows_of(task):
        """The next batch of a task; a pass over its data is laid out by the seed and the pass's number."""
        queue = queues.setdefault(task, {"pass": 0, "batches": []})
        if not queue["batches"]:
            number = seed * 1000 + queue["pass"]
            if task == "crop":
                rows = np.random.default_rng(number).permutation(crops.rows)
                size = max(8, tokens // (CROP_TOKENS + 16))
                queue["batches"] = [rows[i:i + size] for i in range(0, len(rows) - size + 1, size)]
                queue["pass"] += 1
                return queue["batches"].pop()
            if task == "rank":
                random = np.random.default_rng(number)
                drawn = draw_pairs(random, free, lex, 65536)
                lengths = q.lengths() + p.lengths() + 2
            else:
                drawn, lengths = learn, (ko if task == "distil" else en).lengths()
            queue["batches"] = by_length(drawn, lengths, tokens, number, most=384)
            queue["pass"] += 1
        return queue["batches"].pop()

    def batch(step):
        task = np.random.default_rng(seed * 7919 + step).choice([t for t, _ in tasks], p=[w for _, w in tasks])
        return task, rows_of(task), step

    def vectors(texts, rows):
        ids, mask = padded([texts[r] for r in rows], device)
        with autocast(device):
            hidden = model(ids, mask)
        return mean_pool(hidden, mask)

    def loss(drawn):
        task, rows, step = drawn
        if task == "crop":
            random = np.random.default_rng(seed * 104_729 + step)
            made = [crops.draw(r, random) for r in rows]
            value = matryoshka_loss(vectors([a for a, _ in made], range(len(made))), vectors([b for _, b in made], range(len(made))))
            return value, {"crop": value.detach()}
        if task == "rank":
            value = matryoshka_loss(vectors(q, rows), vectors(p, rows), equal_rows(p, rows) | equal_rows(q, rows))
            return value, {"rank": value.detach()}
        target = torch.from_numpy(teacher[rows].astype(np.float32)).to(device)
        found = vectors(ko if task == "distil" else en, rows)
        near = (1 - (found * target).sum(1)).mean()
        value = 3 * near + 0.3 * ranking_loss(found, target, equal_rows(en, rows))
        return value, {task: near.detach()}

    stage = Stage(name, work, model.named_parameters(), steps, peak, seed, minutes=minutes, table_rate=table_rate)
    model.train()
    stage.run(model, batch, loss, measure, every=50)
    return model
