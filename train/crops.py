"""Made-up questions about running text, for retrieval of what the pairs do not speak of.

A crop is one or two spans of a passage (inverse cloze task, Lee et al. 2019; random cropping, Izacard et al. 2022), some of its words left
out, often with the words of a question behind; the passage may have lost the spans, so that more than the same words must be matched.
"""

import numpy as np

# What Korean questions end with, as people ask of documents.
ENDINGS = ("무엇인가?", "은 무엇인가요?", "는 무엇입니까?", "언제인가?", "은 언제인가요?", "어디인가?", "어디에 있나요?", "누구인가?",
           "누가 했나?", "몇 개인가?", "몇 년인가?", "얼마인가요?", "어떻게 하나요?", "왜 그런가요?", "하는 방법", "이유는?", "알려 줘",
           "에 대해 설명해 주세요", "할 수 있나요?", "해도 되나요?", "어떻게 되나요?", "이란?", "뭐야?", "어느 것인가?", "무슨 뜻인가요?",
           "what is it?", "how to do it?", "when was it?", "where is it?")
SHARE_OF_ENDINGS = 0.5
KEEP = (0.5, 1.0)  # share of a span's words that are kept, drawn between these


class Crops:
    def __init__(self, text, source, pieces, passage_tokens):
        self.text, self.tokens = text, passage_tokens
        self.begins_word = np.asarray([not p.startswith("##") for p in pieces.pieces])
        self.endings = [pieces.encode(e) for e in ENDINGS]
        # Reviews stand side by side by chance: what is around a span says nothing about it.
        self.loose = np.asarray([s.startswith("nsmc") for s in source])
        self.rows = np.flatnonzero(text.lengths() >= 48)

    def _span(self, random, starts, n, longest):
        """(begin, end) of some whole words."""
        first = int(random.integers(len(starts)))
        last = min(len(starts) - 1, first + int(random.integers(2, longest)))
        return int(starts[first]), int(starts[last]) if last > first else n

    def draw(self, row, random):
        """(query ids, passage ids)."""
        ids = self.text[row]
        at = int(random.integers(0, max(1, len(ids) - self.tokens + 1)))
        ids = ids[at:at + self.tokens]
        starts = np.flatnonzero(self.begins_word[ids])
        if len(starts) < 8:
            return ids[:12], ids
        cut = np.zeros(len(ids), bool)
        query = []
        for _ in range(1 + int(random.random() < 0.4)):
            a, b = self._span(random, starts, len(ids), 8)
            keep = random.uniform(*KEEP)
            words = np.split(np.arange(a, b), [s - a for s in starts if a < s < b])
            for word in words:
                if random.random() < keep:
                    query.extend(ids[word])
            cut[a:b] = True
        if len(query) < 2:
            query = list(ids[a:b])
        if random.random() < SHARE_OF_ENDINGS:
            query.extend(self.endings[int(random.integers(len(self.endings)))])
        removed = not self.loose[row] and random.random() < 0.5
        return np.asarray(query[:40], np.uint16), ids[~cut] if removed and (~cut).sum() >= 16 else ids
