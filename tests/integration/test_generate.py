#!/usr/bin/env python3
"""Answers that a decoder writes: /v1/chat/completions, /v1/ask, /v1/models, metrics, and clients
that vanish. The model is tiny and has random weights: what it says means nothing, but it always
says the same.

    test_generate.py BUILD_DIR"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402
from tiny_models import MODELS, make_decoder  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
REAL = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models"))
QUESTION = "미사용 연차는 며칠까지 이월할 수 있나요?"
LEAVE = "# 휴가 규정\n\n## 연차\n\n미사용 연차는 최대 5일까지 다음 해로 이월할 수 있다.\n"


def config_of(model, more=""):
    return (f"[models]\nreranker = {MODELS / 'tiny-bert-ce'}\nprecision = fp32\n"
            f"[generate]\nmodel = {model}\nchat_template = chatml\nkv_budget_mb = 64\n"
            f"max_running = 3\n{more}")


class Generate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="ragd-model.")
        cls.ragd = Ragd(BUILD, config=config_of(make_decoder(cls.folder)))
        cls.ragd.__enter__()
        cls.ragd.call("PUT", "/v1/collections/handbook", {})
        status, reply = cls.ragd.call("PUT", cls.ragd.document("handbook", "leave.md"), LEAVE,
                                      "text/markdown")
        assert status in (200, 201), reply

    @classmethod
    def tearDownClass(cls):
        cls.ragd.__exit__(None, None, None)
        shutil.rmtree(cls.folder, ignore_errors=True)

    def post(self, path, body, code=200):
        status, reply = self.ragd.call("POST", path, body)
        self.assertEqual(status, code, reply)
        return reply

    def chat(self, text="Tell me about the documents.", code=200, **members):
        body = {"messages": [{"role": "user", "content": text}], "max_tokens": 24, **members}
        return self.post("/v1/chat/completions", body, code)

    def events(self, path, body):
        """The data of each event, as it came; '[DONE]' as text."""
        text = self.post(path, {**body, "stream": True})
        out = []
        for block in text.split("\n\n"):
            for line in block.split("\n"):
                if line.startswith("data: "):
                    out.append(line[6:] if line == "data: [DONE]" else json.loads(line[6:]))
        return out

    def metric(self, name):
        for line in self.ragd.call("GET", "/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")

    def test_the_model_is_listed(self):
        models = {m["kind"]: m for m in self.ragd.call("GET", "/v1/models")[1]["data"]}
        m = models["generator"]
        self.assertEqual((m["id"], m["chat_template"], m["precision"], m["context_tokens"]),
                         ("tiny-chat", "chatml", "int8", 8192))
        self.assertEqual(len(m["fingerprint"]), 64)
        self.assertEqual(m["kv_budget_bytes"], 64 << 20)
        self.assertGreater(m["parameters"], 50000)
        self.assertGreater(m["memory_available_bytes"], 0)

    def test_a_chat_has_the_shape_of_openai(self):
        reply = self.chat()
        choice = reply["choices"][0]
        self.assertEqual((reply["object"], reply["model"], choice["index"]),
                         ("chat.completion", "tiny-chat", 0))
        self.assertTrue(reply["id"].startswith("chatcmpl-"))
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertIn(choice["finish_reason"], ("stop", "length"))
        usage = reply["usage"]
        self.assertLessEqual(usage["completion_tokens"], 24)
        self.assertEqual(usage["total_tokens"],
                         usage["prompt_tokens"] + usage["completion_tokens"])
        again = self.chat()
        self.assertEqual(again["choices"], reply["choices"])
        self.assertGreaterEqual(again["usage"]["prompt_tokens_details"]["cached_tokens"], 32)

    def test_instructions_in_pieces_are_one(self):
        def ask(*instructions):
            return self.post("/v1/chat/completions", {
                "max_tokens": 8, "messages": [*({"role": role, "content": text}
                                                for role, text in instructions),
                                              {"role": "user", "content": "Tell me"}]})
        whole = ask(("system", "Be brief.\n\nBe kind."))
        parts = ask(("system", "Be brief."), ("developer", "Be kind."))
        self.assertEqual(parts["choices"], whole["choices"])
        self.assertEqual(parts["usage"]["prompt_tokens"], whole["usage"]["prompt_tokens"])

    def test_a_stream_says_the_same(self):
        whole = self.chat(max_completion_tokens=24)
        body = {"messages": [{"role": "system", "content": "Be brief."},
                             {"role": "user", "content": [{"type": "text", "text": "Tell me"}]}],
                "max_completion_tokens": 30, "model": "tiny-chat"}
        whole = self.post("/v1/chat/completions", body)
        events = self.events("/v1/chat/completions",
                             {**body, "stream_options": {"include_usage": True}})
        self.assertEqual(events[-1], "[DONE]")
        usage = events[-2]
        self.assertEqual((usage["choices"], usage["usage"]["completion_tokens"]),
                         ([], whole["usage"]["completion_tokens"]))
        deltas = [e["choices"][0] for e in events[:-2]]
        self.assertEqual(deltas[0]["delta"], {"role": "assistant", "content": ""})
        self.assertEqual("".join(d["delta"].get("content", "") for d in deltas),
                         whole["choices"][0]["message"]["content"])
        self.assertEqual([d["finish_reason"] for d in deltas[:-1]], [None] * (len(deltas) - 1))
        self.assertEqual(deltas[-1]["finish_reason"], whole["choices"][0]["finish_reason"])
        self.assertNotIn("usage", self.events("/v1/chat/completions", body)[-2])

    def test_draws_go_by_their_seed(self):
        def text(**members):
            return self.chat(temperature=1.2, **members)["choices"][0]["message"]["content"]

        one = text(seed=7, top_p=0.95, top_k=100, min_p=0.001, repetition_penalty=1.05)
        self.assertEqual(one, text(seed=7, top_p=0.95, top_k=100, min_p=0.001,
                                   repetition_penalty=1.05))
        self.assertGreater(len({text(seed=s) for s in range(5)}), 1)
        self.assertGreater(len({text() for _ in range(5)}), 1)

    def test_a_stop_string_ends_it(self):
        text = self.chat()["choices"][0]["message"]["content"]
        stop = text[len(text) // 2]
        for form in (stop, [stop, "never there"]):
            reply = self.chat(stop=form)["choices"][0]
            self.assertEqual(reply["message"]["content"], text[:text.index(stop)])
            self.assertEqual(reply["finish_reason"], "stop")

    def test_an_answer_keeps_to_a_schema(self):
        schema = {"type": "object", "additionalProperties": False, "required": ["ok", "kind"],
                  "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["연차", "병가"]}}}
        reply = self.chat(max_tokens=200, response_format={
            "type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
        answer = json.loads(reply["choices"][0]["message"]["content"])
        self.assertEqual(set(answer), {"ok", "kind"})
        self.assertIn(answer["kind"], ("연차", "병가"))
        self.assertEqual(reply["choices"][0]["finish_reason"], "stop")

    def test_an_answer_may_be_any_object(self):
        wanted = {"type": "json_object"}
        reply = self.chat(max_tokens=200, response_format=wanted)["choices"][0]
        text = reply["message"]["content"]
        self.assertTrue(text.startswith("{"), text)
        if reply["finish_reason"] == "stop":
            self.assertIsInstance(json.loads(text), dict)
        message = self.chat(code=400, response_format=wanted, collection="handbook")["error"]
        self.assertIn("held to its citations", message["message"])

    def test_what_is_refused_names_member_value_and_range(self):
        rows = [
            ({"temperature": 2.5}, ("temperature", "2.5", "2")),
            ({"temperature": -1}, ("temperature", "-1", "0")),
            ({"top_p": 0}, ("top_p", "0", "1")),
            ({"top_p": 1.5}, ("top_p", "1.5", "1")),
            ({"min_p": 2}, ("min_p", "2", "1")),
            ({"top_k": -3}, ("top_k", "-3", "0")),
            ({"repetition_penalty": 0}, ("repetition_penalty", "0", "10")),
            ({"max_tokens": 0}, ("max_tokens", "0", "1")),
            ({"max_completion_tokens": -1}, ("max_completion_tokens", "-1", "1")),
            ({"max_completion_tokens": 7}, ("max_completion_tokens", "7", "24")),
            ({"seed": "x"}, ("seed",)),
            ({"stop": [""]}, ("stop", "16", "256")),
            ({"stop": ["a"] * 17}, ("stop", "16")),
            ({"n": 2}, ("'n'", "2", "1")),
            ({"presence_penalty": 0.5}, ("presence_penalty", "0.5")),
            ({"logprobs": True}, ("logprobs",)),
            ({"tools": []}, ("tools",)),
            ({"response_format": {"type": "xml"}}, ("response_format",)),
            ({"response_format": {"type": "json_schema", "json_schema": {
                "schema": {"type": "string", "pattern": "a+"}}}}, ("pattern",)),
            ({"messages": []}, ("messages", "1 to 256")),
            ({"messages": [{"role": "tool", "content": "x"}]}, ("element 1", "role")),
            ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, ("element 1",)),
            ({"messages": [{"role": "assistant", "content": "x"}]}, ("last one", "user")),
        ]
        for members, words in rows:
            message = self.chat(code=400, **members)["error"]["message"]
            for word in words:
                self.assertIn(word, message, members)
        message = self.chat(code=404, model="gpt-4o")["error"]["message"]
        self.assertIn("tiny-chat", message)
        self.chat(model="ragd", presence_penalty=0, frequency_penalty=0, n=1, logprobs=False)

    def test_a_prompt_beyond_the_context_is_refused_with_numbers(self):
        message = self.chat("아주 긴 이야기 " * 4000, code=413)["error"]["message"]
        self.assertIn("8192", message)

    def test_many_at_once_get_what_they_get_alone(self):
        texts = [f"Question number {i}: what is it?" for i in range(6)]
        alone = [self.chat(t, max_tokens=60)["choices"] for t in texts]
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            together = list(pool.map(lambda t: self.chat(t, max_tokens=60)["choices"], texts * 3))
        self.assertEqual(together, alone * 3)

    def test_a_question_goes_to_the_backend_that_it_names(self):
        body = {"collection": "handbook", "question": QUESTION, "cache": False}
        reply = self.post("/v1/ask", {**body, "backend": "extractive"})
        self.assertEqual((reply["backend"], reply["finish_reason"]), ("extractive", "stop"))
        self.assertIn("5일", reply["answer"])
        self.assertNotIn("usage", reply)
        reply = self.post("/v1/ask", {**body, "backend": "local",
                                      "sampling": {"max_completion_tokens": 40}})
        self.assertEqual(reply["backend"], "local", reply)
        self.assertEqual(reply["degraded"], [])
        self.assertLessEqual(reply["usage"]["completion_tokens"], 40)
        self.assertGreater(reply["usage"]["prompt_tokens"], 100)
        # nothing that random weights say is in the document
        self.assertTrue(reply["refused"], reply)
        self.assertEqual(reply["citations"], [])
        error = self.post("/v1/ask", {**body, "backend": "openai"}, 400)["error"]
        self.assertIn("'backend'", error["message"])
        error = self.post("/v1/ask", {**body, "sampling": {"temperature": 9}}, 400)["error"]
        self.assertIn("temperature", error["message"])
        error = self.post("/v1/ask", {**body, "sampling": {"temprature": 1}}, 400)["error"]
        self.assertIn("temprature", error["message"])

    def test_what_nothing_supports_is_left_to_the_next_backend(self):
        reply = self.post("/v1/ask", {"collection": "handbook", "question": QUESTION,
                                      "sampling": {"max_completion_tokens": 40}})
        self.assertEqual((reply["backend"], reply["refused"]), ("extractive", False), reply)
        self.assertIn("5일", reply["answer"])
        self.assertEqual([d["stage"] for d in reply["degraded"]], ["generate"])
        self.assertIn("not supported", reply["degraded"][0]["reason"])

    def test_a_chat_with_a_collection_is_held_to_it(self):
        body = {"messages": [{"role": "system", "content": "ignored"},
                             {"role": "user", "content": QUESTION}],
                "collection": "handbook", "max_tokens": 40}
        reply = self.post("/v1/chat/completions", {**body, "model": "extractive"})
        self.assertIn("5일", reply["choices"][0]["message"]["content"])
        self.assertEqual(reply["ragd"]["citations"][0]["document"], "leave.md")
        reply = self.post("/v1/chat/completions", {**body, "model": "tiny-chat"})
        self.assertEqual(reply["ragd"]["backend"], "local")
        self.assertTrue(reply["ragd"]["refused"])
        self.assertEqual(reply["choices"][0]["message"]["content"], reply["ragd"]["reason"])
        events = self.events("/v1/chat/completions", {**body, "model": "extractive"})
        self.assertEqual(events[-1], "[DONE]")
        self.assertEqual(events[-2]["ragd"]["citations"][0]["document"], "leave.md")
        self.assertIn("5일", "".join(e["choices"][0]["delta"].get("content", "")
                                     for e in events[:-1]))
        self.post("/v1/chat/completions", {**body, "collection": "nowhere"}, 404)
        for key, value in (("filter", {}), ("passages", 3)):
            error = self.post("/v1/chat/completions",
                              {**body, "collection": None, key: value}, 400)["error"]
            self.assertIn(f"'{key}': needs a 'collection'", error["message"])
        schema = {"type": "json_schema", "json_schema": {"schema": {"type": "boolean"}}}
        error = self.post("/v1/chat/completions", {**body, "response_format": schema}, 400)
        self.assertIn("collection", error["error"]["message"])

    def test_a_chat_is_recorded(self):
        reply = self.chat("please record this", temperature=0.5)
        entries = self.ragd.call("GET", "/v1/audit?kind=chat&before=1000000&limit=50")[1]["entries"]
        payload = next(e["payload"] for e in entries
                       if e["payload"]["request_id"] == reply["id"].removeprefix("chatcmpl-"))
        self.assertEqual(payload["messages"][-1]["content"], "please record this")
        self.assertEqual(payload["answer"], reply["choices"][0]["message"]["content"])
        self.assertEqual(payload["settings"]["sampling"]["temperature"], 0.5)
        self.assertEqual(len(payload["model_fingerprint"]), 64)

    def test_tokens_are_counted(self):
        before = self.metric("ragd_generate_output_tokens_total")
        reply = self.chat(max_tokens=17)
        self.assertEqual(self.metric("ragd_generate_output_tokens_total") - before,
                         reply["usage"]["completion_tokens"])
        self.assertEqual(self.metric("ragd_kv_budget_bytes"), 64 << 20)
        self.assertLessEqual(self.metric("ragd_kv_held_bytes"), 64 << 20)
        for name in ("prompt_tokens_total", "cached_tokens_total", "drafted_tokens_total",
                     "accepted_tokens_total", "running", "waiting"):
            self.metric(f"ragd_generate_{name}")

    def test_ask_notes_that_another_backend_answered(self):
        ask = ("ask", "--collection", "handbook", QUESTION)
        run = self.ragd.ragctl(*ask)
        self.assertIn("5일", run.stdout)
        self.assertIn("ragctl: local: what it wrote is not supported by the passages; answered by: "
                      "extractive\n", run.stderr)
        self.assertEqual(self.ragd.ragctl(*ask, "--quiet").stderr, "")
        self.assertEqual(self.ragd.ragctl(*ask, "--json").stderr, "")
        self.assertEqual(self.ragd.ragctl(*ask, "--backend", "extractive").stderr, "")

    def test_the_doctor_and_the_log_say_what_is_loaded(self):
        run = self.ragd.ragctl("doctor")
        self.assertIn("generator 'tiny-chat'", run.stdout)
        self.assertIn("may still be taken by conversations", run.stdout)
        log = self.ragd.log_path.read_text(encoding="utf-8")
        self.assertIn("role=generator", log)
        self.assertIn("kv_budget_bytes=67108864", log)

    def test_clients_that_vanish_leave_no_slot_held(self):
        def vanish(i):
            """Connect, ask, and be gone: at once, after the first bytes of a stream, or a little
            later when the answer would come at its end only."""
            body = json.dumps({"messages": [{"role": "user", "content": f"{i}: " + "word " * 60}],
                               "max_tokens": 4000, "stream": i % 2 == 0} if i % 4 else
                              {"collection": "handbook", "question": QUESTION, "stream": True})
            path = "/v1/chat/completions" if i % 4 else "/v1/ask"
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.settimeout(300)
            s.connect(self.ragd.socket)
            s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                      f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode())
            if i % 6 == 0:
                s.recv(100)
            elif i % 6 == 3:
                time.sleep(0.05)
            s.close()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(vanish, range(200)))
        begun = time.monotonic()
        # a connection is closed when its worker is through with it: first nobody may be left
        # (but this one) who could still come to the model
        while (self.metric("ragd_http_connections") > 1 or
               self.metric("ragd_generate_running") + self.metric("ragd_generate_waiting") +
               self.metric("ragd_kv_used_bytes") > 0):
            self.assertLess(time.monotonic() - begun, 120, "slots are still held")
            time.sleep(0.02)
        self.assertIn(self.chat()["choices"][0]["finish_reason"], ("stop", "length"))


class Start(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ragd-model.")

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self, config):
        path = pathlib.Path(self.folder) / "ragd.conf"
        path.write_text(config, encoding="utf-8")
        return subprocess.run([str(BUILD / "ragd"), "-n", "-f", str(path), "--state",
                               f"{self.folder}/state"], capture_output=True, text=True,
                              timeout=60, check=False)

    def test_a_model_that_cannot_serve_stops_the_start(self):
        model = make_decoder(self.folder)
        rows = [
            (f"[generate]\nmodel = {self.folder}/nothing\n", f"{self.folder}/nothing"),
            ("[generate]\nmodel = nobody/nothing\n",
             f"'ragctl model pull nobody/nothing --models-dir {self.folder}/state/models' fetches"),
            ("[generate]\nmodel = nothing.gguf\n",
             f"'ragctl model list --models-dir {self.folder}/state/models' shows"),
            (f"[generate]\nmodel = {model}\n", "chat_template"),
            (f"[generate]\nmodel = {model}\nchat_template = jinja\n", "chatml"),
            (f"[generate]\nmodel = {model}\nchat_template = chatml\ncontext_tokens = 9000\n",
             "the model has 8192"),
            (f"[generate]\nmodel = {model}\nchat_template = chatml\nkv_budget_mb = 1\n"
             "context_tokens = 8000\n", "raise kv_budget_mb"),
        ]
        for config, word in rows:
            run = self.check(config)
            self.assertEqual(run.returncode, 1, config)
            self.assertIn("[generate]", run.stderr)
            self.assertIn(word, run.stderr)
        self.assertEqual(self.check(config_of(model)).returncode, 0)

    def test_a_restart_remembers_what_was_read(self):
        body = {"messages": [{"role": "user", "content": "Repeat after me: " + "word " * 80}],
                "max_tokens": 20}
        with Ragd(BUILD, config=config_of(make_decoder(self.folder), "kv_disk_mb = 8\n")) as ragd:
            kept = ragd.state / "kv.cache"

            def ask():
                status, reply = ragd.call("POST", "/v1/chat/completions", body)
                self.assertEqual(status, 200, reply)
                return (reply["choices"][0]["message"]["content"],
                        reply["usage"]["prompt_tokens_details"]["cached_tokens"])

            text, cached = ask()
            self.assertEqual(cached, 0)
            self.assertEqual(ragd.stop(), 0)
            self.assertEqual(kept.stat().st_mode & 0o777, 0o600)
            ragd.start()
            again, cached = ask()
            self.assertEqual(again, text)
            self.assertGreater(cached, 64)
            ragd.stop()
            # damaged: said in the log, and everything is computed anew
            data = bytearray(kept.read_bytes())
            data[len(data) // 2] ^= 1
            kept.write_bytes(bytes(data))
            ragd.start()
            again, cached = ask()
            self.assertEqual((again, cached), (text, 0))
            self.assertIn("event=kv_not_loaded", ragd.log_path.read_text(encoding="utf-8"))

    def test_fallback_is_said(self):
        """A context that no passage fits in: the next backend answers, and the reply says so."""
        with Ragd(BUILD, config=config_of(make_decoder(self.folder, context=512))) as ragd:
            ragd.call("PUT", "/v1/collections/handbook", {})
            ragd.call("PUT", ragd.document("handbook", "leave.md"), LEAVE, "text/markdown")
            status, reply = ragd.call("POST", "/v1/ask",
                                      {"collection": "handbook", "question": QUESTION})
            self.assertEqual((status, reply["backend"]), (200, "extractive"))
            self.assertEqual([d["stage"] for d in reply["degraded"]], ["generate"])
            status, reply = ragd.call("POST", "/v1/ask", {
                "collection": "handbook", "question": QUESTION, "backend": "local"})
            self.assertEqual(status, 413, reply)


@unittest.skipUnless((REAL / "minimind2-small").is_dir(),
                     "no minimind2-small: tests/fetch-models.sh")
class Chat(unittest.TestCase):
    """A real chat model says what the reference says (its weights in float64, greedy)."""

    def test_a_capital_in_every_precision(self):
        body = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
        for precision in ("fp32", "int8"):
            config = (f"[generate]\nmodel = {REAL / 'minimind2-small'}\n"
                      f"precision = {precision}\nkv_budget_mb = 256\n")
            with Ragd(BUILD, config=config) as ragd:
                for _ in range(2):  # and from known pages
                    status, reply = ragd.call("POST", "/v1/chat/completions", body)
                    self.assertEqual(status, 200, reply)
                    choice = reply["choices"][0]
                    self.assertEqual((choice["message"]["content"], choice["finish_reason"]),
                                     ("The capital of France is Paris.", "stop"))
                    self.assertEqual((reply["usage"]["prompt_tokens"],
                                      reply["usage"]["completion_tokens"]), (33, 10))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
