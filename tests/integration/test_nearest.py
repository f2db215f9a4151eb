#!/usr/bin/env python3
"""What a refusal names: passages that the question's own search found, as the policy lets them be
shown, in every shape that a reply has.

    test_nearest.py BUILD_DIR"""
import json
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd, TcpListener, User  # noqa: E402
from stub_openai import DIM, StubOpenAI, healthy, mode  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
EMBEDDER = pathlib.Path(__file__).resolve().parents[1] / "data" / "models" / "tiny-xlmr-embed"
CHARS = 100  # of a snippet: NEAREST_CHARS_MAX
PHONE = "010-1234-5678"
STARS = "*" * len(PHONE)

DOCUMENTS = {
    "휴가.md": "# 휴가 규정\n\n## 연차\n\n" + "입사한 해에는 한 달을 채울 때마다 하루가 생긴다. " * 6 +
              "쓰지 않은 연차는 5일까지 다음 해로 넘어간다. " + "신청은 사흘 전에 한다. " * 8,
    "연락.md": f"# 담당자\n\n연차 담당자는 김철수 과장이고 전화는 {PHONE}이다.\n",
    "식당.txt": "구내식당은 11시 30분에 문을 연다.",
    "보안.txt": "비밀번호는 90일마다 바꾼다.",
    "출장.txt": "출장 여비는 돌아와서 이레 안에 청구한다.",
}
NOT_SAID = "2031년 연차는 며칠인가요?"           # missing_constraint
OFF_TOPIC = "화성 탐사선의 발사 비용은 얼마인가요?"  # low_relevance: a word of it is somewhere


class Base(unittest.TestCase):
    def begin(self, config=None, policy=None, documents=None):
        self.ragd = Ragd(BUILD, config=config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        if policy:
            path = self.ragd.folder / "guard.json"
            path.write_text(json.dumps({"rules": policy}, ensure_ascii=False), encoding="utf-8")
            self.ragd.config = f"{config or ''}[guard]\npolicy = {path}\n"
        self.ragd.start()
        self.ok("PUT", "/v1/collections/c", {})
        for name, text in (DOCUMENTS if documents is None else documents).items():
            self.put(name, text)

    def ok(self, method, target, body=None, content_type="application/json"):
        status, reply = self.ragd.call(method, target, body, content_type)
        self.assertIn(status, (200, 201), reply)
        return reply

    def put(self, name, text):
        self.ok("PUT", self.ragd.document("c", name), text,
                "text/markdown" if name.endswith(".md") else "text/plain")

    def ask(self, question, code=None, **members):
        reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": question, **members})
        if code:
            self.assertEqual((reply["refused"], reply["reason_code"]), (True, code), reply)
            self.check(reply["nearest"])
        return reply

    def search(self, query, **members):
        return self.ok("POST", "/v1/search", {"collection": "c", "query": query, **members})

    def check(self, nearest):
        """Each span is what it says, in the document as it is stored."""
        self.assertLessEqual(len(nearest), 3)
        for s in nearest:
            stored = self.ok("GET", self.ragd.document("c", s["document"]) + "?text=1")
            shown = stored["text"].encode()[s["snippet_start"]:s["snippet_end"]].decode()
            self.assertEqual(len(s["snippet"].encode()), len(shown.encode()))
            if "*" not in s["snippet"]:
                self.assertEqual(s["snippet"], shown)
            self.assertLessEqual(len(s["snippet"]), CHARS)
            self.assertLessEqual(s["byte_start"], s["snippet_start"])
            self.assertLessEqual(s["snippet_end"], s["byte_end"])

    def events(self, question, **members):
        body = {"collection": "c", "question": question, "stream": True, **members}
        text = self.ok("POST", "/v1/ask", body)
        return {event.split("\n")[0][len("event: "):]:
                json.loads(event.split("\ndata: ")[1])
                for event in text.strip().split("\n\n")}

    def row(self, reply):
        return self.ok("GET", f"/v1/audit?request_id={reply['request_id']}")["entries"][0]["payload"]


def places(items):
    return [(s["document"], s["byte_start"], s["byte_end"]) for s in items]


class Words(Base):
    def setUp(self):
        self.begin("[audit]\nsearches = 1\n")

    def test_they_are_what_the_search_found_first(self):
        reply = self.ask(NOT_SAID, "missing_constraint")
        found = self.search(NOT_SAID)["results"]
        self.assertEqual(places(reply["nearest"]), places(found[:3]))
        for near, result in zip(reply["nearest"], found):
            for key in ("chunk", "version", "title", "heading", "score"):
                self.assertEqual(near[key], result[key], key)
            self.assertEqual(near["by"], "search")
        self.assertEqual(reply["nearest"][0]["document"], "휴가.md")

    def test_a_snippet_stands_around_the_words_of_the_question(self):
        near = self.ask(NOT_SAID, "missing_constraint")["nearest"][0]
        self.assertIn("연차", near["snippet"])
        self.assertGreater(near["snippet_start"], near["byte_start"])
        self.assertLess(near["snippet_end"], near["byte_end"])

    def test_no_more_than_an_answer_would_be_made_from(self):
        self.assertEqual(len(self.ask(NOT_SAID, "missing_constraint", top_k=1)["nearest"]), 1)

    def test_a_filter_holds_for_them(self):
        reply = self.ask(NOT_SAID, "missing_constraint", filter={"document": "연락.md"})
        self.assertEqual([s["document"] for s in reply["nearest"]], ["연락.md"])

    def test_an_answer_names_none(self):
        reply = self.ask("비밀번호는 며칠마다 바꾸나요?")
        self.assertFalse(reply["refused"])
        self.assertNotIn("nearest", reply)

    def test_where_nothing_is_found_there_is_nothing(self):
        self.assertEqual(self.ask("Zyzzyva quokka?", "no_passages")["nearest"], [])
        self.ok("PUT", "/v1/collections/empty", {})
        reply = self.ok("POST", "/v1/ask", {"collection": "empty", "question": NOT_SAID})
        self.assertEqual((reply["reason_code"], reply["nearest"]), ("no_passages", []))

    def test_a_refusal_of_the_answerer_names_them_too(self):
        reply = self.ask("구내식당 반찬은 몇 가지인가요?")
        self.assertTrue(reply["refused"], reply)
        self.assertEqual(reply["backend"], "extractive")
        self.check(reply["nearest"])
        self.assertEqual(reply["nearest"][0]["document"], "식당.txt")

    def test_every_shape_of_a_reply_has_them(self):
        want = self.ask(NOT_SAID, "missing_constraint", cache=False)["nearest"]
        self.assertEqual(self.events(NOT_SAID, cache=False)["done"]["nearest"], want)
        chat = {"collection": "c", "messages": [{"role": "user", "content": NOT_SAID}]}
        reply = self.ok("POST", "/v1/chat/completions", chat)
        self.assertEqual(reply["ragd"]["nearest"], want)
        text = self.ok("POST", "/v1/chat/completions", {**chat, "stream": True})
        chunks = [json.loads(line[6:]) for line in text.split("\n")
                  if line.startswith("data: {")]
        self.assertEqual(chunks[-1]["ragd"]["nearest"], want)

    def test_a_follow_up_names_what_its_whole_question_found(self):
        turns = [{"role": "user", "content": "연차는 며칠까지 넘어가나요?"},
                 {"role": "assistant", "content": "5일입니다."}]
        reply = self.ask("그럼 2031년은요?", "missing_constraint", messages=turns)
        self.assertIn("연차", reply["standalone_question"])
        self.assertEqual(reply["nearest"][0]["document"], "휴가.md")
        self.assertIn("연차", reply["nearest"][0]["snippet"])
        done = self.events("그럼 2031년은요?", messages=turns)["done"]
        self.assertEqual(done["nearest"], reply["nearest"])

    def test_what_is_shown_is_recorded(self):
        reply = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual(self.row(reply)["nearest"], reply["nearest"])
        self.assertNotIn("nearest", self.row(self.ask("비밀번호는 며칠마다 바꾸나요?")))

    def test_ragctl_prints_them_and_searches_nothing(self):
        run = self.ragd.ragctl("ask", "-c", "c", NOT_SAID)
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertIn("가장 가까운 단락 (답인지는 모릅니다):\n    휴가.md (휴가 규정, 연차)\n        …", run.stdout)
        for name in ("--stream", "--json"):
            again = self.ragd.ragctl("ask", "-c", "c", NOT_SAID, name)
            self.assertIn("쓰지 않은 연차는", again.stdout)
        chat = self.ragd.ragctl("chat", "-c", "c", input=NOT_SAID + "\n")
        self.assertIn("가장 가까운 단락", chat.stdout)
        self.assertEqual(self.ok("GET", "/v1/audit?kind=search")["entries"], [])

    def test_mcp_has_them_as_text_and_as_structure(self):
        lines = [{"jsonrpc": "2.0", "id": 1, "method": "initialize",
                  "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                             "clientInfo": {"name": "test", "version": "1"}}},
                 {"jsonrpc": "2.0", "method": "notifications/initialized"},
                 {"jsonrpc": "2.0", "id": 2, "method": "tools/call",
                  "params": {"name": "ask", "arguments": {"collection": "c",
                                                          "question": NOT_SAID}}}]
        run = subprocess.run([str(BUILD / "ragctl"), "mcp", "--socket", self.ragd.socket],
                             input="".join(json.dumps(x) + "\n" for x in lines), text=True,
                             capture_output=True, timeout=60, check=False)
        replies = [json.loads(line) for line in run.stdout.splitlines()]
        result = next(r for r in replies if r.get("id") == 2)["result"]
        nearest = result["structuredContent"]["nearest"]
        self.check(nearest)
        text = result["content"][0]["text"]
        for s in nearest:
            self.assertIn(" ".join(s["snippet"].split()), text)


class Vectors(Base):
    def setUp(self):
        self.begin(f"[models]\nembedder = {EMBEDDER}\n")
        self.wait()

    def wait(self):
        until = time.monotonic() + 60
        while True:
            vectors = self.ok("GET", "/v1/collections/c")["vectors"]
            if vectors["state"] == "ready" and vectors["pending"] == 0:
                return
            self.assertLess(time.monotonic(), until, vectors)
            time.sleep(0.02)

    def test_what_shares_no_words_is_named_by_its_vector(self):
        reply = self.ask(OFF_TOPIC, "low_relevance")
        found = self.search(OFF_TOPIC, mode="dense")["results"]
        self.assertEqual(places(reply["nearest"]), places(found[:3]))
        self.assertEqual([s["by"] for s in reply["nearest"]], ["vectors"] * 3)
        for near, result in zip(reply["nearest"], found):
            self.assertAlmostEqual(near["score"], result["dense_score"], places=5)

    def test_also_where_fusion_leaves_it_behind(self):
        # many passages with a word of the question: the head of the ranking is theirs
        for i in range(60):
            self.put(f"d{i}", f"비용 비용 비용 {i}번째 항목의 비용")
        self.wait()
        self.ok("PUT", "/v1/collections/c", {"fusion": {"weight_dense": 0.01}})
        first = self.search(OFF_TOPIC, mode="dense", top_k=100)["results"]
        head = places(self.search(OFF_TOPIC, top_k=30)["results"])
        self.assertNotEqual([p for p in places(first[:3]) if p not in head], [])
        reply = self.ask(OFF_TOPIC, "low_relevance")
        self.assertEqual(places(reply["nearest"]), places(first[:3]))

    def test_what_the_question_insists_on_is_for_words(self):
        reply = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual([s["by"] for s in reply["nearest"]], ["search"] * 3)

    def test_without_weight_there_are_no_vectors_to_go_by(self):
        self.ok("PUT", "/v1/collections/c", {"fusion": {"weight_dense": 0}})
        reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": OFF_TOPIC})
        self.assertEqual([s for s in reply["nearest"] if s["by"] == "vectors"], [])


class Policy(Base):
    PII = {"name": "pii", "kind": "pii", "on": ["passage"], "action": "mask"}
    SECRET = {"name": "secret", "kind": "keywords", "words": ["담당자"], "on": ["passage"],
              "action": "drop"}

    def test_what_is_masked_in_passages_is_masked_here(self):
        self.begin(policy=[self.PII])
        reply = self.ask("2031년 연차 담당자의 전화는?", "missing_constraint")
        text = json.dumps(reply, ensure_ascii=False)
        self.assertNotIn(PHONE, text)
        near = next(s for s in reply["nearest"] if s["document"] == "연락.md")
        self.assertIn(STARS, near["snippet"])
        self.assertNotIn(PHONE, json.dumps(self.row(reply), ensure_ascii=False))
        self.assertEqual(reply["guard"]["verdict"], "mask")

    def test_what_is_left_out_of_passages_is_not_named(self):
        self.begin(policy=[self.SECRET])
        reply = self.ask("2031년 연차 담당자의 전화는?", "missing_constraint")
        self.assertNotIn("연락.md", [s["document"] for s in reply["nearest"]])
        self.assertNotIn(PHONE, json.dumps(reply, ensure_ascii=False))

    def test_so_it_is_for_what_only_vectors_found(self):
        for rule, there in ((self.PII, True), (self.SECRET, False)):
            self.begin(f"[models]\nembedder = {EMBEDDER}\n", [rule],
                       {"연락.md": DOCUMENTS["연락.md"], "식당.txt": DOCUMENTS["식당.txt"]})
            Vectors.wait(self)
            reply = self.ask("화성 탐사선의 시 발사 비용", "low_relevance")
            text = json.dumps(reply, ensure_ascii=False)
            self.assertNotIn(PHONE, text)
            self.assertEqual(STARS in text, there, reply)
            self.assertEqual([s["document"] for s in reply["nearest"]
                              if s["document"] == "연락.md"], ["연락.md"] if there else [])
            self.assertEqual([s["by"] for s in reply["nearest"]][:1], ["vectors"])

    def test_a_refusal_of_the_policy_names_nothing(self):
        self.begin(policy=[{"name": "pay", "kind": "keywords", "words": ["연차"],
                            "on": ["question"], "action": "refuse"},
                           {"name": "code", "kind": "keywords", "words": ["비밀번호"],
                            "on": ["answer"], "action": "refuse"}])
        for question in (NOT_SAID, "비밀번호는 며칠마다 바꾸나요?"):
            reply = self.ask(question, "guard")
            self.assertEqual(reply["nearest"], [])
            self.assertEqual(self.events(question)["done"]["nearest"], [])
            self.assertNotIn("가까운", self.ragd.ragctl("ask", "-c", "c", question).stdout)


class Readers(Base):
    def test_who_may_not_read_is_named_nothing(self):
        self.ragd = Ragd(BUILD)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        tcp = TcpListener(self.ragd, ["kim"])
        self.ragd.config = f"[http]\n{tcp.config_lines}"
        self.ragd.start()
        self.ok("PUT", "/v1/collections/c", {})
        self.put("연락.md", DOCUMENTS["연락.md"])
        kim = User(self.ragd, tcp, "kim")
        self.addCleanup(kim.close)
        ask = {"collection": "c", "question": NOT_SAID}
        status, reply = kim.call("POST", "/v1/ask", ask)
        self.assertEqual((status, "nearest" in json.dumps(reply)), (403, False), reply)
        self.ok("PUT", "/v1/collections/c", {"readers": ["token:kim"]})
        self.assertEqual(kim.call("POST", "/v1/ask", ask)[1]["nearest"][0]["document"], "연락.md")


@mode
def judging(stub, x):
    """Vectors as the stub has them; each chat is a judge's, who says what stub.judge does."""
    if x.path == "/v1/chat/completions":
        prompt = x.json["messages"][-1]["content"]
        stub.answer = stub.judge(stub, prompt)
    healthy(stub, x)


class Slow(Base):
    """A judge reads passages. Those that are nearest by their vectors ("항목") share no word with
    the question; those that words find ("비용 비용") are given, and only these has the guard read
    when the gate refuses."""
    N_ITEMS = 20
    READS = 9  # NEAREST_READS_MAX
    RULE = {"name": "judge", "kind": "judge", "rubric": "Is it secret?", "on": ["passage"],
            "action": "drop"}

    def judged_by(self, judge, config=""):
        stub = StubOpenAI()
        stub.__enter__()
        self.addCleanup(stub.__exit__, None, None, None)
        stub.judge = judge
        stub.vector = self.vector
        stub.become("judging")
        self.begin(f"[openai]\nbase_url = {stub.url('/v1')}\nmodel = j\nallow_private = 1\n"
                   f"[remote]\nembed_url = {stub.url('/v1')}\nembed_model = e\n"
                   f"embed_dim = {DIM}\nallow_private = 1\n{config}", [self.RULE],
                   {f"첫째{i}.txt": f"비용 비용 비용 비용 비용 {i}" for i in range(3)} |
                   {f"항목{i}.txt": f"여러 가지로 나뉘는 {i}번째 항목을 적어 두는 글이다"
                    for i in range(self.N_ITEMS)})
        Vectors.wait(self)
        self.ok("PUT", "/v1/collections/c", {"fusion": {"weight_dense": 0.01}})
        stub.forget()
        return stub

    @staticmethod
    def vector(text):
        near = 0.0 if "비용 비용" in text else 1.0  # a question's, too
        return [near, 1.0 - near] + [0.0] * (DIM - 2)

    def test_so_many_passages_are_read_and_no_more(self):
        asked = []

        def judge(_, prompt):
            asked.append(prompt)
            return "yes" if "항목" in prompt else "no"

        self.judged_by(judge)
        reply = self.ask(OFF_TOPIC, "low_relevance", top_k=2)
        self.assertEqual(sum("항목" in p for p in asked), self.READS)
        # those behind them that the guard had read before are named all the same
        self.assertEqual([s["document"][:2] for s in reply["nearest"]], ["첫째"] * 2)
        self.assertEqual(reply["degraded"], [])

    def test_the_refusal_stands_when_the_deadline_passes(self):
        items = []

        def judge(stub, prompt):
            if "항목" in prompt:
                items.append(prompt)
                if len(items) > 1:
                    stub.sleep(3600)
            return "no"

        self.judged_by(judge, "[retrieve]\nembed_budget_ms = 60000\n")
        reply = self.ask(OFF_TOPIC, "low_relevance", deadline_ms=10_000, top_k=3)
        # The client of the judge keeps a part of the time back: whether its own time is up first,
        # and the passage unchecked, or the request's, is a matter of a millisecond.
        stages = [d["stage"] for d in reply["degraded"]]
        self.assertIn(stages, ([], ["guard"]), reply)
        named = [s["document"] for s in reply["nearest"]]
        self.assertIn(named, [[f"항목{i}.txt" for i in range(n)] for n in (1, 2, 3)])
        self.assertEqual(self.row(reply)["nearest"], reply["nearest"])
        if stages:  # a refusal of which something was left out is not kept
            del items[:]
            self.assertEqual(self.ask(OFF_TOPIC, "low_relevance", deadline_ms=10_000,
                                      top_k=3)["cache"], "none")

    def test_nothing_is_read_for_it_where_it_is_off(self):
        asked = []

        def judge(_, prompt):
            asked.append(prompt)
            return "no"

        self.judged_by(judge, "[ask]\nnearest = 0\n")
        reply = self.ask(OFF_TOPIC, "low_relevance", top_k=2)
        self.assertEqual(reply["nearest"], [])
        self.assertEqual([p for p in asked if "항목" in p], [])
        self.assertEqual(len(asked), 2)


class Key(Base):
    """[ask] nearest."""

    def restart(self, config):
        self.ragd.stop()
        self.ragd.config = config
        self.ragd.start()

    def test_so_many_are_named(self):
        self.begin("[ask]\nnearest = 1\n")
        self.assertEqual(len(self.ask(NOT_SAID, "missing_constraint")["nearest"]), 1)

    def test_none_is_shown_or_recorded_where_it_is_off(self):
        self.begin("[ask]\nnearest = 0\n")
        reply = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual((reply["nearest"], self.row(reply)["nearest"]), ([], []))
        self.assertEqual(self.events(NOT_SAID)["done"]["nearest"], [])
        run = self.ragd.ragctl("ask", "-c", "c", NOT_SAID)
        self.assertEqual(run.returncode, 3, run.stderr)
        self.assertNotIn("가까운", run.stdout)

    def test_a_cached_refusal_does_not_outlive_it(self):
        self.begin("")
        shown = self.ask(NOT_SAID, "missing_constraint")["nearest"]
        self.assertEqual(len(shown), 2)
        self.restart("")
        again = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual((again["cache"], again["nearest"]), ("exact", shown))
        self.restart("[ask]\nnearest = 0\n")
        off = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual((off["cache"], off["nearest"]), ("none", []))

    def test_more_than_three_is_a_mistake(self):
        self.ragd = Ragd(BUILD)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        path = self.ragd.folder / "more.conf"
        path.write_text("[ask]\nnearest = 4\n", encoding="utf-8")
        run = subprocess.run([str(BUILD / "ragd"), "-n", "-f", str(path)], text=True,
                             capture_output=True, timeout=60, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("nearest", run.stderr)


class Cached(Base):
    def test_a_cached_refusal_names_the_same_until_anything_changes(self):
        self.begin()
        first = self.ask(NOT_SAID, "missing_constraint")
        again = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual((again["cache"], again["nearest"]), ("exact", first["nearest"]))
        self.assertEqual(self.row(again)["nearest"], first["nearest"])
        self.put("연차.txt", "연차 연차 연차")
        third = self.ask(NOT_SAID, "missing_constraint")
        self.assertEqual(third["cache"], "none")
        self.assertIn("연차.txt", [s["document"] for s in third["nearest"]])

    def test_what_it_shows_of_a_document_goes_with_it(self):
        self.begin("[cache]\nexpiry = ttl\n")
        secret = "도롱뇽"
        self.put("비밀.txt", f"연차 이야기에 {secret}이 나온다.")
        reply = self.ask("2031년 연차 도롱뇽은 몇 마리인가요?", "missing_constraint")
        self.assertIn(secret, json.dumps(reply["nearest"], ensure_ascii=False))
        self.assertEqual(self.ok("GET", "/v1/cache")["stats"]["entries"], 1)
        self.ok("DELETE", self.ragd.document("c", "비밀.txt"))
        self.assertEqual(self.ok("GET", "/v1/cache")["stats"]["entries"], 0)

    def test_none_is_kept_while_vectors_are_to_come(self):
        with StubOpenAI() as stub:
            stub.become("error_500")  # they never come
            self.begin(f"[remote]\nembed_url = {stub.url('/v1')}\nembed_model = e\n"
                       f"embed_dim = {DIM}\nallow_private = 1\ntries_max = 1\n"
                       "[models]\nembed_wait_ms = 0\n[cache]\nsemantic = 0\n")
            for _ in range(2):
                reply = self.ask(NOT_SAID, "missing_constraint")
                self.assertEqual((reply["cache"], reply["degraded"]), ("none", []))
                self.assertTrue(reply["nearest"])
            vectors = self.ok("GET", "/v1/collections/c")["vectors"]
            self.assertEqual((vectors["state"], vectors["pending"]), ("embedding", 5))
            answered = self.ask("비밀번호는 며칠마다 바꾸나요?")
            self.assertFalse(answered["refused"])  # and what is answered is kept
            self.assertEqual(self.ok("GET", "/v1/cache")["stats"]["entries"], 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
