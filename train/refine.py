"""The bi-encoder once more, with hard negatives and with what the cross-encoder says of them.

Each question comes with its right passage and passages that BM25 and the bi-encoder rank high.  Two losses, added:
rank    multiple-negatives ranking over all passages of the batch, on the dimensions of distil.py
follow  the cross-encoder's distribution over the question's own list (Kullback-Leibler, as in Ren et al. 2021, "RocketQAv2"), so that a
        negative that answers as well is not pushed away
"""

import torch
import torch.nn.functional as F

from batches import autocast, padded
from bert import mean_pool
from distil import DIMENSIONS, TEMPERATURE
from rerank import LIST, list_batches, lists, scores_of
from stage import Stage

WARMTH = 2.0  # the cross-encoder's scores are divided by it: it is surer than it should be


def train(model, work, pieces, cross, device="cpu", questions=30_000, steps=1_000_000, minutes=0, per_step=16, peak=4e-5, table_rate=2.0,
          seed=1, name="refine", log=print, measure=None):
    learn = lists(work, pieces, questions, seed + 50, log, model)
    batches = list_batches(learn, per_step, seed + 50)
    cross.eval()

    def batch(step):
        return [learn[i] for i in batches[step % len(batches)]]

    def vectors(texts):
        ids, mask = padded(texts, device)
        with autocast(device):
            hidden = model(ids, mask)
        return mean_pool(hidden, mask)

    def loss(drawn):
        with torch.no_grad():
            wanted = F.softmax(scores_of(cross, drawn, device) / WARMTH, 1)
        q, p = vectors([a for a, _ in drawn]), vectors([b for _, ps in drawn for b in ps])
        own = torch.arange(len(drawn), device=q.device) * LIST
        ranked = 0
        for d in DIMENSIONS:
            ranked = ranked + F.cross_entropy(F.normalize(q[:, :d], dim=-1) @ F.normalize(p[:, :d], dim=-1).T / TEMPERATURE, own)
        ranked = ranked / len(DIMENSIONS)
        near = (q[:, None, :] * p.view(len(drawn), LIST, -1)).sum(2) / TEMPERATURE
        follow = F.kl_div(F.log_softmax(near, 1), wanted, reduction="batchmean")
        return ranked + follow, {"rank": ranked.detach(), "follow": follow.detach(), "first": (near.argmax(1) == 0).float().mean()}

    stage = Stage(name, work, model.named_parameters(), steps, peak, seed, minutes=minutes, table_rate=table_rate)
    model.train()
    stage.run(model, batch, loss, measure, every=50)
    return model
