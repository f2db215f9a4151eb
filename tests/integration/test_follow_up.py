#!/usr/bin/env python3
"""Follow-up questions: asked so that they stand alone, said in the reply, the stream and the
audit record.

    test_follow_up.py BUILD_DIR"""
import json
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")

MODELS = pathlib.Path(__file__).resolve().parents[1] / "data" / "models"

DOCUMENTS = {
    "ap500.md": "# AP-500 설명서\n\nAP-500의 무게는 5.2kg이다. 필터는 6개월마다 교체한다.\n",
    "ap700.md": "# AP-700 설명서\n\nAP-700의 무게는 8.4kg이다. 필터는 12개월마다 교체한다.\n",
    "leave.md": "# 휴가 규정\n\n미사용 연차는 최대 5일까지 이월할 수 있다. 이월한 연차는 3월까지 쓴다.\n",
}


class FollowUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD)
        cls.ragd.start()
        cls.ragd.call("PUT", "/v1/collections/c", {})
        for name, text in DOCUMENTS.items():
            code, reply = cls.ragd.call("PUT", cls.ragd.document("c", name), text,
                                        "text/markdown")
            assert code in (200, 201), reply

    @classmethod
    def tearDownClass(cls):
        cls.ragd.__exit__(None, None, None)

    def ask(self, question, *turns, **more):
        messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": text}
                    for i, text in enumerate(turns)]
        code, reply = self.ragd.call("POST", "/v1/ask",
                                     {"collection": "c", "question": question,
                                      "messages": messages, **more})
        self.assertEqual(code, 200, reply)
        return reply

    def test_a_pronoun_is_understood(self):
        reply = self.ask("그건 언제까지 써야 하나요?", "미사용 연차는 며칠까지 이월할 수 있나요?", "5일입니다.")
        self.assertFalse(reply["refused"], reply)
        self.assertEqual(reply["standalone_question"], "미사용 연차 이월 언제까지 써야 하나요?")
        self.assertEqual(reply["citations"][0]["document"], "leave.md")
        self.assertIn("condense", reply["stages_ms"])

    def test_another_model_is_another_question(self):
        first = "AP-500의 무게는 얼마인가요?"
        reply = self.ask("그럼 AP-700은요?", first, "5.2kg입니다. [1]")
        self.assertEqual(reply["standalone_question"], "AP-700의 무게는 얼마인가요?")
        self.assertIn("8.4kg", reply["answer"])

    def test_what_stands_alone_is_asked_as_it_is(self):
        reply = self.ask("AP-500의 필터는 몇 개월마다 교체해야 하나요?", "연차는 며칠인가요?", "5일입니다.")
        self.assertEqual(reply["standalone_question"], "")
        self.assertIn("6개월", reply["answer"])
        reply = self.ask("그건 언제까지 써야 하나요?")
        self.assertEqual(reply["standalone_question"], "")
        self.assertNotIn("condense", reply["stages_ms"])

    def test_turns_of_any_order_and_content_do_no_harm(self):
        for turns in (("",), ("", ""), ("그건요?", "네", "그건요?", ""), ("가" * 60000, "나"),
                      ("\u200b", "\u0301")):
            self.ask("그건 언제까지 써야 하나요?", *turns)
        code, _ = self.ragd.call("POST", "/v1/ask", {
            "collection": "c", "question": "그건요?",
            "messages": [{"role": "assistant", "content": "연차는 5일"}] * 64})
        self.assertEqual(code, 200)

    def test_it_is_said_in_the_stream_and_recorded(self):
        body = {"collection": "c", "question": "그럼 AP-700은요?", "stream": True,
                "messages": [{"role": "user", "content": "AP-500의 무게는 얼마인가요?"},
                             {"role": "assistant", "content": "5.2kg입니다."}]}
        connection = self.ragd.connection()
        connection.request("POST", "/v1/ask", json.dumps(body),
                           {"Content-Type": "application/json"})
        text = connection.getresponse().read().decode()
        connection.close()
        names = [line[7:] for line in text.splitlines() if line.startswith("event: ")]
        self.assertEqual(names[:3], ["meta", "question", "passages"])
        self.assertIn('"standalone_question":"AP-700의 무게는 얼마인가요?"', text)
        _, audit = self.ragd.call("GET", "/v1/audit?kind=ask&before=1000000&limit=1")
        payload = audit["entries"][0]["payload"]
        self.assertEqual(payload["question"], "그럼 AP-700은요?")
        self.assertEqual(payload["standalone_question"], "AP-700의 무게는 얼마인가요?")
        self.assertEqual(payload["condenser"], "words")
        self.assertEqual((payload["passages_dropped"], payload["sentences_removed"]), (0, 0))


class WithDecoder(unittest.TestCase):
    """A decoder of random weights: what it writes is no question, so the words decide; the audit
    record says so, and the cancelled and the late leave nothing behind."""

    def test_what_a_model_writes_is_checked(self):
        with tempfile.TemporaryDirectory(prefix="ragd-model.") as folder:
            model = pathlib.Path(folder) / "tiny-chat"
            shutil.copytree(MODELS / "tiny-llama3", model)
            config = json.loads((model / "config.json").read_text(encoding="utf-8"))
            config["max_position_embeddings"] = 8192
            (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
            with Ragd(BUILD, config=f"[generate]\nmodel = {model}\nchat_template = chatml\n"
                      "kv_budget_mb = 64\n") as ragd:
                ragd.call("PUT", "/v1/collections/c", {})
                for name, text in DOCUMENTS.items():
                    ragd.call("PUT", ragd.document("c", name), text, "text/markdown")
                body = {"collection": "c", "question": "그럼 AP-700은요?", "backend": "extractive",
                        "messages": [{"role": "user", "content": "AP-500의 무게는 얼마인가요?"},
                                     {"role": "assistant", "content": "5.2kg입니다. [1]"}]}
                code, reply = ragd.call("POST", "/v1/ask", body)
                self.assertEqual(code, 200, reply)
                self.assertEqual(reply["standalone_question"], "AP-700의 무게는 얼마인가요?")
                self.assertIn("8.4kg", reply["answer"])
                _, audit = ragd.call("GET", "/v1/audit?kind=ask&before=1000000&limit=1")
                self.assertEqual(audit["entries"][0]["payload"]["condenser"], "words")
                code, reply = ragd.call("POST", "/v1/ask", {**body, "deadline_ms": 1})
                self.assertIn(code, (200, 504), reply)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
