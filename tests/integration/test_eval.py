#!/usr/bin/env python3
"""ragctl eval with a private ragd: figures, files, reports, and nothing left behind.

    test_eval.py BUILD_DIR"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
KLUE = ROOT / "tests" / "data" / "klue-synthetic.json"

STAGE_KEYS = {"hit_at_1", "hit_at_3", "hit_at_5", "hit_at_10", "hit_at_20", "mrr_at_10",
              "ndcg_at_10"}
EVIDENCE_KEYS = {"evidence_hit_at_1", "evidence_hit_at_3", "evidence_hit_at_10"}


class Eval(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="eval-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("RAGD_")}
        self.environment["TMPDIR"] = str(self.tmp)
        # no model but those that a test names, whatever is installed
        self.environment["RAGD_BUILTIN_MODELS"] = str(self.folder / "nothing")

    def run_eval(self, *args, code=0):
        done = subprocess.run([BUILD / "ragctl", "eval", *map(str, args)], env=self.environment,
                              capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(list(self.tmp.iterdir()), [], "a temporary folder is left")
        return done

    def report(self, *args):
        return json.loads(self.run_eval(*args, "--json").stdout)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def test_the_object_that_scripts_read(self):
        r = self.report(KLUE)
        self.assertEqual(set(r), {"questions", "passages", "stages", "answers", "refusal",
                                  "latency_ms"})
        self.assertEqual((r["questions"], r["passages"]), (30, 10))
        self.assertTrue({"bm25", "rerank", "final"} <= set(r["stages"]))
        for figures in r["stages"].values():
            self.assertEqual(set(figures), STAGE_KEYS)
        self.assertEqual(r["stages"]["final"]["hit_at_20"], 1)
        self.assertEqual(set(r["answers"]), {"em", "f1", "citation_overlaps_gold"})
        self.assertEqual(set(r["refusal"]), {"precision", "recall", "answered_rate"})
        self.assertIn("bm25", r["latency_ms"])
        for times in r["latency_ms"].values():
            self.assertLessEqual(times["p50"], times["p95"])
            self.assertLessEqual(times["p95"], times["p99"])

    def test_the_book_protocol_asks_of_the_selected_contexts_alone(self):
        r = self.report(KLUE, "--protocol", "book", "--sample", 12, "--seed", 42, "--no-answers")
        self.assertEqual((r["questions"], r["passages"]), (12, 12))
        self.assertIsNone(r["answers"]["em"])

    def test_distractors_join_the_corpus(self):
        lines = [json.dumps({"text": f"방해 지문 {i}번은 다른 이야기이다."}, ensure_ascii=False)
                 for i in range(50)]
        more = self.file("more.jsonl", "\n".join(lines))
        r = self.report(KLUE, "--distractors", more, "--no-answers")
        self.assertEqual(r["passages"], 60)

    def test_a_folder_with_questions(self):
        self.file("휴가.md", "# 휴가\n\n연차는 최대 **5일**까지 이월할 수 있다.\n\n"
                             "조부모가 사망하면 3일을 쉰다.\n")
        self.file("README.md", "연차는 문서가 아니다.\n")
        self.file("questions.jsonl", "\n".join(json.dumps(q, ensure_ascii=False) for q in [
            {"id": "a", "question": "연차는 며칠까지 이월할 수 있나요?", "answer": "5일",
             "answer_norms": ["5일"], "doc": ["휴가.md"], "kind": "factoid",
             "evidence": [{"doc": "휴가.md", "text": "연차는 최대 **5일**까지 이월할 수 있다."}]},
            {"id": "b", "question": "훈민정음이 반포된 해는 언제인가요?", "topic": "off"},
        ]))
        r = self.report(self.folder)
        self.assertEqual((r["questions"], r["passages"]), (2, 1))
        self.assertEqual(r["evidence"]["originals"]["questions"], 1)
        self.assertEqual(r["stages"]["final"]["hit_at_1"], 1)
        self.assertEqual(r["evidence"]["originals"]["cited"], 1)
        self.assertEqual(r["evidence"]["refused"]["off_topic"], 1)
        self.assertIsNone(r["evidence"]["refused"]["on_topic"])

    def test_a_passage_that_holds_the_evidence_is_what_counts(self):
        # the document is found by any of its three passages, the evidence is in the second
        parts = ["연차 규정의 첫 조항이다. " + "연차는 규정대로 쓴다. " * 30,
                 "조부모가 사망하면 사흘을 쉰다. " + "경조사 규정은 팀장에게 묻는다. " * 25,
                 "반반차 규정이다. " + "반반차는 오후에 쓴다. " * 30]
        self.file("휴가.md", "# 휴가\n\n" + "\n\n".join(
            f"## {i}조\n\n{text}\n" for i, text in enumerate(parts)))
        evidence = [{"doc": "휴가.md", "text": "조부모가 사망하면 사흘을 쉰다."}]
        self.file("questions.jsonl", "\n".join(json.dumps(q, ensure_ascii=False) for q in [
            {"id": "a", "question": "조부모가 사망하면 며칠을 쉬나요?", "evidence": evidence},
            {"id": "b", "question": "연차 규정은 무엇인가요?", "evidence": evidence},
            {"id": "c", "question": "반반차 규정은 언제 쓰나요?", "of": "a", "evidence": evidence},
            {"id": "d", "question": "반반차는 오후에 쓰나요?", "doc": ["휴가.md"]},
        ]))
        r = self.report(self.folder, "--no-answers", "--chunk-chars", 500)
        originals = r["evidence"]["originals"]["stages"]["final"]
        paraphrases = r["evidence"]["paraphrases"]["stages"]["final"]
        for figures in (originals, paraphrases):
            self.assertEqual(set(figures), STAGE_KEYS | EVIDENCE_KEYS)
            self.assertEqual(figures["hit_at_1"], 1)
            self.assertEqual(figures["evidence_hit_at_10"], 1)
        self.assertEqual(r["stages"]["final"], originals)
        self.assertEqual(originals["evidence_hit_at_1"], 0.5)  # of a and b; d has none marked
        self.assertEqual(paraphrases["evidence_hit_at_1"], 0)
        text = self.run_eval(self.folder, "--no-answers", "--chunk-chars", 500).stdout
        self.assertIn("passages with the evidence", text)

    def test_a_trec_collection_is_searched_and_not_asked(self):
        trec = ROOT / "tests" / "data" / "trec-tiny"
        r = self.report(trec)
        self.assertEqual((r["questions"], r["passages"]), (2, 4))
        self.assertEqual(r["stages"]["final"]["hit_at_1"], 1)
        # of topic 4 one relevant document has no text: it counts as missed
        self.assertLess(r["stages"]["final"]["ndcg_at_10"], 1)
        self.assertIsNone(r["answers"]["em"])
        self.assertNotIn("ask_round_trip", r["latency_ms"])
        files = [trec / name for name in ("qrels.txt", "documents.xml", "topics.xml")]
        self.assertEqual(self.report(*files)["stages"], r["stages"])
        self.file("notes.txt", "nothing of the kind\n")
        self.assertIn("nor a TREC collection", self.run_eval(self.folder, code=1).stderr)
        self.assertIn("--protocol book", self.run_eval(trec, "--protocol", "book", code=1).stderr)
        self.run_eval(files[0], files[1], code=2)

    def test_the_page_is_whole_and_reaches_nowhere(self):
        page = self.folder / "report.html"
        self.run_eval(KLUE, "--report", page)
        text = page.read_text(encoding="utf-8")
        self.assertTrue(text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n"))
        self.assertIn("default-src 'none'", text)
        for word in ("http:", "https:", "src=", "url(", "<script"):
            self.assertNotIn(word, text)

    def test_errors_name_the_file_and_the_place(self):
        bad = self.file("bad.json", '{"data":[{"paragraphs":[{"context":"가","qas":[{"id":1,'
                                    '"question":"q"}]}]}]}')
        done = self.run_eval(bad, code=1)
        self.assertIn("bad.json", done.stderr)
        self.assertIn("data[0].paragraphs[0].qas[0]: 'id': expected a string", done.stderr)
        self.assertIn("from 1 to 30", self.run_eval(KLUE, "--sample", 31, code=1).stderr)
        self.assertIn("--protocol", self.run_eval(KLUE, "--protocol", "x", code=2).stderr)
        self.run_eval(self.folder / "none.json", code=1)
        lost = self.file("lost.jsonl", '{"id":"a","question":"q","doc":["none.md"]}\n')
        self.file("a.txt", "글이다.")
        self.assertIn("'none.md' is not beside", self.run_eval(lost, code=1).stderr)

    def test_an_interrupted_run_leaves_nothing(self):
        context = "연차 이월에 대한 {}번째 글이다. 최대 {}일까지 이월할 수 있다."
        data = [{"paragraphs": [{"context": context.format(i, i), "qas": [
            {"id": str(i), "question": f"{i}번째 글에서는 며칠까지 이월할 수 있나?",
             "answers": [{"text": f"{i}일", "answer_start": -1}]}]}]} for i in range(20000)]
        many = self.file("many.json", json.dumps({"data": data}))
        process = subprocess.Popen([BUILD / "ragctl", "eval", many], env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not list(self.tmp.glob("*/s")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, said)
        self.assertIn("stopped by signal 2", said)
        self.assertEqual(list(self.tmp.iterdir()), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
