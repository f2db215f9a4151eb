"""Masked-language-model training on running Korean text (Devlin et al. 2019).

A third of the pieces of a passage are hidden, whole words at a time, and read off the hidden states through the word table itself.
With the teacher's body this is what teaches the Korean words that the parallel text does not have; from random weights it is the first
stage of all.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from batches import autocast, padded
from prepare import load_texts
from stage import Stage
from wordpiece import MASK, SPECIAL

HIDDEN = 0.3  # share of the pieces; more than BERT's .15 is better for small budgets (Wettig et al. 2023)


class MaskedModel(nn.Module):
    def __init__(self, bert):
        super().__init__()
        self.bert = bert
        h = bert.config["hidden_size"]
        self.dense, self.norm = nn.Linear(h, h), nn.LayerNorm(h)
        self.bias = nn.Parameter(torch.zeros(bert.config["vocab_size"]))

    def forward(self, ids, mask, where):
        """Logits of the pieces at the places where `where` is true."""
        hidden = self.bert(ids, mask)[where]
        return F.linear(self.norm(F.gelu(self.dense(hidden)).float()), self.bert.words.weight, self.bias.to(hidden.dtype))


def hide(ids, begins_word, size, random):
    """(ids with some words hidden, places): of the chosen pieces 8 of 10 become [MASK], one another piece, one stays."""
    word = np.cumsum(begins_word[ids], 1)
    chosen = np.zeros(ids.shape, bool)
    for row, words, out in zip(ids, word, chosen):
        out[:] = (random.random(words[-1] + 1) < HIDDEN)[words] & (row >= len(SPECIAL))
    kind = random.random(ids.shape)
    hidden = np.where(chosen & (kind < 0.8), MASK, ids)
    return np.where(chosen & (kind >= 0.9), random.integers(len(SPECIAL), size, ids.shape), hidden), chosen


def train(model, work, pieces, device="cpu", steps=1_000_000, minutes=0, tokens=8192, peak=2e-4, table_rate=3.0, seed=1, name="mlm"):
    """`model`: a Bert, trained in place."""
    text = load_texts(work + "/text.npz", "text")
    begins_word = np.asarray([not p.startswith("##") for p in pieces.pieces])
    per_step = max(8, tokens // (int(text.lengths().max()) + 2))
    order = np.random.default_rng(seed).permutation(len(text))
    masked = MaskedModel(model).to(device)

    def batch(step):
        return [text[order[i % len(order)]] for i in range(step * per_step, (step + 1) * per_step)], step

    def loss(drawn):
        lists, step = drawn
        ids, mask = padded(lists)
        shown, where = hide(ids.numpy(), begins_word, len(pieces.pieces), np.random.default_rng(seed * 15_485_863 + step))
        where = torch.from_numpy(where).to(device)
        with autocast(device):
            logits = masked(torch.from_numpy(shown).to(device), mask.to(device), where)
        value = F.cross_entropy(logits.float(), ids.to(device)[where])
        return value, {"loss": value.detach(), "right": (logits.argmax(-1) == ids.to(device)[where]).float().mean()}

    Stage(name, work, masked.named_parameters(), steps, peak, seed, minutes=minutes, table_rate=table_rate).run(masked, batch, loss, every=50)
    return model
