#!/usr/bin/env python3
"""ragctl tune and export pairs, on this project's own documentation.

What does harm must be found and taken away, what is not better must not be installed; with the
real model, where it has been fetched (tests/fetch-models.sh), too.

    test_tune.py BUILD_DIR"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import PATIENCE_S, Ragd, sanitized  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
RANDOM_MODEL = ROOT / "tests" / "data" / "models" / "tiny-xlmr-embed"
MODELS = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models"))
RANDOM_RERANKER = ROOT / "tests" / "data" / "models" / "tiny-bert-ce"
REAL_MODEL = MODELS / "all-MiniLM-L6-v2"


class Base(unittest.TestCase):
    def start(self, embedder=None, reranker=None):
        config = f"[models]\nembedder = {embedder}\n" if embedder else None
        if reranker:
            config = (f"[models]\nembedder = none\nreranker = {reranker}\n"
                      "[retrieve]\nrerank_pairs = 5\n")
        self.ragd = Ragd(BUILD, config=config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tune-test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def run_it(self, *arguments, status=0):
        result = self.ragd.ragctl(*[str(a) for a in arguments])
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def json(self, *arguments, status=0):
        return json.loads(self.run_it(*arguments, "--json", status=status).stdout)

    def ingest_docs(self):
        self.run_it("ingest", "-c", "docs", "--jobs", "1", ROOT / "docs", ROOT / "ARCHITECTURE.md")

    def collections(self):
        return [c["name"] for c in self.json("collection", "list")["collections"]]


SETTINGS = ("fusion", "fusion_from", "lexical", "lexical_from", "rerank", "rerank_from", "gate",
            "gate_from", "adapter")
QUICK = ("--questions", 240)


class Tune(Base):
    def settings(self):
        collection = self.json("collection", "show", "docs")
        return {k: collection.get(k) for k in SETTINGS}

    def set(self, **settings):
        status, reply = self.ragd.call("PUT", "/v1/collections/docs", settings)
        self.assertEqual(status, 200, reply)

    def tune(self, *arguments):
        result = self.json("tune", *arguments, "-c", "docs", *QUICK)
        self.assertEqual(self.collections(), ["docs"], "the throw-away collection is gone")
        return {part["part"]: part for part in result["parts"]}, result

    def test_vectors_that_do_harm_are_left_out(self):
        self.start(RANDOM_MODEL)
        self.ingest_docs()
        self.set(fusion={"method": "convex", "weight_dense": 0.9})
        parts, result = self.tune("fusion")
        fusion = parts["fusion"]
        print(f"random vectors left out: {fusion['verdict']}", file=sys.stderr)
        self.assertEqual(result["tune"], "fusion")
        self.assertEqual(result["questions"]["learning"] + result["questions"]["measuring"], 240)
        self.assertTrue(fusion["better"] and fusion["installed"], fusion)
        self.assertGreater(fusion["difference"]["mrr_at_10"]["low"], 0)
        self.assertAlmostEqual(fusion["difference"]["mrr_at_10"]["mean"],
                               fusion["after"]["mrr_at_10"] - fusion["before"]["mrr_at_10"],
                               places=4)
        collection = self.json("collection", "show", "docs")
        self.assertEqual(collection["fusion"], fusion["found"])
        self.assertEqual(collection["fusion"]["weight_dense"], 0)
        self.assertEqual(collection["fusion_tuned_with"], collection["vectors"]["fingerprint"])

        again, _ = self.tune("fusion")
        self.assertFalse(again["fusion"]["installed"])
        self.assertEqual(again["fusion"]["verdict"], "the best that was found is what is in place")
        self.run_it("tune", "--reset", "fusion", "-c", "docs")
        self.assertEqual(self.settings()["fusion_from"], "daemon")

    def test_all_of_it_and_a_dry_run_installs_nothing(self):
        self.start(RANDOM_MODEL)
        self.ingest_docs()
        self.set(gate={"relevance_min": 0.95})
        before = self.settings()
        parts, result = self.tune("--dry-run")
        self.assertEqual(list(parts), ["adapter", "fusion", "lexical", "rerank", "gate"])
        self.assertTrue(result["dry_run"])
        for part in parts.values():
            self.assertEqual(part["skipped"], part["part"] == "rerank", part)
            self.assertFalse(part["installed"], part)
            self.assertTrue(part["verdict"])
        self.assertEqual(self.settings(), before)
        self.assertTrue(parts["gate"]["better"], parts["gate"])
        self.assertLess(parts["gate"]["after"]["refused_falsely"],
                        parts["gate"]["before"]["refused_falsely"])
        self.assertEqual(self.tune("--dry-run")[0], parts, "a seed gives the same result")

    def test_a_gate_that_refuses_too_much_comes_down(self):
        self.start()
        self.ingest_docs()
        self.set(gate={"relevance_min": 0.95})
        rows = self.json("audit", "verify")["rows"]
        gate = self.tune("gate")[0]["gate"]
        self.assertLess(self.json("audit", "verify")["rows"] - rows, 20, "not one a passage")
        self.assertTrue(gate["installed"], gate)
        self.assertLess(gate["found"]["relevance_min"], 0.9)
        self.assertGreater(gate["found"]["relevance_min"], 0)
        self.assertLess(gate["after"]["refused_mixed"], gate["before"]["refused_mixed"])
        self.assertIn("warning: it answers more of what nothing answers", "".join(gate["notes"]))
        self.assertEqual(self.settings()["gate"], gate["found"])
        self.run_it("tune", "gate", "--reset", "-c", "docs")
        self.assertEqual(self.settings()["gate_from"], "daemon")

    def test_the_share_of_words_beside_a_model(self):
        self.start(reranker=RANDOM_RERANKER)
        self.ingest_docs()
        rerank = self.tune("rerank")[0]["rerank"]
        print(f"random cross-encoder: {rerank['verdict']}", file=sys.stderr)
        self.assertFalse(rerank["skipped"])
        self.assertTrue(0 <= rerank["found"]["words"] <= 1)
        self.assertRegex(rerank["notes"][0], "of the model alone, .* of words alone")
        self.assertEqual(rerank["installed"], rerank["difference"]["mrr_at_10"]["low"] > 0)
        model = rerank["model"]
        self.assertEqual(model["helps"], model["difference"]["mrr_at_10"]["low"] > 0)
        self.assertAlmostEqual(model["difference"]["mrr_at_10"]["mean"],
                               model["with_model"]["mrr_at_10"] - model["words_alone"]["mrr_at_10"],
                               places=4)
        self.assertEqual(model["with_model"],
                         rerank["after" if rerank["installed"] else "before"])
        self.assertEqual(self.settings()["rerank"],
                         rerank["found"] if rerank["installed"] else {"words": 0})
        self.run_it("tune", "rerank", "--reset", "-c", "docs")
        self.assertEqual(self.settings()["rerank_from"], "daemon")

    @unittest.skipUnless(REAL_MODEL.is_dir(), f"no model at {REAL_MODEL}; tests/fetch-models.sh")
    @unittest.skipIf(sanitized(BUILD), "a thousand questions to a real model: in the release build")
    def test_the_real_model_makes_nothing_worse(self):
        self.start(REAL_MODEL)
        self.ingest_docs()
        result = self.json("tune", "-c", "docs")
        for part in result["parts"]:
            print(f"real model: {part['part']}: {part['verdict']}", file=sys.stderr)
            if part["installed"] and part["part"] in ("fusion", "lexical"):
                self.assertGreater(part["difference"]["mrr_at_10"]["low"], 0)

    def test_a_small_collection_says_that_it_is_too_small(self):
        self.start()
        self.run_it("ingest", "-c", "docs", ROOT / "docs" / "TESTING.md")
        result = self.run_it("tune", "-c", "docs", status=1)
        self.assertIn("at least 40 of each are needed", result.stderr)
        self.assertEqual(self.collections(), ["docs"])

    def test_without_a_model_the_words_are_tuned(self):
        self.start()
        self.ingest_docs()
        rows = self.json("audit", "verify")["rows"]
        for part, key in (("adapter", "embedder"), ("fusion", "embedder"), ("rerank", "reranker")):
            result = self.run_it("tune", part, "-c", "docs", *QUICK, status=1)
            self.assertRegex(result.stderr, rf"name one as \[models\] {key} in ragd.conf")
        self.assertEqual(self.json("audit", "verify")["rows"], rows, "before anything was made")
        result = self.run_it("tune", "-c", "docs", *QUICK)
        self.assertNotRegex(result.stderr, r"[\r\x1b]|%", "no progress where there is no terminal")
        self.assertIn("adapter: nothing to learn", result.stdout)
        self.assertRegex(result.stdout, r"lexical +hit@1 +0\.\d{4}  0\.\d{4}")
        self.assertRegex(result.stdout, r"gate +refused, no answer +[01]\.\d{4}")
        self.assertIn("seed 42", result.stdout)

    def test_a_signal_leaves_everything_as_it_was(self):
        self.start(RANDOM_MODEL)
        self.ingest_docs()
        before = self.settings()
        process = subprocess.Popen([str(BUILD / "ragctl"), "--socket", self.ragd.socket, "tune",
                                    "-c", "docs"], stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + PATIENCE_S
        while len(self.collections()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn("stopped by signal 2", errors)
        self.assertEqual(self.collections(), ["docs"])
        self.assertEqual(self.settings(), before)

    def test_command_lines_that_make_no_sense(self):
        self.start()
        for wrong in (["everything"], ["--false-refusals", "2"], ["--reset", "--dry-run"],
                      ["--questions", "79"], ["gate", "fusion"]):
            self.run_it("tune", "-c", "docs", *wrong, status=2)


class Export(Base):
    """It only reads: one collection for all."""

    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD)
        cls.addClassCleanup(cls.ragd.__exit__, None, None, None)
        cls.ragd.start()
        done = cls.ragd.ragctl("ingest", "-c", "docs", "--jobs", "1", str(ROOT / "docs"),
                               str(ROOT / "ARCHITECTURE.md"))
        assert done.returncode == 0, done.stderr

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tune-test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def test_pairs_are_what_trainers_read(self):
        out = self.folder / "pairs.jsonl"
        report = self.json("export", "pairs", "-c", "docs", "--output", out)
        pairs = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(report["pairs"], len(pairs))
        self.assertGreater(len(pairs), 40)
        for pair in pairs:
            self.assertEqual(set(pair), {"anchor", "positive", "negative"})
            self.assertTrue(all(pair.values()))
            self.assertNotIn(pair["anchor"], pair["positive"])
            self.assertNotEqual(pair["positive"], pair["negative"])

    def test_negatives_as_many_as_asked(self):
        lines = self.run_it("export", "pairs", "-c", "docs", "--pairs", 5, "--negatives", 3,
                            "--quiet").stdout.splitlines()
        self.assertLessEqual(len(lines), 5)
        for line in lines:
            self.assertEqual(set(json.loads(line)), {"anchor", "positive", "negative_1",
                                                     "negative_2", "negative_3"})
        lines = self.run_it("export", "pairs", "-c", "docs", "--pairs", 5, "--negatives", 0,
                            "--quiet").stdout.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertEqual(set(json.loads(lines[0])), {"anchor", "positive"})

    def test_a_file_that_is_there_is_not_overwritten(self):
        out = self.folder / "pairs.jsonl"
        out.write_text("mine")
        result = self.run_it("export", "pairs", "-c", "docs", "--output", out, status=1)
        self.assertIn("exists", result.stderr)
        self.assertEqual(out.read_text(), "mine")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
