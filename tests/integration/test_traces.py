#!/usr/bin/env python3
"""Traces: what a collector gets of a request, and that one that misbehaves costs requests nothing.

    test_traces.py BUILD_DIR"""
import json
import os
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import exposition  # noqa: E402
import side_by_side  # noqa: E402
from ragd_process import PATIENCE_S, Ragd  # noqa: E402
from stub_collector import Collector  # noqa: E402
from stub_openai import StubOpenAI  # noqa: E402
from tiny_models import make_decoder  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
QUESTION = "미사용 연차는 며칠까지 이월할 수 있나요?"
LEAVE = "미사용 연차는 최대 5일까지 다음 해로 이월할 수 있다."
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
INTERNAL, SERVER, CLIENT = 1, 2, 3


class WithCollector(unittest.TestCase):
    more = ""
    prefix = ""

    def setUp(self):
        self.collector = Collector(self.prefix)
        self.collector.__enter__()
        self.addCleanup(self.collector.__exit__)
        self.ragd = Ragd(BUILD, config=f"[trace]\nendpoint = {self.collector.url}\n"
                                       f"allow_private = 1\n{self.more}")
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        for name, offline in (("handbook", False), ("secret", True)):
            self.call("PUT", f"/v1/collections/{name}", {"offline": offline})
            self.call("PUT", self.ragd.document(name, "leave.txt"), LEAVE,
                      content_type="text/plain")

    def call(self, method, target, body=None, code=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertIn(status, (code,) if code else (200, 201), reply)
        return reply

    def ask(self, collection="handbook", headers=None, **members):
        return self.call("POST", "/v1/ask",
                         {"collection": collection, "question": QUESTION, **members},
                         headers=headers)

    def wait_for(self, found, seconds=PATIENCE_S):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            result = found()
            if result:
                return result
            time.sleep(0.05)
        return self.fail(f"it did not happen in time; {self.collector.problems}")

    def trace_of(self, request_id):
        """The server's span of a request and the others of its trace, by name."""
        def found():
            spans = self.collector.spans()
            for s in spans:
                if s["attributes"].get("http.response.header.x-request-id") == [request_id]:
                    return s, {o["name"]: o for o in spans
                               if o["trace"] == s["trace"] and o is not s}
            return None
        result = self.wait_for(found)
        self.assertEqual(self.collector.problems, [])
        return result

    def counted(self, outcome):
        return exposition.value(exposition.parse(self.call("GET", "/metrics")),
                                "ragd_trace_spans_total", outcome=outcome)


class Spans(WithCollector):
    def test_the_server_span_has_what_http_spans_have(self):
        reply = self.ask()
        server, _ = self.trace_of(reply["request_id"])
        self.assertEqual(server["name"], "POST /v1/ask")
        self.assertEqual(server["kind"], SERVER)
        self.assertIsNone(server["parent"])
        self.assertFalse(server["error"])
        want = {"http.request.method": "POST", "http.route": "/v1/ask", "url.path": "/v1/ask",
                "http.response.status_code": 200, "network.transport": "unix",
                "ragd.outcome": "answered"}
        self.assertEqual({k: server["attributes"].get(k) for k in want}, want)

    def test_spans_lie_within_their_parents(self):
        server, others = self.trace_of(self.ask()["request_id"])
        by_id = {s["id"]: s for s in [server, *others.values()]}
        self.assertIn("queue", others)
        for s in others.values():
            self.assertIn(s["parent"], by_id, s["name"])
            above = by_id[s["parent"]]
            self.assertGreaterEqual(s["begun"], above["begun"], s["name"])
            self.assertLessEqual(s["ended"], above["ended"], s["name"])

    def test_each_stage_has_a_span(self):
        reply = self.ask()
        server, others = self.trace_of(reply["request_id"])
        search = others["retrieval handbook"]
        self.assertEqual(search["attributes"]["gen_ai.operation.name"], "retrieval")
        self.assertEqual(search["attributes"]["gen_ai.data_source.id"], "handbook")
        self.assertEqual(search["attributes"]["ragd.search.mode"], "bm25")
        within = {"analyze", "filter", "bm25", "dense", "fuse", "fetch", "rerank"}
        for stage, ms in reply["stages_ms"].items():
            if stage in ("total", "generate"):
                continue
            span = others[stage]
            self.assertEqual(span["parent"], (search if stage in within else server)["id"], stage)
            self.assertEqual(span["kind"], INTERNAL)
            if stage not in ("audit", "guard"):  # these two go on behind the reply's figures
                self.assertAlmostEqual((span["ended"] - span["begun"]) / 1e6, ms,
                                       delta=.01 + ms / 1000, msg=stage)
        generate = others["generate extractive"]
        self.assertEqual(generate["attributes"]["ragd.backend"], "extractive")
        self.assertNotIn("gen_ai.request.model", generate["attributes"])
        want = {"ragd.collection": "handbook", "ragd.cache": "miss", "ragd.guard.verdict": "pass",
                "ragd.backend": "extractive"}
        self.assertEqual({k: server["attributes"].get(k) for k in want}, want)

    def test_an_answer_of_the_cache_says_so(self):
        self.ask()
        reply = self.ask()
        self.assertEqual(reply["cache"], "exact")
        server, others = self.trace_of(reply["request_id"])
        self.assertEqual(server["attributes"]["ragd.cache"], "exact")
        self.assertEqual(server["attributes"]["ragd.cache.similarity"], 1)
        self.assertIn("cache", others)
        self.assertNotIn("generate extractive", others)

    def test_an_offline_collection_has_no_name(self):
        reply = self.ask("secret")
        _, others = self.trace_of(reply["request_id"])
        self.assertIn("retrieval", others)
        self.ragd.stop()
        for span in self.collector.spans():
            self.assertNotIn("secret", json.dumps(span))

    def test_a_search_has_its_stages(self):
        reply = self.call("POST", "/v1/search", {"collection": "handbook", "query": QUESTION})
        server, others = self.trace_of(reply["request_id"])
        self.assertEqual(server["attributes"]["ragd.outcome"], "found")
        self.assertIn("bm25", others)

    def test_no_text_of_a_person_leaves(self):
        self.trace_of(self.ask()["request_id"])
        self.call("GET", self.ragd.document("handbook", "leave.txt"))
        self.call("GET", self.ragd.document("handbook", "연차"), code=404)
        self.call("POST", "/v1/ask", {"collection": "handbook", "question": "연차", "연차": 1},
                  code=400)
        self.ragd.stop()
        self.assertEqual(self.collector.problems, [])
        sent = b"".join(self.collector.bodies)
        for text in ("연차", "이월", "5일", "leave.txt", f"uid:{os.getuid()}"):
            self.assertNotIn(text.encode(), sent)
            self.assertNotIn(json.dumps(text)[1:-1].encode(), sent)

    def test_what_waits_is_sent_at_stop(self):
        n = len(self.collector.spans())
        for _ in range(5):
            self.ask()
        self.ragd.stop()
        servers = [s for s in self.collector.spans()[n:] if s["name"] == "POST /v1/ask"]
        self.assertEqual(len(servers), 5)

    def test_probes_are_no_traces(self):
        for path in ("/healthz", "/readyz", "/metrics"):
            self.call("GET", path)
        self.ragd.stop()
        self.assertEqual([s["name"] for s in self.collector.spans() if s["name"].startswith("GET")],
                         [])


class Decoder(WithCollector):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ragd-model.")
        self.addCleanup(folder.cleanup)
        self.more = (f"[generate]\nmodel = {make_decoder(folder.name)}\nchat_template = chatml\n"
                     f"kv_budget_mb = 64\n")
        super().setUp()

    def test_a_model_is_traced_as_one(self):
        reply = self.call("POST", "/v1/chat/completions", {
            "messages": [{"role": "user", "content": "비밀 질문"}], "max_tokens": 8,
            "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["비밀"]})
        _, others = self.trace_of(reply["id"][len("chatcmpl-"):])
        span = others["chat tiny-chat"]
        self.assertEqual(span["kind"], INTERNAL)
        usage = reply["usage"]
        want = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "ragd",
                "gen_ai.request.model": "tiny-chat", "gen_ai.response.model": "tiny-chat",
                "gen_ai.request.temperature": 0.5, "gen_ai.request.top_p": 0.9,
                "gen_ai.request.max_tokens": 8, "gen_ai.request.seed": 7,
                "gen_ai.output.type": "text",
                "gen_ai.response.finish_reasons": [reply["choices"][0]["finish_reason"]],
                "gen_ai.usage.input_tokens": usage["prompt_tokens"],
                "gen_ai.usage.output_tokens": usage["completion_tokens"],
                "gen_ai.usage.cache_read.input_tokens":
                    usage["prompt_tokens_details"]["cached_tokens"],
                "ragd.backend": "local"}
        self.assertEqual({k: span["attributes"].get(k) for k in want}, want)
        sent = b"".join(self.collector.bodies)
        for text in ("비밀", reply["choices"][0]["message"]["content"]):
            self.assertNotIn(json.dumps(text)[1:-1].encode(), sent)
            self.assertNotIn(text.encode(), sent)


class Server(WithCollector):
    def setUp(self):
        self.stub = StubOpenAI()
        self.stub.__enter__()
        self.addCleanup(self.stub.__exit__)
        self.more = (f"[openai]\nbase_url = http://127.0.0.1:{self.stub.port}/v1\n"
                     "model = far-model\nallow_private = 1\ntries_max = 1\n"
                     "[cache]\nenabled = 0\n")
        super().setUp()

    def test_another_servers_model_is_a_client_span(self):
        reply = self.ask()
        self.assertEqual(reply["backend"], "openai")
        _, others = self.trace_of(reply["request_id"])
        span = others["chat far-model"]
        self.assertEqual(span["kind"], CLIENT)
        self.assertEqual(span["attributes"]["gen_ai.provider.name"], "openai")
        self.assertEqual(span["attributes"]["gen_ai.request.model"], "far-model")

    def test_that_it_failed_is_seen(self):
        self.stub.mode = "wrong_json"
        reply = self.ask()
        self.assertEqual(reply["backend"], "extractive")
        server, others = self.trace_of(reply["request_id"])
        self.assertEqual(server["attributes"]["ragd.degraded"], ["generate"])
        self.assertIn("generate extractive", others)


class Parents(WithCollector):
    more = "sample_ratio = 0\n"

    def test_a_sampled_parent_is_followed(self):
        reply = self.ask(headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        server, _ = self.trace_of(reply["request_id"])
        self.assertEqual((server["trace"], server["parent"]), (TRACE, PARENT))

    def test_all_else_is_not_traced(self):
        for header in (f"00-{TRACE}-{PARENT}-00", f"ff-{TRACE}-{PARENT}-01",
                       f"00-{TRACE.upper()}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01", "01", ""):
            self.ask(headers={"traceparent": header})
        self.ask()
        self.ragd.stop()
        self.assertEqual(self.collector.requests, 0)


class Unsampled(WithCollector):
    def test_a_parent_that_is_not_sampled_is_followed_too(self):
        for _ in range(3):
            self.ask(headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        self.ragd.stop()
        self.assertEqual([s for s in self.collector.spans() if s["name"] == "POST /v1/ask"], [])


class Sampled(WithCollector):
    more = "sample_ratio = 0.5\n"

    def test_about_a_half_is_kept(self):
        for _ in range(200):
            self.call("GET", "/v1/collections")
        self.ragd.stop()
        n = len([s for s in self.collector.spans() if s["name"] == "GET /v1/collections"])
        self.assertTrue(60 <= n <= 140, n)  # beyond 5 standard deviations


class Key(WithCollector):
    prefix = "/otlp"

    def setUp(self):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".key")
        self.addCleanup(self.file.close)
        self.file.write("a-secret-of-twenty-bytes\n")
        self.file.flush()
        self.more = f"key_file = {self.file.name}\n"
        super().setUp()

    def test_the_key_is_sent_and_nowhere_written(self):
        self.trace_of(self.ask()["request_id"])
        self.assertEqual(self.collector.authorization, "Bearer a-secret-of-twenty-bytes")
        self.ragd.stop()
        self.assertNotIn("a-secret", self.ragd.log_path.read_text())


class Waiting(WithCollector):
    more = "timeout_ms = 500\nqueue_max = 100\n"  # so that it comes to every mode

    def test_requests_do_not_wait_for_a_collector(self):
        self.wait_for(lambda: self.collector.requests > 0)  # it is reached, in time or not
        for mode in ("hang", "slow", "error", "refuse", "garbage", "redirect"):
            with self.subTest(mode):
                self.collector.mode, self.collector.delay = mode, 5
                begun = time.monotonic()
                for _ in range(40):
                    self.call("GET", "/v1/collections")
                self.assertLess(time.monotonic() - begun, 20)  # 40 that wait take 20 s and more


class Misbehaving(WithCollector):
    more = "timeout_ms = 60000\nqueue_max = 100\n"  # this collector is told when not to answer

    def settle(self, mode):
        """What setUp() caused has been sent and counted; from now on it misbehaves."""
        def all_sent():
            spans = self.collector.spans()
            return (len([s for s in spans if s["name"].startswith("PUT ")]) == 4 and
                    self.counted("exported") == len(spans))

        self.wait_for(all_sent)
        self.collector.mode = mode

    def test_what_does_not_fit_the_queue_is_dropped_and_counted(self):
        self.settle("hang")
        for _ in range(200):
            self.call("GET", "/v1/collections")
        self.assertGreater(self.counted("dropped"), 0)
        page = exposition.parse(self.call("GET", "/metrics"))
        self.assertLessEqual(exposition.value(page, "ragd_trace_queue_length"), 100)
        begun = time.monotonic()
        self.ragd.stop()
        self.assertLess(time.monotonic() - begun, 30)  # the collector hangs for minutes

    def test_what_it_refuses_is_counted_and_said_once(self):
        self.settle("refuse")
        for _ in range(3):
            failed = self.counted("failed")
            self.call("GET", "/v1/collections")
            self.wait_for(lambda: self.counted("failed") > failed)
        self.assertEqual(self.ragd.log_path.read_text().count("event=traces_not_taken"), 1)
        self.collector.mode = "ok"
        self.call("GET", "/v1/collections")
        self.wait_for(lambda: "event=traces_taken_again" in self.ragd.log_path.read_text())

    def test_a_span_that_was_not_taken_is_counted(self):
        self.settle("partial")
        failed = self.counted("failed")
        self.call("GET", "/v1/collections")
        self.wait_for(lambda: self.counted("failed") == failed + 1)

    def test_a_collector_that_is_gone_leaks_nothing(self):
        self.settle("ok")
        self.collector.__exit__()
        self.call("GET", "/v1/collections")
        fds = len(os.listdir(f"/proc/{self.ragd.process.pid}/fd"))
        for _ in range(50):
            self.call("GET", "/v1/collections")
            time.sleep(0.02)
        self.wait_for(lambda: self.counted("failed") > 0)
        self.assertLessEqual(len(os.listdir(f"/proc/{self.ragd.process.pid}/fd")), fds + 4)


class Configuration(unittest.TestCase):
    def test_what_cannot_be_is_refused_at_start(self):
        for lines, word in (("endpoint = ftp://h", "ftp://h"), ("endpoint = http://h/?a=b", "h"),
                            ("endpoint = https://user:pw@h", "trace"),
                            ("endpoint = https://h\nkey_file = /nonexistent", "/nonexistent")):
            with self.subTest(lines):
                ragd = Ragd(BUILD, config=f"[trace]\n{lines}\n")
                with self.assertRaises(RuntimeError) as failed:
                    ragd.start()
                self.assertIn(word, str(failed.exception))
                ragd.__exit__(None, None, None)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], testRunner=side_by_side.Runner(3))
