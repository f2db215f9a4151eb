"""Made-up training data and a tiny random teacher, so that the whole recipe can be tried in minutes without any download."""

import json
import os
import random

import numpy as np

import bert
import export
from wordpiece import SPECIAL, WordPiece

# (Korean, English) words of a made-up company; sentences are put together from them.
WHO = (("직원", "employee"), ("팀장", "manager"), ("고객", "customer"), ("신입 사원", "new hire"), ("보안팀", "security team"),
       ("개발자", "developer"), ("회계팀", "accounting"), ("관리자", "administrator"))
WHAT = (("휴가", "leave"), ("비밀번호", "password"), ("노트북", "laptop"), ("출장비", "travel expense"), ("보고서", "report"),
        ("서버", "server"), ("계약서", "contract"), ("백업", "backup"), ("회의실", "meeting room"), ("출입증", "badge"))
DO = (("신청한다", "requests"), ("변경한다", "changes"), ("반납한다", "returns"), ("승인한다", "approves"), ("삭제한다", "deletes"),
      ("복구한다", "restores"))
WHEN = (("매달", "every month"), ("내일", "tomorrow"), ("금요일까지", "by friday"), ("입사 후", "after joining"), ("3일 안에", "within 3 days"))


def _sentence(r):
    who, what, do, when = r.choice(WHO), r.choice(WHAT), r.choice(DO), r.choice(WHEN)
    return ("%s은 %s %s 문서를 %s." % (who[0], when[0], what[0], do[0]), "the %s %s the %s %s." % (who[1], do[1], what[1], when[1]),
            "%s %s" % (what[0], do[0][:-2]))


def _lines(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _teacher(folder):
    """One random layer of 64 over the letters and words of the English side."""
    words = sorted({w for group in (WHO, WHAT, DO, WHEN) for _, en in group for w in en.split()} | {"the", "."})
    letters = [c for c in "abcdefghijklmnopqrstuvwxyz0123456789"]
    pieces = WordPiece(SPECIAL + letters + ["##" + c for c in letters] + [w for w in words if len(w) > 1] + ["."])
    import torch

    torch.manual_seed(0)
    model = bert.Bert({"vocab_size": len(pieces.pieces), "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2,
                       "num_hidden_layers": 1, "max_position_embeddings": 128})
    with torch.no_grad():
        model.words.weight.mul_(20)
    export.bi_encoder(model, pieces, folder, 128)


def write(folder, n=1500):
    """(data folder, teacher's folder)"""
    teacher = os.path.join(folder, "teacher")
    if os.path.exists(os.path.join(folder, "sts.jsonl")):
        return folder, teacher
    os.makedirs(folder, exist_ok=True)
    r = random.Random(1)
    _teacher(teacher)
    made = [_sentence(r) for _ in range(n)]
    mark = {"source": "made-up", "license": "CC0-1.0"}
    _lines(os.path.join(folder, "text.jsonl"),
           ({**mark, "title": "규정 %d" % i, "heading": "", "text": " ".join(_sentence(r)[0] for _ in range(20))} for i in range(n // 5)))
    _lines(os.path.join(folder, "parallel.jsonl"), ({**mark, "ko": ko, "en": en, "kind": "para"} for ko, en, _ in made))
    _lines(os.path.join(folder, "pairs.jsonl"),
           ({**mark, "query": q, "positive": ko + " " + r.choice(made)[0], "kind": "heading-section", "lex": 0.5, "verbatim": False}
            for ko, _, q in made))
    scores = np.random.default_rng(1).integers(0, 6, 60)
    _lines(os.path.join(folder, "sts.jsonl"),
           ({"a": made[i][0], "b": made[i + 1][0], "score0_5": float(s), "split": "dev", "source": "made-up"} for i, s in enumerate(scores)))
    return folder, teacher
