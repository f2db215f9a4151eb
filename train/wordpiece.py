"""The vocabulary of the built-in models: WordPiece over Korean and English.

Hangul pieces are learned here (SentencePiece's BPE over the runs of Hangul of the corpus); Latin pieces, digits and signs are those of the
English teacher that the corpus uses, so that an English text is cut as the teacher cuts it.  What `encode` returns is what Hugging Face
tokenizers, and ragd, return for the tokenizer.json that `save` writes.
"""

import collections
import json
import os
import re
import sys
import tempfile
import unicodedata

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PAD, UNK, CLS, SEP, MASK = range(5)
LONGEST_WORD = 100  # code points; a longer word is [UNK], as in BERT
LONGEST_PIECE = 4  # syllables of a learned Hangul piece: longer ones are inflected forms of the corpus's own subject
RUNS = 300_000  # most frequent runs of Hangul that BPE learns from; what is rarer changes no merge
FLATTEN = 0.75  # exponent of a run's count, so that the words of one large source do not fill the vocabulary

HANGUL = re.compile("[가-힣]+")


def _is_ideograph(c):
    """The blocks that BERT puts spaces around."""
    return (0x4E00 <= c <= 0x9FFF or 0x3400 <= c <= 0x4DBF or 0x20000 <= c <= 0x2A6DF or 0x2A700 <= c <= 0x2B73F
            or 0x2B740 <= c <= 0x2B81F or 0x2B820 <= c <= 0x2CEAF or 0xF900 <= c <= 0xFAFF or 0x2F800 <= c <= 0x2FA1F)


class _Cuts(dict):
    """str.translate table of BertNormalizer's clean_text and BertPreTokenizer: what is a word by itself gets spaces around it."""

    def __missing__(self, c):
        ch = chr(c)
        category = unicodedata.category(ch)
        if ch in "\t\n\r" or category == "Zs" or ch.isspace():
            out = " "
        elif c == 0 or c == 0xFFFD or category in ("Cc", "Cf", "Cn", "Co", "Cs"):
            out = ""
        elif _is_ideograph(c) or category.startswith("P") or (c < 128 and not ch.isalnum()):
            out = " " + ch + " "
        else:
            out = ch
        self[c] = out
        return out


_CUTS = _Cuts()


def words(text):
    """The words of a text after NFC, cleaning and lower case."""
    return unicodedata.normalize("NFC", text).translate(_CUTS).lower().split()


class WordPiece:
    def __init__(self, pieces):
        self.pieces = pieces
        self.ids = {p: i for i, p in enumerate(pieces)}
        self._cache = {}

    def _word(self, word):
        if len(word) > LONGEST_WORD:
            return (UNK,)
        out, at = [], 0
        while at < len(word):
            prefix = "##" if at else ""
            for end in range(len(word), at, -1):
                piece = self.ids.get(prefix + word[at:end])
                if piece is not None:
                    break
            else:
                return (UNK,)
            out.append(piece)
            at = end
        return tuple(out)

    def encode(self, text, limit=None):
        """Ids without [CLS] and [SEP], at most `limit`."""
        out = []
        for word in words(text):
            ids = self._cache.get(word)
            if ids is None:
                ids = self._word(word)
                if len(self._cache) < 2_000_000:
                    self._cache[word] = ids
            out.extend(ids)
            if limit is not None and len(out) >= limit:
                return out[:limit]
        return out

    def save(self, path, max_length):
        def special(name):
            return {"id": self.ids[name], "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                    "normalized": False, "special": True}

        def seq(name, type_id):
            return {"Sequence": {"id": name, "type_id": type_id}}

        def mark(name, type_id):
            return {"SpecialToken": {"id": name, "type_id": type_id}}

        doc = {
            "version": "1.0",
            "truncation": {"direction": "Right", "max_length": max_length, "strategy": "LongestFirst", "stride": 0},
            "padding": None,
            "added_tokens": [special(s) for s in SPECIAL],
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "NFC"},
                {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": False, "lowercase": True}]},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [mark("[CLS]", 0), seq("A", 0), mark("[SEP]", 0)],
                "pair": [mark("[CLS]", 0), seq("A", 0), mark("[SEP]", 0), seq("B", 1), mark("[SEP]", 1)],
                "special_tokens": {s: {"id": s, "ids": [self.ids[s]], "tokens": [s]} for s in ("[CLS]", "[SEP]")}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": LONGEST_WORD, "vocab": self.ids},
        }
        with open(path, "w", encoding="utf-8") as f:
            json.dump(doc, f, ensure_ascii=False, indent=1)

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            vocab = json.load(f)["model"]["vocab"]
        return WordPiece([p for p, _ in sorted(vocab.items(), key=lambda x: x[1])])


def _hangul_pieces(counts, size):
    """BPE over runs of Hangul, learned by SentencePiece; pieces come in the order of their merges."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as tmp:
        with open(tmp + "/runs.tsv", "w", encoding="utf-8") as f:
            for run, n in counts.most_common(RUNS):
                f.write("%s\t%d\n" % (run, n))
        while True:
            try:
                sentencepiece.SentencePieceTrainer.train(
                    input=tmp + "/runs.tsv", input_format="tsv", model_prefix=tmp + "/bpe", model_type="bpe", vocab_size=size,
                    character_coverage=1.0, normalization_rule_name="identity", max_sentencepiece_length=LONGEST_PIECE + 1,
                    num_threads=os.cpu_count(), minloglevel=2)
                break
            except RuntimeError:  # a small corpus has fewer pieces than asked for
                if size < 64:
                    raise
                size = size * 3 // 4
        model = sentencepiece.SentencePieceProcessor(model_file=tmp + "/bpe.model")
        learned = [model.id_to_piece(i) for i in range(model.get_piece_size())]
    for piece in learned:
        if HANGUL.fullmatch(piece):
            yield "##" + piece
        elif piece.startswith("▁") and HANGUL.fullmatch(piece[1:]):
            yield piece[1:]


def learn(groups, teacher, hangul_size, latin_size):
    """`groups`: lists of (weight, iterable of texts), each group counting by its weight whatever its size.  `teacher`: the English
    WordPiece whose pieces are taken over.  Returns a WordPiece with about hangul_size + latin_size pieces."""
    runs, latin = collections.Counter(), collections.Counter()
    for weight, texts in groups:
        found = collections.Counter()
        for text in texts:
            found.update(words(text))
        total = sum(found.values()) or 1
        for word, n in found.items():
            share = weight * n / total
            for run in HANGUL.findall(word):
                runs[run] += share
            for rest in HANGUL.sub(" ", word).split():
                for piece in teacher._word(rest):
                    latin[piece] += share
    scale = 1e8 / max(runs.values())
    counts = collections.Counter({r: int((n * scale) ** FLATTEN) for r, n in runs.items() if n * scale >= 1})
    syllables = sorted({c for r in counts for c in r} | {c for c in map(chr, range(0xAC00, 0xD7A4))
                                                        if len(c.encode("euc_kr", "ignore")) == 2})
    hangul = dict.fromkeys(syllables)
    hangul.update(dict.fromkeys("##" + s for s in syllables))
    for piece in _hangul_pieces(counts, hangul_size):
        if len(hangul) >= hangul_size:
            break
        hangul[piece] = None
    # Every character of the teacher stays, so that no Latin word becomes [UNK]; then its pieces by their use.
    kept = {p for p in teacher.pieces if p not in SPECIAL and not p.startswith("[unused") and len(p.replace("##", "")) == 1}
    for piece, _ in latin.most_common():
        if len(kept) >= latin_size:
            break
        if teacher.pieces[piece] not in SPECIAL:
            kept.add(teacher.pieces[piece])
    pieces = SPECIAL + [p for p in teacher.pieces if p in kept] + [p for p in hangul if p not in kept]
    print("vocabulary: %d pieces, %d of them Hangul" % (len(pieces), len(hangul)), file=sys.stderr)
    return WordPiece(pieces)
