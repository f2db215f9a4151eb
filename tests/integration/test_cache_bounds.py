#!/usr/bin/env python3
"""Who gets an answer of the cache, and what ends one: every way to share against every user, every
expiry policy against every kind of change, through kills and restarts.

    test_cache_bounds.py BUILD_DIR"""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd, TcpListener, User  # noqa: E402
from tiny_models import MODELS  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
LEAVE = "미사용 연차는 최대 {}일까지 다음 해로 이월할 수 있다."
QUESTION = "미사용 연차는 며칠까지 이월할 수 있나요?"
FEE = "제주 지역의 배송비는 4,000원이다."
UNANSWERED = "구내식당의 점심 가격은 얼마인가요?"
LUNCH = "구내식당의 점심 가격은 6,500원이다."


class Base(unittest.TestCase):
    """A daemon with the users alice and bob (tokens) and this process (its own user, over the
    socket), and the collection `c` that both may read."""

    def begin(self, cache="", more=""):
        self.ragd = Ragd(BUILD)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.tcp = TcpListener(self.ragd, ("alice", "bob"))
        self.ragd.config = f"[http]\n{self.tcp.config_lines}[cache]\n{cache}{more}"
        self.ragd.start()
        self.alice, self.bob, self.me = (User(self.ragd, self.tcp, name)
                                         for name in ("alice", "bob", None))
        for user in (self.alice, self.bob, self.me):
            self.addCleanup(user.close)
        self.collection("c", ["token:alice", "token:bob"])
        self.put("leave.txt", LEAVE.format(5))
        self.put("fee.txt", FEE)

    def again(self):
        """The daemon was stopped; connections are of the old one."""
        for user in (self.alice, self.bob, self.me):
            user.close()
        self.ragd.start()

    def collection(self, name, readers):
        status, reply = self.me.call("PUT", f"/v1/collections/{name}", {"readers": readers})
        self.assertIn(status, (200, 201), reply)

    def put(self, name, text, collection="c"):
        status, reply = self.me.call("PUT", self.ragd.document(collection, name), text,
                                     "text/plain")
        self.assertIn(status, (200, 201), reply)

    def delete(self, name):
        self.assertEqual(self.me.call("DELETE", self.ragd.document("c", name))[0], 200)

    def ask(self, user, question=QUESTION, code=200, **members):
        status, reply = user.call("POST", "/v1/ask",
                                  {"collection": "c", "question": question, **members})
        self.assertEqual(status, code, reply)
        return reply

    def answered(self, kind, says, user=None, question=QUESTION, **members):
        """Ask; the answer came from there and says that."""
        reply = self.ask(user or self.alice, question, **members)
        self.assertEqual(reply["cache"], kind, reply)
        self.assertIn(says, reply["answer"])
        self.assertEqual(kind != "none", "cached_from" in reply)
        return reply

    def refused(self, kind, user=None, question=UNANSWERED):
        reply = self.ask(user or self.alice, question)
        self.assertEqual((reply["cache"], reply["refused"]), (kind, True), reply)
        return reply


class Similar(Base):
    def test_a_question_that_only_looks_the_same(self):
        self.begin(cache="threshold = 0\nerror_bound = 1\n")
        self.put("ap.txt", "AP-700 장비의 점검 주기는 30일이다.\n\nAP-800 장비의 점검 주기는 45일이다.\n\n"
                           "2023년 매출은 70억 원이다.\n\n2024년 매출은 80억 원이다.")
        for asked, similar, says in (
                ("AP-700 장비의 점검 주기는 며칠인가요?", "AP-800 장비의 점검 주기는 며칠인가요?", "45일"),
                ("2023년 매출은 얼마인가요?", "2024년 매출은 얼마인가요?", "80억")):
            self.assertFalse(self.ask(self.alice, asked)["refused"])
            self.answered("none", says, question=similar)
            self.answered("exact", says, question=similar)

    def test_only_the_same_words(self):
        self.begin(cache="semantic = 0\nthreshold = 0\nerror_bound = 1\n")
        self.answered("none", "5일")
        self.answered("none", "5일", question="연차는 미사용이면 며칠까지 이월할 수 있나요?")
        self.answered("exact", "5일")


class Streams(Base):
    def events(self, path="/v1/ask", **body):
        status, text = self.alice.call("POST", path, {"collection": "c", "stream": True, **body})
        self.assertEqual(status, 200, text)
        out = []
        for block in text.strip().split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n"))
            data = lines["data"]
            out.append((lines.get("event"), data if data == "[DONE]" else json.loads(data)))
        return out

    def test_a_stream_of_the_cache_has_the_same_events(self):
        self.begin()
        first = self.events(question=QUESTION)
        second = self.events(question=QUESTION)
        self.assertEqual(first[-1][1]["cache"], "none")
        self.assertEqual(second[-1][1]["cache"], "exact")
        self.assertEqual([name for name, _ in first], [name for name, _ in second])
        for name in ("delta", "citation"):
            self.assertEqual([data for n, data in first if n == name],
                             [data for n, data in second if n == name])
        documents = [[p["document"] for p in data["passages"]]
                     for events in (first, second) for n, data in events if n == "passages"]
        self.assertEqual(documents[0], documents[1])

    def test_a_chat_of_the_cache_is_the_same(self):
        self.begin()
        body = {"collection": "c", "messages": [{"role": "user", "content": QUESTION}]}
        replies = [self.alice.call("POST", "/v1/chat/completions", body)[1] for _ in range(2)]
        self.assertEqual([r["ragd"]["cache"] for r in replies], ["none", "exact"])
        self.assertEqual(replies[0]["choices"], replies[1]["choices"])
        pieces = ["".join(c["delta"].get("content") or "" for _, data in
                          self.events("/v1/chat/completions", messages=body["messages"])
                          if data != "[DONE]" for c in data["choices"]) for _ in range(2)]
        self.assertEqual(pieces[0].strip(), replies[0]["choices"][0]["message"]["content"].strip())
        self.assertEqual(pieces[0], pieces[1])


class Users(Base):
    def test_nobody_gets_what_another_one_asked(self):
        self.begin()
        self.answered("none", "5일", self.alice)
        for user in (self.bob, self.me):
            self.answered("none", "5일", user)
            self.answered("exact", "5일", user)

    def test_similar_questions_cross_no_users(self):
        self.begin(cache="threshold = 0\nerror_bound = 1\n")
        self.answered("none", "5일", self.alice)
        self.answered("none", "5일", self.bob, "연차는 미사용이면 며칠까지 이월할 수 있나요?")

    def test_readers_share_where_that_is_wanted(self):
        self.begin(cache="share = readers\n")
        self.answered("none", "5일", self.alice)
        reply = self.answered("exact", "5일", self.bob, QUESTION + "?")
        self.assertEqual(reply["cached_from"]["question"], QUESTION)
        self.answered("exact", "5일", self.me)

    def test_a_reader_that_was_taken_from_the_list(self):
        for share in ("principal", "readers"):
            with self.subTest(share):
                self.begin(cache=f"share = {share}\n")
                for user in (self.alice, self.bob):
                    self.ask(user)
                self.answered("exact", "5일", self.bob)
                self.collection("c", ["token:alice"])
                self.ask(self.bob, code=403)
                self.ask(self.bob, code=403, stream=True)
                self.assertFalse(self.ask(self.alice)["refused"])
                self.collection("c", ["token:alice", "token:bob"])
                self.assertIn("5일", self.ask(self.bob)["answer"])

    def test_the_same_question_in_two_collections(self):
        for share in ("principal", "readers"):
            with self.subTest(share):
                self.begin(cache=f"share = {share}\nthreshold = 0\nerror_bound = 1\n")
                self.collection("d", ["token:alice", "token:bob"])
                self.put("other.txt", LEAVE.format(9), "d")
                self.answered("none", "5일")
                self.answered("none", "9일", collection="d")
                self.answered("exact", "5일")
                self.answered("exact", "9일", collection="d")

    def test_a_collection_of_the_same_name(self):
        self.begin(cache="expiry = ttl\n")
        self.answered("none", "5일")
        self.assertEqual(self.me.call("DELETE", "/v1/collections/c")[0], 200)
        self.ask(self.alice, code=404)
        self.collection("c", ["token:alice"])
        self.assertTrue(self.ask(self.alice)["refused"])
        self.put("leave.txt", LEAVE.format(7))
        self.answered("none", "7일")


class Staleness(Base):
    """What a change does to an answer, by policy."""

    def test_what_is_cited_changes(self):
        for expiry in ("change", "top_k", "ttl"):
            for share in ("principal", "readers"):
                with self.subTest(expiry=expiry, share=share):
                    self.begin(cache=f"expiry = {expiry}\nshare = {share}\n")
                    self.answered("none", "5일")
                    self.answered("exact", "5일")
                    self.put("leave.txt", LEAVE.format(8))
                    self.answered("none", "8일")
                    self.answered("exact", "8일")
                    self.put("leave.txt", LEAVE.format(5))  # the first text is another version
                    self.answered("none", "5일")
                    self.delete("leave.txt")
                    self.assertNotIn("5일", self.ask(self.alice)["answer"])
                    self.put("leave.txt", LEAVE.format(6))
                    self.answered("none", "6일")

    def test_what_is_not_cited_changes(self):
        rows = (
            # a document that is about something else
            ("change", "added", "none"), ("top_k", "added", "exact"), ("ttl", "added", "exact"),
            ("change", "changed", "none"), ("ttl", "changed", "exact"),
            ("change", "deleted", "none"), ("ttl", "deleted", "exact"),
            # one that the question would find
            ("change", "rival", "none"), ("top_k", "rival", "none"), ("ttl", "rival", "exact"),
        )
        for expiry, what, kind in rows:
            with self.subTest(expiry=expiry, what=what):
                self.begin(cache=f"expiry = {expiry}\n")
                self.answered("none", "5일")
                self.answered("exact", "5일")
                if what == "added":
                    self.put("other.txt", "사무실의 소화기는 복도 끝에 놓여 있다.")
                elif what == "changed":
                    self.put("fee.txt", "제주 지역의 배송비는 4,500원이다.")
                elif what == "deleted":
                    self.delete("fee.txt")
                else:
                    self.put("rival.txt", "미사용 연차의 이월에 대한 자세한 규정은 인사팀이 안내한다.")
                self.answered(kind, "5일")

    def test_many_changes_in_one_request(self):
        self.begin(cache="expiry = ttl\n")
        self.answered("none", "5일")
        lines = "".join(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n"
                        for name, text in (("a", "가나다"), ("leave.txt", LEAVE.format(4))))
        self.assertEqual(self.me.call("POST", "/v1/collections/c/documents", lines,
                                      "application/x-ndjson")[0], 200)
        self.answered("none", "4일")

    def test_a_refusal_lives_until_the_next_change(self):
        for expiry in ("change", "top_k", "ttl"):
            with self.subTest(expiry):
                self.begin(cache=f"expiry = {expiry}\n")
                self.refused("none")
                self.refused("exact")
                self.put("lunch.txt", LUNCH)
                self.answered("none", "6,500원", question=UNANSWERED)
                self.answered("exact", "6,500원", question=UNANSWERED)
                self.delete("lunch.txt")
                self.refused("none")


class Restarts(Base):
    def test_entries_survive_a_stop(self):
        self.begin()
        self.answered("none", "5일", self.alice)
        self.refused("none", self.alice)
        self.assertEqual(self.ragd.stop(), 0)
        self.again()
        self.assertEqual(self.answered("exact", "5일", self.alice)["cached_from"]["question"],
                         QUESTION)
        self.refused("exact", self.alice)
        self.answered("none", "5일", self.bob)
        self.put("leave.txt", LEAVE.format(3))
        self.answered("none", "3일", self.alice)

    def test_killed_right_after_a_change(self):
        """Whatever was on the disk of cache.db: the old answer is not given again."""
        self.begin(cache="expiry = ttl\n")
        for n in range(10, 20):
            self.ask(self.alice)
            self.put("leave.txt", LEAVE.format(n))
            self.ragd.kill()
            self.again()
            self.answered("none", f"{n}일")
            self.answered("exact", f"{n}일")
        self.ragd.kill()
        self.again()
        self.assertIn("19일", self.ask(self.alice)["answer"])

    def test_other_settings_after_a_restart(self):
        self.begin()
        self.answered("none", "5일", self.alice)
        self.ragd.stop()
        self.ragd.config = self.ragd.config.replace("[cache]\n", "[cache]\nshare = readers\n")
        self.again()
        self.answered("none", "5일", self.bob)
        self.answered("exact", "5일", self.alice)
        self.ragd.stop()
        self.ragd.config += "[ask]\ntop_k = 3\n"
        self.again()
        self.answered("none", "5일", self.alice)


class WithModels(Base):
    """The same with a tiny random encoder and cross-encoder: who gets what must not depend on
    them."""

    def test_users_collections_and_changes(self):
        self.begin(cache="threshold = 0\nerror_bound = 1\npair_min = 0\n",
                   more=f"[models]\nembedder = {MODELS / 'tiny-xlmr-embed'}\n"
                        f"reranker = {MODELS / 'tiny-bert-ce'}\n")
        self.collection("d", ["token:alice", "token:bob"])
        self.put("other.txt", LEAVE.format(9), "d")
        similar = "연차는 미사용이면 며칠까지 이월할 수 있나요?"
        self.answered("none", "5일", self.alice)
        self.answered("none", "9일", self.alice, collection="d")
        self.answered("none", "5일", self.bob, similar)
        self.answered("semantic", "5일", self.alice, similar)
        self.answered("semantic", "9일", self.alice, similar, collection="d")
        self.put("leave.txt", LEAVE.format(8))
        self.answered("none", "8일", self.alice, similar)
        self.answered("exact", "9일", self.alice, collection="d")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
