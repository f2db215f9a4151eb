#!/usr/bin/env python3
"""ragctl tune fusion and export pairs, on this project's own documentation.

A random model must leave the search at BM25's level; the real one, where it has been fetched
(tests/fetch-models.sh), must not make it worse.

    test_tune.py BUILD_DIR"""
import json
import os
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
RANDOM_MODEL = ROOT / "tests" / "data" / "models" / "tiny-xlmr-embed"
MODELS = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models"))
REAL_MODEL = MODELS / "all-MiniLM-L6-v2"


class Base(unittest.TestCase):
    def start(self, embedder=None):
        config = f"[models]\nembedder = {embedder}\n" if embedder else None
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


class Tune(Base):
    def test_a_random_model_leaves_bm25_alone(self):
        self.start(RANDOM_MODEL)
        self.ingest_docs()
        result = self.json("tune", "fusion", "-c", "docs")
        self.assertTrue(result["installed"])
        collection = self.json("collection", "show", "docs")
        self.assertEqual(collection["fusion_tuned_with"], collection["vectors"]["fingerprint"])
        self.assertFalse(result["fused"], result)
        self.assertEqual(result["fusion"]["weight_dense"], 0)
        self.assertGreater(result["mrr_at_10"]["bm25"], result["mrr_at_10"]["dense"])
        self.assertEqual(result["mrr_at_10"]["chosen"], result["mrr_at_10"]["bm25"])
        self.assertEqual(self.collections(), ["docs"], "the throw-away collection is gone")

        query = {"collection": "docs", "query": "what does the audit log hold", "top_k": 10}
        _, hybrid = self.ragd.call("POST", "/v1/search", query)
        _, bm25 = self.ragd.call("POST", "/v1/search", {**query, "mode": "bm25"})
        self.assertEqual([r["chunk"] for r in hybrid["results"]],
                         [r["chunk"] for r in bm25["results"]])

    def test_dry_run_installs_nothing(self):
        self.start(RANDOM_MODEL)
        self.ingest_docs()
        before = self.json("collection", "show", "docs")["fusion"]
        result = self.json("tune", "fusion", "-c", "docs", "--dry-run", "--questions", 60)
        self.assertFalse(result["installed"])
        self.assertEqual(result["questions"], 60)
        self.assertEqual(self.json("collection", "show", "docs")["fusion"], before)

    @unittest.skipUnless(REAL_MODEL.is_dir(), f"no model at {REAL_MODEL}; tests/fetch-models.sh")
    def test_the_real_model_is_never_worse_than_bm25(self):
        self.start(REAL_MODEL)
        self.ingest_docs()
        result = self.json("tune", "fusion", "-c", "docs")
        print(f"real model: {result['mrr_at_10']} {result['verdict']}", file=sys.stderr)
        self.assertGreaterEqual(result["mrr_at_10"]["chosen"], result["mrr_at_10"]["bm25"])

    def test_a_small_collection_says_that_it_is_too_small(self):
        self.start(RANDOM_MODEL)
        self.run_it("ingest", "-c", "small", ROOT / "docs" / "TESTING.md")
        result = self.run_it("tune", "fusion", "-c", "small", status=1)
        self.assertIn("at least 40 are needed", result.stderr)

    def test_without_a_model_there_is_nothing_to_tune(self):
        self.start()
        self.ingest_docs()
        result = self.run_it("tune", "fusion", "-c", "docs", status=1)
        self.assertIn("embedder", result.stderr)
        self.assertEqual(self.collections(), ["docs"])


class Export(Base):
    def test_pairs_are_what_trainers_read(self):
        self.start()
        self.ingest_docs()
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
        self.start()
        self.ingest_docs()
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
        self.start()
        self.ingest_docs()
        out = self.folder / "pairs.jsonl"
        out.write_text("mine")
        result = self.run_it("export", "pairs", "-c", "docs", "--output", out, status=1)
        self.assertIn("exists", result.stderr)
        self.assertEqual(out.read_text(), "mine")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
