#!/usr/bin/env python3
"""ragctl eval cache: the object that scripts read, the reports, the generated near-duplicates.

    test_eval_cache.py BUILD_DIR"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
PAIRS = ROOT / "tests" / "data" / "cache-pairs" / "pairs.jsonl"
MODELS = ROOT / "tests" / "data" / "models"
MAKE = ROOT / "tests" / "tools" / "near_duplicates.py"


class EvalCache(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="eval-cache-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_eval(self, *args, code=0):
        done = subprocess.run([BUILD / "ragctl", "eval", "cache", *map(str, args)],
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def report(self, *args):
        return json.loads(self.run_eval(*args, "--json").stdout)

    def test_the_object_that_scripts_read(self):
        r = self.report(PAIRS)
        self.assertLessEqual({"pairs", "thresholds", "chosen",
                              "fixed_threshold_hit_rate_at_same_error"}, set(r))
        self.assertEqual((r["pairs"], r["n_equivalent"], r["n_different"], r["n_between"],
                          r["n_near_duplicates"]), (30, 13, 16, 1, 7))
        for point in [*r["thresholds"], r["chosen"]]:
            self.assertLessEqual({"threshold", "hit_rate", "false_hit_rate"}, set(point))
        rates = [p["hit_rate"] for p in r["thresholds"]]
        self.assertEqual(rates, sorted(rates, reverse=True))

    def test_rules_keep_different_questions_apart(self):
        r = self.report(PAIRS, "--threshold", "0.3")
        self.assertGreaterEqual(r["chosen"]["hit_rate"], 0.7)
        self.assertEqual(r["chosen"]["false_hit_rate"], 0)
        self.assertEqual(sum(k["false_hits"] for k in r["kinds"]), 0)
        low = r["thresholds"][0]
        self.assertGreater(low["plain_false_hit_rate"], 0.5)

    def test_an_encoder_and_a_reranker_take_part(self):
        r = self.report(PAIRS, "--embedder", MODELS / "tiny-xlmr-embed", "--threshold", "0.2")
        self.assertNotEqual(r["encoder"], "tf-idf")
        self.assertGreater(r["traffic"]["embed_ms"], 0)
        # A random cross-encoder says what it says; that it was asked shows in the reasons.
        r = self.report(PAIRS, "--reranker", MODELS / "tiny-xlmr-ce", "--threshold", "0")
        plain = self.report(PAIRS, "--threshold", "0")
        self.assertNotEqual(r["reranker"], "")
        self.assertLessEqual(r["chosen"]["hits"], plain["chosen"]["hits"])
        lost = plain["chosen"]["hits"] - r["chosen"]["hits"]
        self.assertEqual(r["unconfirmed"].get("pair", {}).get("equivalent", 0), lost)

    def test_saved_time_follows_the_answers_given(self):
        r = self.report(PAIRS, "--answer-ms", "5000", "--threshold", "0.5")
        t = r["traffic"]
        expected = t["confirmed"]["right"] / t["asked"] * 5000
        self.assertLess(abs(r["saved_ms"] - expected), 100)

    def test_files_are_written(self):
        html, details = self.folder / "r.html", self.folder / "d.jsonl"
        done = self.run_eval(PAIRS, "--report", html, "--details", details)
        self.assertIn("30 pairs", done.stdout)
        page = html.read_text(encoding="utf-8")
        self.assertIn("<polyline", page)
        self.assertNotIn("<script", page)
        rows = [json.loads(line) for line in details.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(len(rows), 30)
        for row in rows:
            self.assertEqual(set(row), {"a", "b", "label", "kind", "similarity", "confirmed"})

    def test_a_question_set_is_read(self):
        path = self.folder / "q.jsonl"
        path.write_text('{"id":"1","question":"연차는 며칠인가요?"}\n'
                        '{"id":"2","question":"연차가 며칠이야?","of":"1"}\n'
                        '{"id":"3","question":"연차는 언제 쓰나요?"}\n', encoding="utf-8")
        r = self.report(path, "--threshold", "0.1")
        self.assertEqual((r["n_equivalent"], r["n_different"]), (1, 3))
        self.assertEqual((r["chosen"]["hits"], r["chosen"]["false_hits"]), (1, 0))

    def test_what_makes_no_sense_is_said(self):
        self.run_eval(code=2)
        self.run_eval(PAIRS, "--threshold", "1.5", code=2)
        self.run_eval(PAIRS, "--error", "x", code=2)
        self.run_eval(self.folder / "none.jsonl", code=1)
        bad = self.folder / "bad.jsonl"
        bad.write_text('{"a":"x"}\n', encoding="utf-8")
        self.assertIn("line 1", self.run_eval(bad, code=1).stderr)
        self.run_eval(PAIRS, "--report", self.folder / "no" / "r.html", code=1)

    def test_near_duplicates_are_told_apart(self):
        made = subprocess.run([sys.executable, MAKE, PAIRS], capture_output=True, text=True,
                              check=True).stdout
        again = subprocess.run([sys.executable, MAKE, PAIRS], capture_output=True, text=True,
                               check=True).stdout
        self.assertEqual(made, again)
        path = self.folder / "near.jsonl"
        path.write_text(made, encoding="utf-8")
        r = self.report(path, "--threshold", "0")
        self.assertGreater(r["n_near_duplicates"], 20)
        self.assertEqual(r["chosen"]["false_hits"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
