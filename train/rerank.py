"""The cross-encoder: reads a question and a passage together and says how well the passage answers.

It begins as the first layers of the trained bi-encoder.  Each question has one right passage and hard negatives that BM25 and the
bi-encoder rank high; the loss is the softmax over the list (listwise, as in Nogueira et al. 2019 and later rerankers).
Questions: (query, passage) pairs, those with few words in common drawn more often, and made-up ones about running text (crops.py).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from batches import autocast, encode_all, padded_pairs
from bert import Bert
from crops import Crops
from mine import Bm25, nearest, negatives
from prepare import TEXT_TOKENS, draw_pairs, flat, load_array, load_texts
from stage import Stage

LIST = 6  # passages of a question: the right one and five others,
EASY = 2  # of which so many are drawn from all: with hard ones alone a model of this size learns next to nothing at first
DEPTH = 24  # ranks that negatives are drawn from
SHARE_OF_CROPS = 0.5


class CrossEncoder(nn.Module):
    """BertForSequenceClassification with one label."""

    def __init__(self, config):
        super().__init__()
        self.bert = Bert(config)
        h = self.bert.config["hidden_size"]
        self.pooler, self.classifier = nn.Linear(h, h), nn.Linear(h, 1)
        nn.init.eye_(self.pooler.weight)
        nn.init.zeros_(self.pooler.bias)
        nn.init.normal_(self.classifier.weight, std=0.02)

    def forward(self, ids, mask, types):
        return self.classifier(torch.tanh(self.pooler(self.bert(ids, mask, types)[:, 0]))).squeeze(-1)

    @staticmethod
    def from_bi_encoder(model, layers):
        out = CrossEncoder({**model.config, "num_hidden_layers": layers})
        own = out.bert.state_dict()
        own.update({k: v for k, v in model.state_dict().items() if k in own})
        out.bert.load_state_dict(own)
        return out


def _mined(queries, passages, gold, bi_encoder, size, seed, log):
    """[(query, gold row, negative rows)]"""
    random = np.random.default_rng(seed)
    log("mining %d questions among %d passages" % (len(queries), len(passages)))
    found = Bm25(passages, size).top(queries, DEPTH)
    if bi_encoder is not None:
        near = nearest(encode_all(bi_encoder, queries), encode_all(bi_encoder, [passages[i] for i in range(len(passages))]), DEPTH // 2)
        found = np.concatenate((found, near), 1)
    return [(q, g, negatives(c, g, passages, random, LIST - 1, EASY)) for q, g, c in zip(queries, gold, found)]


def lists(work, pieces, n, seed, log, bi_encoder=None, held=False):
    """n questions with their passages: [(query, [right, wrong, ...])], half of pairs and half of crops."""
    random = np.random.default_rng(seed)
    path = work + "/pairs.npz"
    q, p, lex, is_held = load_texts(path, "q"), load_texts(path, "p"), load_array(path, "lex"), load_array(path, "held")
    free = np.flatnonzero(is_held == held)
    rows = draw_pairs(random, free, lex, int(n * (1 - SHARE_OF_CROPS)))
    pool = np.unique(np.concatenate((rows, random.choice(free, size=min(len(free), 4 * len(rows)), replace=False))))
    place = {r: i for i, r in enumerate(pool)}
    passages = flat([p[r] for r in pool])
    out = [(a, [passages[g]] + [passages[x] for x in wrong]) for a, g, wrong in
           _mined([q[r] for r in rows], passages, [place[r] for r in rows], bi_encoder, len(pieces.pieces), seed, log)]
    path = work + "/text.npz"
    crops = Crops(load_texts(path, "text"), load_array(path, "source"), pieces, TEXT_TOKENS)
    # The last blocks are kept for measuring; crops of reviews have no right passage worth the name.
    blocks = crops.rows[~crops.loose[crops.rows]]
    blocks = blocks[-len(blocks) // 50:] if held else blocks[:-len(blocks) // 50]
    blocks = random.choice(blocks, size=min(len(blocks), 3 * int(n * SHARE_OF_CROPS)), replace=False)
    made = [crops.draw(b, random) for b in blocks]
    passages = flat([b for _, b in made])
    asked = np.arange(min(len(made), int(n * SHARE_OF_CROPS)))
    out += [(a, [passages[g]] + [passages[x] for x in wrong]) for a, g, wrong in
            _mined([made[i][0] for i in asked], passages, asked, bi_encoder, len(pieces.pieces), seed + 1, log)]
    random.shuffle(out)
    return out


def list_batches(questions, per_step, seed):
    """Row numbers of questions whose passages are about as long, per_step at a time, in random order."""
    order = np.random.default_rng(seed).permutation(len(questions))
    by_width = sorted(order, key=lambda i: (int(np.log2(2 + max(len(b) for b in questions[i][1])) * 2)))
    batches = [by_width[i:i + per_step] for i in range(0, len(by_width), per_step)]
    np.random.default_rng(seed).shuffle(batches)
    return batches


def scores_of(model, questions, device="cpu"):
    """Logits [questions x passages of a list]."""
    ids, mask, types = padded_pairs([a for a, ps in questions for _ in ps], [b for _, ps in questions for b in ps], device)
    with autocast(device):
        s = model(ids, mask, types)
    return s.float().view(len(questions), -1)


def accuracy(model, questions):
    """Share of questions whose right passage has the highest score, and the same of the first half (pairs) alone."""
    model.eval()
    with torch.no_grad():
        hits = [bool(s.argmax() == 0) for i in range(0, len(questions), 16) for s in scores_of(model, questions[i:i + 16])]
    model.train()
    return sum(hits) / max(1, len(hits))


def train(model, work, pieces, bi_encoder, device="cpu", questions=30_000, steps=1_000_000, minutes=0, per_step=16, peak=3e-4,
          table_rate=1.0, seed=1, name="rerank", log=print):
    learn = lists(work, pieces, questions, seed, log, bi_encoder)
    held = lists(work, pieces, min(1000, questions), seed + 10, log, None, held=True)
    batches = list_batches(learn, per_step, seed)

    def batch(step):
        return [learn[i] for i in batches[step % len(batches)]]

    def loss(drawn):
        s = scores_of(model, drawn, device)
        value = F.cross_entropy(s, torch.zeros(len(s), dtype=torch.long, device=s.device))
        # A score is read as a probability too: the right one above a half, the others below.
        target = torch.zeros_like(s)
        target[:, 0] = 1
        point = F.binary_cross_entropy_with_logits(s, target, pos_weight=torch.tensor(float(LIST - 1)))
        return value + 0.2 * point, {"list": value.detach(), "first": (s.argmax(1) == 0).float().mean()}

    stage = Stage(name, work, model.named_parameters(), steps, peak, seed, minutes=minutes, table_rate=table_rate)
    model.train()
    stage.run(model, batch, loss, lambda: {"held_first": round(accuracy(model, held), 4)}, every=50)
    return model
