"""Turns the training data into flat arrays of token ids, kept as .npz files in the working folder.

A file holds `ids` (uint16, all texts one behind the other) and `starts` (int64, one more than there are texts).  Texts are cut to a
length, without [CLS] and [SEP].  Rows of which `corpus.held_out` keeps the key for measuring go to files of their own.
"""

import os

import numpy as np

import corpus
from wordpiece import WordPiece

MLM_TOKENS = 126  # tokens of a piece of running text
TEXT_TOKENS = 94  # of a passage or a paragraph
QUERY_TOKENS = 46
HELD_OUT = 1.5  # percent of documents and pairs that only measure


class Texts:
    """Token ids of many texts, read-only."""

    def __init__(self, ids, starts):
        self.ids, self.starts = ids, starts

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, i):
        return self.ids[self.starts[i]:self.starts[i + 1]]

    def lengths(self):
        return np.diff(self.starts)


def flat(lists):
    starts = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(x) for x in lists], out=starts[1:])
    ids = np.zeros(starts[-1], np.uint16)
    for x, a in zip(lists, starts):
        ids[a:a + len(x)] = x
    return Texts(ids, starts)


def save(path, **arrays):
    np.savez(path + ".tmp.npz", **arrays)
    os.replace(path + ".tmp.npz", path)


def save_texts(path, named, **more):
    arrays = dict(more)
    for name, texts in named.items():
        arrays[name + "_ids"], arrays[name + "_starts"] = texts.ids, texts.starts
    save(path, **arrays)


def load_texts(path, name):
    with np.load(path, allow_pickle=False) as z:
        return Texts(z[name + "_ids"], z[name + "_starts"])


def load_array(path, name):
    with np.load(path, allow_pickle=False) as z:
        return z[name]


def document_texts(folder):
    """(source group, text) of every permissive section, its title and heading in front."""
    for row in corpus.permissive_rows(folder, "text"):
        head = " ".join(x for x in (row.get("title"), row.get("heading")) if x)
        source = row["source"].split(":")[0]
        if not corpus.held_out(row.get("title") or row["text"][:80], HELD_OUT):
            yield source, (head + "\n" + corpus.mend_blanks(row["text"])).strip()


def running_text(folder, pieces, out, limit_tokens):
    """Pieces of MLM_TOKENS tokens; every source but the largest whole, the largest by a stable sample down to `limit_tokens`."""
    by_source = {}
    for source, text in document_texts(folder):
        by_source.setdefault(source, []).append(pieces.encode(text))
    lists, origin = [], []
    share = limit_tokens / max(1, sum(len(x) for v in by_source.values() for x in v))
    for source in sorted(by_source):
        stream = [t for x in by_source[source] for t in x]
        blocks = [stream[i:i + MLM_TOKENS] for i in range(0, len(stream), MLM_TOKENS)]
        if source == "msdocs" and share < 1:
            blocks = [b for i, b in enumerate(blocks) if corpus.held_out("block %d" % i, 100 * share)]
        blocks = [b for b in blocks if len(b) >= 16]
        lists += blocks
        origin += [source] * len(blocks)
    save_texts(out, {"text": flat(lists)}, source=np.asarray(origin))


def parallel(folder, pieces, out):
    """Korean and English sides; the English texts themselves go to parallel-en.txt, a line each, for the teacher."""
    seen, ko, en, held, texts = set(), [], [], [], []
    for row in corpus.permissive_rows(folder, "parallel"):
        if row["ko"] in seen:
            continue
        seen.add(row["ko"])
        a, b = pieces.encode(corpus.mend_blanks(row["ko"]), TEXT_TOKENS), pieces.encode(row["en"], TEXT_TOKENS)
        if len(a) >= 2 and len(b) >= 1:
            ko.append(a)
            en.append(b)
            texts.append(" ".join(row["en"].split()))
            held.append(corpus.held_out(row["en"], HELD_OUT))
    with open(os.path.join(os.path.dirname(out), "parallel-en.txt"), "w", encoding="utf-8") as f:
        f.writelines(t + "\n" for t in texts)
    save_texts(out, {"ko": flat(ko), "en": flat(en)}, held=np.asarray(held))


def pairs(folder, pieces, out):
    """Permissive (query, positive) pairs; held out by the query, so that no query is on both sides."""
    q, p, lex, held = [], [], [], []
    for row in corpus.permissive_rows(folder, "pairs"):
        query = row["query"].removeprefix("다음에 대한 자세한 정보:").strip()
        a, b = pieces.encode(corpus.mend_blanks(query), QUERY_TOKENS), pieces.encode(corpus.mend_blanks(row["positive"]), TEXT_TOKENS)
        if row["verbatim"] or len(a) < 2 or len(b) < 4:
            continue
        q.append(a)
        p.append(b)
        lex.append(row["lex"])
        held.append(corpus.held_out(query, HELD_OUT))
    save_texts(out, {"q": flat(q), "p": flat(p)}, lex=np.asarray(lex, np.float32), held=np.asarray(held))


def draw_pairs(random, rows, lex, n):
    """At most n of these rows of the pairs, those with few words in common more often."""
    weight = np.clip(1.05 - lex[rows], 0.1, 1.0)
    return random.choice(rows, size=min(len(rows), n), replace=False, p=weight / weight.sum())


def all_of(folder, work, vocabulary, limit_tokens, log):
    pieces = WordPiece.load(vocabulary)
    for name, make in (("parallel.npz", lambda o: parallel(folder, pieces, o)), ("pairs.npz", lambda o: pairs(folder, pieces, o)),
                       ("text.npz", lambda o: running_text(folder, pieces, o, limit_tokens))):
        path = os.path.join(work, name)
        if not os.path.exists(path):
            log("prepare: " + name)
            make(path)
