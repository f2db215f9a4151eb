#!/usr/bin/env python3
"""Answers that are given again: to whom, how long, what is said about it, and what people can do.

    test_cache.py BUILD_DIR"""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import exposition  # noqa: E402
from ragd_process import Ragd, TcpListener, User  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
QUESTION = "미사용 연차는 며칠까지 이월할 수 있나요?"
SPELLED_OTHERWISE = "  미사용  연차는 며칠까지\n이월할 수 있나요 ？ "
REORDERED = "미사용 연차는 이월할 수 있나요, 며칠까지?"
OFF_TOPIC = "화성의 위성은 몇 개인가요?"
LEAVE = "미사용 연차는 최대 5일까지 다음 해로 이월할 수 있다."
TRAVEL = "국내 출장의 일비는 하루 3만 원이다."


class WithRagd(unittest.TestCase):
    cache = ""  # lines of [cache]

    def setUp(self):
        self.ragd = Ragd(BUILD)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.tcp = TcpListener(self.ragd, ["kim", "lee", "root"])
        self.ragd.config = (f"[ragd]\nadmins = token:root\n[http]\n{self.tcp.config_lines}"
                            f"[cache]\n{self.cache}")
        self.ragd.start()
        self.kim, self.lee, self.root = (User(self.ragd, self.tcp, name)
                                         for name in ("kim", "lee", "root"))
        for user in (self.kim, self.lee, self.root):
            self.addCleanup(user.close)
        self.ok("PUT", "/v1/collections/handbook",
                {"readers": ["token:kim", "token:lee"], "writers": ["token:kim"]})
        self.put("leave.txt", LEAVE)

    def restart(self, between=None):
        self.assertEqual(self.ragd.stop(), 0)
        for user in (self.kim, self.lee, self.root):
            user.close()
        if between:
            between()
        self.ragd.start()

    def ok(self, method, target, body=None, who=None, **options):
        status, reply = (who or self.root).call(method, target, body, **options)
        self.assertIn(status, (200, 201), reply)
        return reply

    def put(self, name, text):
        self.ok("PUT", self.ragd.document("handbook", name), text, content_type="text/plain")

    def ask(self, question=QUESTION, who=None, **members):
        return self.ok("POST", "/v1/ask",
                       {"collection": "handbook", "question": question, **members},
                       who or self.kim)

    def entries(self, who=None):
        return self.ok("GET", "/v1/cache", who=who or self.kim)["entries"]

    def stats(self):
        return self.ok("GET", "/v1/cache")["stats"]


class Lookups(WithRagd):
    def test_the_same_question_gets_its_answer_and_says_so(self):
        first = self.ask()
        self.assertEqual(first["cache"], "none")
        self.assertNotIn("cached_from", first)
        again = self.ask(SPELLED_OTHERWISE)
        self.assertEqual(again["cache"], "exact")
        self.assertEqual(again["cached_from"]["question"], QUESTION)
        self.assertEqual(again["cached_from"]["similarity"], 1)
        self.assertGreater(again["cached_from"]["entry"], 0)
        for key in ("answer", "citations", "refused", "backend"):
            self.assertEqual(again[key], first[key], key)
        self.assertNotEqual(again["request_id"], first["request_id"])

    def test_a_new_answer_can_be_asked_for(self):
        self.ask()
        self.assertEqual(self.ask(cache=False)["cache"], "none")

    def test_another_filter_or_top_k_is_another_question(self):
        self.ask()
        self.assertEqual(self.ask(top_k=3)["cache"], "none")
        self.assertEqual(self.ask(top_k=3)["cache"], "exact")
        self.assertEqual(self.ask(filter={"document": "leave.txt"})["cache"], "none")

    def test_what_changes_the_collection_ends_it(self):
        for change in (lambda: self.put("travel.txt", TRAVEL),
                       lambda: self.put("leave.txt", LEAVE.replace("5일", "7일")),
                       lambda: self.ok("DELETE", self.ragd.document("handbook", "travel.txt"))):
            self.ask()
            self.assertEqual(self.ask()["cache"], "exact")
            change()
            self.assertEqual(self.ask()["cache"], "none")
        self.assertIn("7일", self.ask()["answer"])

    def test_an_unchanged_document_ends_nothing(self):
        self.ask()
        self.put("leave.txt", LEAVE)
        self.assertEqual(self.ask()["cache"], "exact")

    def test_a_refusal_is_given_again_until_anything_changes(self):
        self.assertTrue(self.ask(OFF_TOPIC)["refused"])
        self.assertEqual(self.ask(OFF_TOPIC)["cache"], "exact")
        self.put("travel.txt", TRAVEL)
        self.assertEqual(self.ask(OFF_TOPIC)["cache"], "none")

    def test_nobody_gets_the_answer_of_another(self):
        self.ask(who=self.kim)
        self.assertEqual(self.ask(who=self.lee)["cache"], "none")
        self.assertEqual(self.ask(who=self.lee)["cache"], "exact")
        self.assertEqual(self.ask(who=self.root)["cache"], "none")

    def test_who_may_not_read_gets_nothing_from_it(self):
        self.ask(who=self.lee)
        self.ok("PUT", "/v1/collections/handbook", {"readers": ["token:kim"]})
        status, reply = self.lee.call("POST", "/v1/ask",
                                      {"collection": "handbook", "question": QUESTION})
        self.assertEqual(status, 403, reply)
        self.assertEqual(self.entries(self.lee), [])

    def test_a_collection_of_the_same_name_is_another_one(self):
        self.ask()
        self.ok("DELETE", "/v1/collections/handbook")
        self.assertEqual(self.stats()["entries"], 0)
        self.ok("PUT", "/v1/collections/handbook", {"readers": ["token:kim"]})
        self.assertTrue(self.ask()["refused"])
        self.assertEqual(self.stats()["exact_hits"], 0)

    def test_answers_outlive_a_restart(self):
        self.ask()
        entry = self.ask()["cached_from"]["entry"]
        self.restart()
        again = self.ask()
        self.assertEqual((again["cache"], again["cached_from"]["entry"]), ("exact", entry))

    def test_a_damaged_file_is_begun_anew(self):
        self.ask()
        self.restart(lambda: (self.ragd.state / "cache.db").write_bytes(b"no database" * 1000))
        self.assertIn("event=cache_begun_anew", self.ragd.log_path.read_text(encoding="utf-8"))
        self.assertEqual(self.ask()["cache"], "none")
        self.assertEqual(self.ask()["cache"], "exact")

    def test_an_audit_row_says_where_the_answer_came_from(self):
        first = self.ask()
        again = self.ask()
        row = self.ok("GET", f"/v1/audit/{again['request_id']}")["payload"]
        self.assertEqual(row["cache"], "exact")
        self.assertEqual(row["cached_from"]["entry"], again["cached_from"]["entry"])
        self.assertEqual(row["answer"], first["answer"])

    def test_a_stream_gives_it_too(self):
        self.ask()
        events = self.ok("POST", "/v1/ask", {"collection": "handbook", "question": QUESTION,
                                             "stream": True}, self.kim)
        done = json.loads(events.rsplit("event: done\ndata: ", 1)[1].split("\n", 1)[0])
        self.assertEqual(done["cache"], "exact")


class Similar(WithRagd):
    cache = "threshold = 0.6\n"

    def test_a_question_that_means_the_same_gets_the_answer(self):
        first = self.ask()
        again = self.ask(REORDERED)
        self.assertEqual(again["cache"], "semantic", again)
        self.assertEqual(again["answer"], first["answer"])
        self.assertEqual(again["cached_from"]["question"], QUESTION)
        self.assertLess(again["cached_from"]["similarity"], 1.0001)

    def test_another_number_is_another_question(self):
        self.ask("2023년에 미사용 연차는 며칠까지 이월할 수 있나요?")
        reply = self.ask("2024년에 미사용 연차는 며칠까지 이월할 수 있나요?")
        self.assertEqual(reply["cache"], "none")

    def test_a_wrong_one_is_not_given_again(self):
        self.ask()
        hit = self.ask(REORDERED)
        told = self.ok("POST", "/v1/feedback",
                       {"request_id": hit["request_id"], "correct": False}, self.kim)
        self.assertEqual((told["entry"], told["kind"], told["correct"]),
                         (hit["cached_from"]["entry"], "semantic", False))
        self.assertAlmostEqual(told["similarity"], hit["cached_from"]["similarity"], places=4)
        self.assertEqual(self.ask(REORDERED, cache=True)["cache"], "none")
        self.restart()
        self.assertEqual(self.ask()["cache"], "exact")


class Shared(WithRagd):
    cache = "share = readers\nexpiry = ttl\n"

    def test_readers_share_as_long_as_the_list_stands(self):
        self.ask(who=self.kim)
        self.assertEqual(self.ask(who=self.lee)["cache"], "exact")
        self.assertEqual(len(self.entries(self.lee)), 1)
        self.ok("PUT", "/v1/collections/handbook", {"readers": ["token:lee", "token:root"]})
        self.assertEqual(self.ask(who=self.lee)["cache"], "none")
        self.assertEqual(self.entries(self.kim), [])

    def test_what_was_read_and_not_cited_is_not_kept(self):
        self.put("travel.txt", "출장 중의 연차와 일비는 부서장이 정한다.")
        first = self.ask(top_k=5)
        self.assertEqual(first["passages_given"], 2)
        self.assertEqual([c["document"] for c in first["citations"]], ["leave.txt"])
        self.ok("DELETE", self.ragd.document("handbook", "travel.txt"))
        events = self.ok("POST", "/v1/ask", {"collection": "handbook", "question": QUESTION,
                                             "top_k": 5, "stream": True}, self.kim)
        self.assertIn('"cache":"exact"', events)
        self.assertIn("leave.txt", events)
        self.assertNotIn("일비", events)
        self.restart()
        for name in ("cache.db", "cache.db-wal"):
            path = self.ragd.state / name
            if path.exists():
                self.assertNotIn("일비".encode(), path.read_bytes())

    def test_only_what_is_cited_ends_it(self):
        self.ask()
        self.put("travel.txt", TRAVEL)
        self.assertEqual(self.ask()["cache"], "exact")
        self.put("leave.txt", LEAVE.replace("5일", "7일"))
        self.assertEqual(self.ask()["cache"], "none")
        self.assertEqual(self.stats()["invalidated"], 1)


class TopK(WithRagd):
    cache = "expiry = top_k\n"

    def test_a_change_elsewhere_is_searched_for_and_ends_nothing(self):
        self.ask()
        self.put("travel.txt", TRAVEL)
        again = self.ask()
        self.assertEqual(again["cache"], "exact")
        self.assertIn("bm25", again["stages_ms"])

    def test_a_document_that_would_be_read_ends_it(self):
        self.ask()
        self.put("leave2.txt", "미사용 연차는 임원의 경우 10일까지 이월할 수 있다.")
        self.assertEqual(self.ask()["cache"], "none")


class Off(WithRagd):
    cache = "enabled = 0\n"

    def test_everything_is_made_anew(self):
        self.ask()
        self.assertEqual(self.ask()["cache"], "none")
        self.assertFalse(self.ok("GET", "/v1/cache")["enabled"])
        self.assertEqual(self.ok("DELETE", "/v1/cache")["removed"], 0)
        status, _ = self.kim.call("POST", "/v1/feedback", {"entry": 1, "correct": True})
        self.assertEqual(status, 404)
        self.assertFalse((self.ragd.state / "cache.db").exists())


class Management(WithRagd):
    def test_everybody_sees_their_own(self):
        self.ask(who=self.kim)
        self.ask(OFF_TOPIC, who=self.lee)
        self.assertEqual([e["question"] for e in self.entries(self.kim)], [QUESTION])
        self.assertEqual([e["question"] for e in self.entries(self.lee)], [OFF_TOPIC])
        self.assertEqual([e["question"] for e in self.entries(self.root)], [OFF_TOPIC, QUESTION])
        entry = self.entries(self.kim)[0]
        self.assertEqual((entry["collection"], entry["refused"], entry["documents"]),
                         ("handbook", False, 1))
        self.assertEqual(len(self.ok("GET", "/v1/cache?limit=1")["entries"]), 1)

    def test_who_may_write_a_collection_may_clear_it(self):
        self.ask()
        self.assertEqual(self.lee.call("DELETE", "/v1/cache?collection=handbook")[0], 403)
        self.assertEqual(self.kim.call("DELETE", "/v1/cache")[0], 403)
        self.assertEqual(
            self.ok("DELETE", "/v1/cache?collection=handbook", who=self.kim)["removed"], 1)
        self.assertEqual(self.ask()["cache"], "none")
        self.assertEqual(self.ok("DELETE", "/v1/cache")["removed"], 1)
        rows = self.ok("GET", "/v1/audit?kind=cache.clear")["entries"]
        self.assertEqual([(r["principal"], r["payload"]["removed"]) for r in rows],
                         [("token:kim", 1), ("token:root", 1)])

    def test_a_report_on_the_answer_of_another_is_as_none(self):
        self.ask(who=self.kim)
        hit = self.ask(who=self.kim)
        report = {"entry": hit["cached_from"]["entry"], "correct": False}
        theirs = self.lee.call("POST", "/v1/feedback", report)
        nobodys = self.lee.call("POST", "/v1/feedback", {"entry": 999, "correct": False})
        by_request = self.lee.call("POST", "/v1/feedback",
                                   {"request_id": hit["request_id"], "correct": False})
        self.assertEqual(theirs[0], 404)
        self.assertEqual(theirs, nobodys)
        self.assertEqual(theirs, by_request)
        self.assertEqual(self.ask(who=self.kim)["cache"], "exact")

    def test_a_wrong_answer_is_forgotten_and_the_report_recorded(self):
        self.ask()
        entry = self.ask()["cached_from"]["entry"]
        self.ok("POST", "/v1/feedback", {"entry": entry, "correct": True}, self.kim)
        told = self.ok("POST", "/v1/feedback", {"entry": entry, "correct": False}, self.kim)
        self.assertEqual((told["kind"], told["similarity"]), ("exact", 1))
        self.assertEqual(self.ask()["cache"], "none")
        row = self.ok("GET", "/v1/audit?kind=cache.feedback")["entries"][-1]
        self.assertEqual(row["principal"], "token:kim")
        self.assertEqual((row["payload"]["entry"], row["payload"]["correct"]), (entry, False))
        stats = self.stats()
        self.assertEqual((stats["reported_correct"], stats["reported_false"]), (1, 1))

    def test_reports_that_make_no_sense_are_refused(self):
        for report, part in (({"correct": True}, "needs"), ({"entry": 1}, "'correct'"),
                             ({"entry": 0, "correct": True}, "entry"),
                             ({"entry": 1, "correct": "yes"}, "correct"),
                             ({"entry": 1, "correct": True, "similarity": 2}, "similarity"),
                             ({"entry": 1, "right": True}, "right")):
            status, reply = self.kim.call("POST", "/v1/feedback", report)
            self.assertEqual(status, 400, reply)
            self.assertIn(part, reply["error"]["message"])

    def test_ragctl_shows_clears_and_reports(self):
        def ragctl(*arguments):
            run = self.ragd.ragctl("cache", *arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
            return run.stdout

        me = User(self.ragd)
        self.addCleanup(me.close)
        self.ask(who=me)
        entry = self.ask(who=me)["cached_from"]["entry"]
        self.assertIn("1 answers", ragctl("stats"))
        self.assertIn(QUESTION, ragctl("list"))
        self.assertEqual(json.loads(ragctl("list", "--json"))["entries"][0]["entry"], entry)
        self.assertIn("noted as right", ragctl("feedback", str(entry), "--right"))
        self.assertIn("1 answers forgotten", ragctl("clear", "--collection", "handbook"))
        self.assertEqual(self.ragd.ragctl("cache", "clear").returncode, 2)
        self.assertEqual(self.ragd.ragctl("cache", "feedback", str(entry), "--wrong").returncode, 1)

    def test_metrics_count_hits_by_kind(self):
        self.ask()
        self.ask()
        self.ask(cache=False)
        metrics = exposition.parse(self.ok("GET", "/metrics"))
        for result, n in (("exact", 1), ("miss", 1), ("bypass", 1), ("semantic", 0)):
            self.assertEqual(exposition.value(metrics, "ragd_cache_lookups_total", result=result),
                             n, result)
        self.assertEqual(exposition.value(metrics, "ragd_cache_entries"), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=1)
