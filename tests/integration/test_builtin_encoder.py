#!/usr/bin/env python3
"""The encoder that comes with ragd, as the default configuration has it: it is found, its card and size are as promised, it finds
by meaning what words do not, in Korean and across languages, and its first dimensions work alone.

    test_builtin_encoder.py BUILD_DIR"""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "etc" / "models" / "ragd-ko-embed"

TEXTS = {
    "install": "The setup program copies the files to the disk and restarts the computer when it is done.",
    "backup": "데이터베이스를 백업하려면 관리자 권한으로 명령을 실행하고 저장할 폴더를 지정합니다.",
    "password": "암호를 잊어버린 사용자는 로그인 화면에서 재설정 링크를 눌러 새로운 암호를 만듭니다.",
    "print": "인쇄할 때 용지 크기와 방향을 고르고 미리 보기에서 여백을 확인합니다.",
    "network": "네트워크 연결이 끊어지면 클라이언트는 서버에 다시 접속하려고 시도합니다.",
    "function": "이 함수는 두 개의 인수를 받아 더 큰 값을 돌려줍니다.",
    "film": "배우들의 연기가 훌륭하고 음악도 좋아서 두 번이나 본 영화입니다.",
    "memory": "메모리가 부족하면 프로그램이 느려지므로 사용하지 않는 창을 닫으십시오.",
}
# what is asked, with next to no word of the text that answers it
QUESTIONS = {"비밀번호를 까먹었어요": "password", "how do I save a copy of the database?": "backup", "프로그램 설치": "install",
             "컴퓨터가 버벅거려요": "memory", "프린터로 출력하기": "print", "the movie was great": "film"}


def mrr(ranks):
    return sum(1 / r for r in ranks.values()) / len(ranks)


class BuiltinEncoder(unittest.TestCase):
    def run_with(self, models, mode):
        """Ranks from 1 of the right text for each question."""
        ranks = {}
        with Ragd(BUILD, config="[models]\n" + models) as ragd:
            self.assertEqual(ragd.call("PUT", "/v1/collections/c", {})[0], 201)
            for name, text in TEXTS.items():
                status, reply = ragd.call("PUT", ragd.document("c", name), text, "text/plain")
                self.assertEqual(status, 201, reply)
            for question, wanted in QUESTIONS.items():
                status, reply = ragd.call("POST", "/v1/search", {"collection": "c", "query": question, "mode": mode, "top_k": 8})
                self.assertEqual(status, 200, reply)
                self.reranker = reply["reranker"]
                names = [r["document"] for r in reply["results"]]
                ranks[question] = names.index(wanted) + 1 if wanted in names else 99
            self.shown = ragd.call("GET", "/v1/collections/c")[1]
        return ranks

    def test_it_is_the_default_and_finds_by_meaning(self):
        ranks = self.run_with("embedder = default\n", "dense")
        self.assertIn("ragd-ko-embed", self.shown["vectors"]["embedder"])
        self.assertGreaterEqual(mrr(ranks), 0.75, ranks)  # .79 when this was written: it is at a loss for "까먹다"

    def test_the_first_dimensions_work_alone(self):
        ranks = self.run_with("embedder = builtin:ragd-ko-embed\nembedder_dim = 128\n", "dense")
        self.assertGreaterEqual(mrr(ranks), 0.6, ranks)

    def test_a_search_hears_it(self):
        ranks = self.run_with("embedder = default\n", "auto")
        words = self.run_with("embedder = none\n", "auto")
        self.assertGreater(mrr(ranks), mrr(words) + 0.2, (words, ranks))

    def test_the_reranker_serves_who_asks_for_it(self):
        self.run_with("embedder = default\n", "auto")
        self.assertEqual(self.reranker, "lexical")
        ranks = self.run_with("embedder = default\nreranker = builtin:ragd-ko-rerank\n[retrieve]\nrerank_window = 96\n"
                              "rerank_pairs = 10\nrerank_words = 0.8\n", "auto")
        self.assertEqual(self.reranker, "ragd-ko-rerank")
        self.assertGreaterEqual(mrr(ranks), 0.5, ranks)

    def test_it_is_as_small_as_promised_and_says_what_it_is_made_of(self):
        for folder in FOLDER.parent.iterdir():
            self.assertLess(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()), 30 << 20)
            card = (folder / "README.md").read_text(encoding="utf-8")
            self.assertTrue(card.startswith("---\nlicense: apache-2.0\n"))  # where `ragctl model list` and `doctor` look
            for part in ("Data", "ecipe", "icence", "Measured" if "rerank" in folder.name else "measured"):
                self.assertIn(part, card)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
