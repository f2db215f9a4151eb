"""Batches of token ids: padded, of texts of like length, the same for the same seed."""

import numpy as np
import torch

from wordpiece import CLS, PAD, SEP


def padded(lists, device="cpu"):
    """(ids, mask) of texts, [CLS] and [SEP] added."""
    width = max(len(x) for x in lists) + 2
    ids = np.full((len(lists), width), PAD, np.int64)
    for row, x in zip(ids, lists):
        row[0] = CLS
        row[1:1 + len(x)] = x
        row[1 + len(x)] = SEP
    ids = torch.from_numpy(ids).to(device)
    return ids, ids != PAD


def padded_pairs(firsts, seconds, device="cpu"):
    """(ids, mask, types) of [CLS] first [SEP] second [SEP]."""
    width = max(len(a) + len(b) for a, b in zip(firsts, seconds)) + 3
    ids, types = np.full((len(firsts), width), PAD, np.int64), np.zeros((len(firsts), width), np.int64)
    for row, kind, a, b in zip(ids, types, firsts, seconds):
        row[0], row[1:1 + len(a)], row[1 + len(a)] = CLS, a, SEP
        row[2 + len(a):2 + len(a) + len(b)], row[2 + len(a) + len(b)] = b, SEP
        kind[2 + len(a):3 + len(a) + len(b)] = 1
    ids = torch.from_numpy(ids).to(device)
    return ids, ids != PAD, torch.from_numpy(types).to(device)


def by_length(rows, lengths, tokens, seed, most=256):
    """Lists of rows, of like length, each of about `tokens` tokens with padding and at most `most` rows; in random order."""
    random = np.random.default_rng(seed)
    rows = random.permutation(rows)
    out = []
    for begin in range(0, len(rows), 16384):
        part = rows[begin:begin + 16384]
        part = part[np.argsort(lengths[part], kind="stable")]
        at = len(part)
        while at > 0:
            width = int(lengths[part[at - 1]]) + 2
            take = max(8, min(most, tokens // width))
            out.append(part[max(0, at - take):at])
            at -= take
    random.shuffle(out)
    return out


def autocast(device):
    return torch.autocast(device, dtype=torch.bfloat16)


def encode_all(model, lists, tokens=8192):
    """Unit vectors of texts, float32 [texts x h], in their order."""
    from bert import mean_pool

    device = next(model.parameters()).device
    lengths = np.asarray([len(x) for x in lists])
    order = np.argsort(lengths, kind="stable")
    out = np.zeros((len(lists), model.config["hidden_size"]), np.float32)
    with torch.no_grad(), autocast(device.type):
        at = 0
        while at < len(order):
            take = max(1, tokens // (int(lengths[order[min(len(order) - 1, at + 127)]]) + 2))
            rows = order[at:at + min(128, take)]
            ids, mask = padded([lists[i] for i in rows], device)
            out[rows] = mean_pool(model(ids, mask), mask).cpu().numpy()
            at += len(rows)
    return out
