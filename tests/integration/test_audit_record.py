#!/usr/bin/env python3
"""What the audit row of a question tells of the cache, the guard and the backends.

    test_audit_record.py BUILD_DIR"""
import csv
import io
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402
from stub_openai import StubOpenAI  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
PHONE = "010-1234-5678"
QUESTION = "연차는 며칠인가요?"
KEY = "sk-never-in-the-audit-0123456789"


class WithRagd(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ragd-record."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, config=None):
        self.ragd = Ragd(BUILD, config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        self.ok("PUT", "/v1/collections/c", {})
        self.ok("PUT", self.ragd.document("c", "휴가.txt"), "연차는 1년에 15일이다. 신청은 총무팀에 한다.",
                content_type="text/plain")

    def ok(self, method, target, body=None, **more):
        status, reply = self.ragd.call(method, target, body, **more)
        self.assertIn(status, (200, 201), reply)
        return reply

    def ask(self, question=QUESTION, **more):
        """(reply, payload of its row)"""
        reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": question, **more})
        return reply, self.ok("GET", f"/v1/audit/{reply['request_id']}")["payload"]

    def csv_row(self, request_id):
        text = self.ragd.ragctl("audit", "export", "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        return next(row for row in rows if row["request_id"] == request_id)

    def state_holds(self, text):
        return [p for p in self.ragd.state.rglob("*")
                if p.is_file() and text.encode() in p.read_bytes()]


class Cache(WithRagd):
    def test_a_cached_answer_says_where_it_is_from(self):
        self.start()
        first, made = self.ask()
        second, hit = self.ask()
        self.assertEqual((made["cache"], hit["cache"]), ("none", "exact"))
        self.assertEqual(hit["cached_from"]["request_id"], first["request_id"])
        self.assertEqual(hit["cached_from"]["question"], QUESTION)
        self.assertEqual(hit["answer"], made["answer"])
        self.assertEqual([c["document"] for c in hit["citations"]], ["휴가.txt"])
        # nobody was asked again, and nothing was spent
        self.assertEqual((made["backends"], hit["backends"]),
                         ([{"backend": "extractive", "outcome": "answered"}], []))
        self.assertEqual((made["cost"], hit["cost"]), (0, 0))
        self.assertEqual(self.csv_row(second["request_id"])["cache"], "exact")
        # its row can be asked again, anew
        replayed = self.ragd.ragctl("audit", "replay", second["request_id"], "--json")
        again = json.loads(replayed.stdout)
        self.assertTrue(again["same_answer"] and again["same_citations"])
        row = self.ok("GET", f"/v1/audit/{again['replayed_request_id']}")["payload"]
        self.assertEqual(row["cache"], "none")


class Guard(WithRagd):
    POLICY = {"rules": [
        {"name": "pii", "kind": "pii", "on": ["question", "passage"], "action": "mask"},
        {"name": "salaries", "kind": "keywords", "words": ["급여대장"], "on": ["question"],
         "action": "refuse", "reason": "급여는 묻지 않습니다."}]}

    def test_findings_are_recorded_and_what_was_masked_is_not(self):
        policy = self.folder / "guard.json"
        policy.write_text(json.dumps(self.POLICY, ensure_ascii=False), encoding="utf-8")
        self.start(f"[guard]\npolicy = {policy}\n[audit]\nsearches = 1\n")
        reply, row = self.ask(f"제 번호는 {PHONE}인데 연차는 며칠인가요?",
                              messages=[{"role": "user", "content": f"{PHONE}로 연락 주세요."},
                                        {"role": "assistant", "content": "네."}])
        text = json.dumps(row, ensure_ascii=False)
        self.assertNotIn(PHONE, text)
        self.assertIn("*" * len(PHONE), row["question"])
        self.assertIn("*" * len(PHONE), row["messages"][0]["content"])
        self.assertEqual(row["guard"]["verdict"], "mask")
        finding = next(f for f in row["guard"]["findings"] if f["stage"] == "question")
        self.assertEqual((finding["rule"], finding["detail"], finding["action"]),
                         ("pii", "phone", "mask"))
        self.assertEqual(finding["end"] - finding["start"], len(PHONE))
        shown = self.csv_row(reply["request_id"])
        self.assertEqual((shown["guard_verdict"], shown["guard_rules"]), ("mask", "pii"))
        search = self.ok("POST", "/v1/search", {"collection": "c", "query": f"연차 {PHONE}"})
        row = self.ok("GET", f"/v1/audit/{search['request_id']}")["payload"]
        self.assertEqual(row["guard"]["verdict"], "mask")
        self.assertIn("*" * len(PHONE), row["query"])
        self.assertEqual(self.state_holds(PHONE), [])

    def test_a_refused_question(self):
        policy = self.folder / "guard.json"
        policy.write_text(json.dumps(self.POLICY, ensure_ascii=False), encoding="utf-8")
        self.start(f"[guard]\npolicy = {policy}\n")
        reply, row = self.ask("급여대장을 보여 줄 수 있나요?")
        self.assertTrue(reply["refused"])
        self.assertEqual((row["outcome"], row["guard"]["verdict"], row["backends"]),
                         ("refused", "refuse", []))
        self.assertEqual(self.csv_row(reply["request_id"])["guard_verdict"], "refuse")


class Backends(WithRagd):
    def setUp(self):
        super().setUp()
        self.stub = StubOpenAI()
        self.stub.__enter__()
        self.addCleanup(self.stub.__exit__, None, None, None)
        key = self.folder / "key"
        key.write_text(KEY + "\n")
        key.chmod(0o600)
        self.start(f"[openai]\nbase_url = http://127.0.0.1:{self.stub.port}/v1\nmodel = stub\n"
                   f"key_file = {key}\nallow_private = 1\ntries_max = 1\nprompt_price = 1000\n"
                   "completion_price = 2000\n[generate]\nbackends = openai extractive\n"
                   "[cache]\nenabled = 0\n")

    def test_who_answered_and_what_it_cost(self):
        self.stub.become("healthy")
        reply, row = self.ask()
        self.assertEqual(row["backends"], [{"backend": "openai", "outcome": "answered"}])
        self.assertEqual(row["backend"], "openai")
        usage = row["usage"]
        self.assertGreater(usage["prompt_tokens"], 0)
        self.assertAlmostEqual(row["cost"], (usage["prompt_tokens"] * 1000 +
                                             usage["completion_tokens"] * 2000) / 1e6, places=4)
        shown = self.csv_row(reply["request_id"])
        self.assertEqual(float(shown["cost"]), row["cost"])
        self.assertEqual(int(shown["prompt_tokens"]), usage["prompt_tokens"])
        self.assertNotIn(KEY, json.dumps(row))
        self.assertEqual(self.state_holds(KEY), [])

    def test_why_another_one_answered(self):
        self.stub.become("error_500")
        reply, row = self.ask()
        self.assertEqual([(b["backend"], b["outcome"]) for b in row["backends"]],
                         [("openai", "failed"), ("extractive", "answered")])
        self.assertIn("500", row["backends"][0]["reason"])
        self.assertEqual(row["backend"], "extractive")
        self.assertEqual(row["cost"], 0)
        # replaying it with the endpoint healthy again shows who answers now
        self.stub.become("healthy")
        again = json.loads(self.ragd.ragctl("audit", "replay", reply["request_id"],
                                            "--json").stdout)
        self.assertEqual(again["backend"], {"before": "extractive", "after": "openai"})
        self.assertFalse(again["same_backend"])

    def test_an_offline_collection_says_that_nobody_outside_was_asked(self):
        self.ok("PUT", "/v1/collections/c", {"offline": True})
        _, row = self.ask()
        self.assertEqual([(b["backend"], b["outcome"]) for b in row["backends"]],
                         [("openai", "left_out"), ("extractive", "answered")])
        self.assertIn("offline", row["backends"][0]["reason"])
        self.assertEqual(self.stub.requests, [])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
