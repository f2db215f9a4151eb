#!/usr/bin/env python3
"""Other servers: the backend openai, and embedder and reranker of [remote], against a stub that
misbehaves in every way and counts every byte that reaches it.

    test_openai.py BUILD_DIR"""
import contextlib
import json
import os
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import side_by_side  # noqa: E402
import stub_openai  # noqa: E402
from ragd_process import Ragd  # noqa: E402
from stub_openai import StubOpenAI  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
KEY = "sk-integration-0123456789abcdefghijklmnop"
DOCUMENT = "# AP-500 설명서\n\nAP-500의 무게는 5.2kg이다. 필터는 6개월마다 교체한다.\n"
QUESTION = "AP-500의 필터는 몇 개월마다 교체하나요?"

# What is too slow to be had from one daemon in a row: these wait for their limits. All else has the
# limits that ragd comes with: a stub on a busy machine is slow too.
SLOW = ("stall", "stall_in_headers", "stall_in_stream", "slow_drip", "slow_first_byte")
SHORT = {"timeout_ms": 1500, "connect_timeout_ms": 500, "stall_ms": 700}


def openai(stub, folder, **more):
    key = folder / "key"
    if not key.exists():
        key.write_text(KEY + "\n")
        key.chmod(0o600)
    keys = {"base_url": stub.url("/v1"), "model": "stub-model", "key_file": key, "allow_private": 1,
            "tries_max": 2, **more}
    return "[openai]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())


@contextlib.contextmanager
def running(stub, sections="", **more):
    """A daemon with the stub as its backend and a collection 'c' with one document."""
    ragd = Ragd(BUILD)
    ragd.config = openai(stub, ragd.folder, **more) + sections + "[cache]\nenabled = 0\n"
    with ragd:
        fill(ragd, "c")
        yield ragd


def fill(ragd, name, **settings):
    assert ragd.call("PUT", f"/v1/collections/{name}", {"readers": ["*"], **settings})[0] == 201
    status, reply = ragd.call("PUT", ragd.document(name, "ap500.md"), DOCUMENT, "text/markdown")
    assert status in (200, 201), reply


def ask(ragd, collection="c", **more):
    return ragd.call("POST", "/v1/ask", {"collection": collection, "question": QUESTION, **more})


def everything_written(ragd):
    """Log, audit and databases, as bytes."""
    return b"".join(p.read_bytes() for p in ragd.folder.rglob("*")
                    if p.is_file() and p.name != "key")


class Backend(unittest.TestCase):
    def test_an_answer_is_grounded_counted_and_paid_for(self):
        with StubOpenAI() as stub, running(stub, prompt_price=2, completion_price=6) as ragd:
            stub.answer = "필터는 6개월마다 교체한다. [1] 값은 90000원이다. [1]"
            status, reply = ask(ragd)
            self.assertEqual(status, 200, reply)
            self.assertEqual(reply["backend"], "openai")
            self.assertEqual(reply["answer"], "필터는 6개월마다 교체한다. [1]")
            cited = reply["citations"][0]
            text = DOCUMENT.encode()[cited["byte_start"]:cited["byte_end"]].decode()
            self.assertIn("6개월마다", text)
            sent = stub.requests[0]
            self.assertEqual(sent.path, "/v1/chat/completions")
            self.assertEqual(sent.headers["authorization"], f"Bearer {KEY}")
            self.assertEqual(sent.json["model"], "stub-model")
            self.assertTrue(sent.json["stream"])
            self.assertIn("<passage>", sent.json["messages"][0]["content"])
            usage = stub_openai.usage_of(sent.json, stub.answer)
            metrics = ragd.call("GET", "/metrics")[1]
            for line in (
                    f'ragd_backend_tokens_total{{backend="openai",kind="prompt"}} '
                    f'{usage["prompt_tokens"]}',
                    'ragd_remote_calls_total{service="openai",outcome="ok"} 1',
                    'ragd_remote_tries_total{service="openai"} 1'):
                self.assertIn(line, metrics)
            cost = (usage["prompt_tokens"] * 2 + usage["completion_tokens"] * 6) / 1e6
            self.assertIn(f'ragd_backend_cost_total{{backend="openai"}} {cost:.6f}', metrics)

    def test_every_misbehaviour_ends_in_an_answer_of_the_next_backend(self):
        names = [n for n in sorted(stub_openai.MODES) if n not in (*stub_openai.GOOD, *SLOW)]
        # an hour of Retry-After keeps the server from being asked again: last
        names.sort(key=lambda n: n == "error_429_later")
        # enough for a stub without a processor; and what has no end ends with it, not later
        with StubOpenAI() as stub, running(stub, tries_max=1, timeout_ms=15000,
                                           stall_ms=10000) as ragd:
            for name in names:
                with self.subTest(name):
                    self.misbehave(stub, ragd, name)
            self.assertNotIn(KEY.encode(), everything_written(ragd))

    def misbehave(self, stub, ragd, name):
        """It answers well, then badly."""
        stub.become("healthy")
        wait = time.monotonic() + 60  # some asked for a second of peace
        while ask(ragd)[1]["backend"] != "openai" and time.monotonic() < wait:
            time.sleep(0.2)
        self.assertGreater(stub.n_connections, 0)
        stub.become(name)
        begun = time.monotonic()
        status, reply = ask(ragd)
        self.assertEqual(status, 200, reply)
        self.assertIn("6개월", reply["answer"])
        self.assertLess(time.monotonic() - begun, 60)  # timeout_ms is 15 s; some have no end at all
        self.assertGreater(stub.n_connections, 0)
        self.assertEqual(reply["backend"], "extractive", reply)
        status, reply = ragd.call("POST", "/v1/chat/completions", {
            "model": "stub-model", "messages": [{"role": "user", "content": "안녕"}]})
        if name != "endless":  # a long answer, without passages to check it by
            self.assertGreaterEqual(status, 400, reply)
            self.assertTrue(reply["error"]["message"])
        self.assertNotIn(KEY, json.dumps(reply))

    def test_slowness_ends_within_its_limits(self):
        for name in SLOW:
            with self.subTest(name), StubOpenAI() as stub, running(stub, **SHORT) as ragd:
                stub.seconds = 60
                stub.become(name)
                begun = time.monotonic()
                status, reply = ask(ragd)
                self.assertEqual((status, reply.get("backend")), (200, "extractive"), reply)
                self.assertLess(time.monotonic() - begun, 30)  # two tries of 1.5 s, not the 60 s

    def test_odd_but_right_answers_are_taken(self):
        for name in stub_openai.GOOD:
            for stream in (1, 0):
                if name in ("odd_events", "split_characters", "no_done") and not stream:
                    continue
                with self.subTest(name, stream=stream), StubOpenAI() as stub, \
                        running(stub, stream=stream) as ragd:
                    stub.become(name)
                    status, reply = ask(ragd)
                    self.assertEqual((status, reply.get("backend")), (200, "openai"), reply)
                    self.assertIn("6개월마다 교체한다", reply["answer"])

    def test_a_failing_server_is_left_alone_and_found_again(self):
        with StubOpenAI() as stub, running(stub, tries_max=1) as ragd:
            stub.become("error_500")
            for _ in range(8):
                self.assertEqual(ask(ragd)[1]["backend"], "extractive")
            self.assertEqual(stub.n_connections, 5)
            metrics = ragd.call("GET", "/metrics")[1]
            self.assertIn('ragd_remote_circuit_open{service="openai"} 1', metrics)
            self.assertIn('outcome="refused_open"} 3', metrics)

    def test_a_budget_holds_across_a_restart(self):
        with StubOpenAI() as stub, running(stub, calls_per_day=2) as ragd:
            self.assertEqual([ask(ragd)[1]["backend"] for _ in range(2)], ["openai"] * 2)
            self.assertEqual(ragd.stop(), 0)
            ragd.start()
            self.assertEqual(ask(ragd)[1]["backend"], "extractive")
            self.assertEqual(len(stub.requests), 2)
            self.assertIn('outcome="refused_budget"} 1', ragd.call("GET", "/metrics")[1])

    def test_the_order_is_the_collections_own(self):
        with StubOpenAI() as stub, running(stub) as ragd:
            fill(ragd, "words", backends=["extractive", "openai"])
            self.assertEqual(ask(ragd, "words")[1]["backend"], "extractive")
            self.assertEqual(stub.n_connections, 0)
            self.assertEqual(ragd.call("GET", "/v1/collections/words")[1]["backends"],
                             ["extractive", "openai"])
            run = ragd.ragctl("collection", "set", "words", "--backends", "openai")
            self.assertEqual(run.returncode, 0, run.stderr)
            stub.become("error_500")
            self.assertGreaterEqual(ask(ragd, "words")[0], 500)
            stub.become("healthy")
            self.assertEqual(ask(ragd, "words")[1]["backend"], "openai")
            run = ragd.ragctl("collection", "set", "words", "--backends", "")
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertNotIn("backends", ragd.call("GET", "/v1/collections/words")[1])
            for wrong in (["gpt"], ["openai", "openai"], [1]):
                self.assertEqual(
                    ragd.call("PUT", "/v1/collections/words", {"backends": wrong})[0], 400)

    def test_sampling_reaches_the_server_and_text_comes_as_it_is_written(self):
        with StubOpenAI() as stub, running(stub) as ragd:
            stub.answer = "하나 둘 셋 STOP 넷"
            body = {"model": "stub-model", "temperature": 0.5, "top_p": 0.9, "seed": 7,
                    "max_tokens": 50, "stop": ["STOP"],
                    "messages": [{"role": "system", "content": "짧게"},
                                 {"role": "user", "content": "세어라"}]}
            status, reply = ragd.call("POST", "/v1/chat/completions", body)
            self.assertEqual(status, 200, reply)
            self.assertEqual(reply["choices"][0]["message"]["content"], "하나 둘 셋 ")
            sent = stub.requests[-1].json
            self.assertEqual([sent[k] for k in ("temperature", "top_p", "seed", "max_tokens",
                                                "stop")], [0.5, 0.9, 7, 50, ["STOP"]])
            self.assertEqual([m["role"] for m in sent["messages"]], ["system", "user"])
            text = ragd.call("POST", "/v1/chat/completions", {**body, "stream": True})[1]
            self.assertIn("data: [DONE]", text)
            self.assertGreater(text.count('"content"'), 1)

    def test_wrong_configurations_are_told(self):
        with StubOpenAI() as stub:
            for keys, wanted in (({"allow_private": 0}, "allow_private"),
                                 ({"base_url": "https://u:p@h/v1"}, "user name"),
                                 ({"key_file": "/dev/null"}, "no regular file"),
                                 ({"key_file": "", "key_env": "RAGD_NO_SUCH_KEY"},
                                  "RAGD_NO_SUCH_KEY")):
                with self.subTest(keys):
                    ragd = Ragd(BUILD)
                    ragd.config = openai(stub, ragd.folder, **keys)
                    with self.assertRaises(RuntimeError) as raised:
                        ragd.start()
                    self.assertIn(wanted, str(raised.exception))
            self.assertEqual(stub.n_connections, 0)


def remote(stub, api, timeout_ms=30000):
    base = stub.url("/v1" if api == "openai" else "")
    return (f"[remote]\nembed_url = {base}\nembed_api = {api}\nembed_model = e\n"
            f"embed_dim = {stub_openai.DIM}\nrerank_url = {base}\nrerank_model = r\n"
            f"rerank_api = {'cohere' if api == 'openai' else 'tei'}\nallow_private = 1\n"
            f"timeout_ms = {timeout_ms}\ntries_max = 1\n")


class Offline(unittest.TestCase):
    def test_nothing_of_an_offline_collection_leaves(self):
        with StubOpenAI() as stub, running(stub, remote(stub, "openai")) as ragd:
            self.assertGreater(stub.n_bytes, 0)  # the other collection was embedded there
            stub.forget()
            fill(ragd, "secret", offline=True, backends=["openai", "extractive"])
            status, reply = ask(ragd, "secret")
            self.assertEqual((status, reply.get("backend")), (200, "extractive"), reply)
            for body in ({"backend": "openai"}, {"filter": {}}, {"cache": False}):
                ask(ragd, "secret", **body)
            for mode in ("auto", "hybrid", "dense"):
                ragd.call("POST", "/v1/search",
                          {"collection": "secret", "query": QUESTION, "mode": mode})
            for model in ("ragd", "stub-model", "openai"):
                ragd.call("POST", "/v1/chat/completions", {
                    "model": model, "collection": "secret",
                    "messages": [{"role": "user", "content": QUESTION},
                                 {"role": "assistant", "content": "6개월입니다."},
                                 {"role": "user", "content": "그건 왜죠?"}]})
            ragd.call("POST", "/v1/collections/secret/check")
            time.sleep(0.5)  # the background would have embedded by now
            vectors = ragd.call("GET", "/v1/collections/secret")[1]["vectors"]
            self.assertEqual((vectors["state"], vectors["n"], vectors["pending"]),
                             ("offline", 0, 1))
            self.assertEqual((stub.n_connections, stub.n_bytes), (0, 0))

    def test_a_collection_that_becomes_offline_keeps_its_vectors_and_sends_no_question(self):
        with StubOpenAI() as stub, running(stub, remote(stub, "tei")) as ragd:
            search = {"collection": "c", "query": QUESTION}
            self.assertEqual(ragd.call("POST", "/v1/search", search)[1]["mode"], "hybrid")
            ragd.call("PUT", "/v1/collections/c", {"offline": True})
            stub.forget()
            status, reply = ragd.call("POST", "/v1/search", search)
            self.assertEqual((status, reply["mode"], reply["reranker"]), (200, "bm25", "lexical"))
            self.assertEqual(ragd.call("GET", "/v1/collections/c")[1]["vectors"]["n"], 1)
            self.assertEqual(stub.n_bytes, 0)
            self.assertEqual(ragd.stop(), 0)
            ragd.start()
            ragd.call("POST", "/v1/search", search)
            self.assertEqual(stub.n_bytes, 0)
            ragd.call("PUT", "/v1/collections/c", {"offline": False})
            self.assertEqual(ragd.call("POST", "/v1/search", search)[1]["mode"], "hybrid")


class Twins(unittest.TestCase):
    def test_both_apis_embed_and_rerank(self):
        for api, paths in (("openai", ["/v1/embeddings", "/v1/rerank"]),
                           ("tei", ["/embed", "/rerank"])):
            with self.subTest(api), StubOpenAI() as stub, running(stub, remote(stub, api)) as ragd:
                stub.forget()
                reply = ragd.call("POST", "/v1/search", {"collection": "c", "query": QUESTION})[1]
                self.assertEqual((reply["mode"], reply["reranker"]), ("hybrid", "r"))
                self.assertEqual(reply["degraded"], [])
                self.assertEqual([x.path for x in stub.requests], paths)
                status, reply = ragd.call("POST", "/v1/embeddings", {"input": ["가나", "다라"]})
                norms = [sum(x * x for x in d["embedding"]) for d in reply["data"]]
                self.assertTrue(all(abs(n - 1) < 1e-3 for n in norms), norms)

    def test_what_a_server_sends_is_not_believed(self):
        wrong = {"a length": [1.0] * (stub_openai.DIM + 1), "zeros": [0.0] * stub_openai.DIM,
                 "texts": ["x"] * stub_openai.DIM, "infinity": [1e60] * stub_openai.DIM}
        for name, vector in wrong.items():
            with self.subTest(name), StubOpenAI() as stub, \
                    running(stub, remote(stub, "openai")) as ragd:
                stub.vector = lambda text, v=vector: v
                reply = ragd.call("POST", "/v1/search", {"collection": "c", "query": QUESTION})[1]
                self.assertEqual(reply["mode"], "bm25")
                self.assertEqual(reply["degraded"][0]["stage"], "dense")

    def test_a_search_goes_on_without_them(self):
        for name in ("error_500", "wrong_json", "wrong_shape", "reset_at_once", "empty", "stall",
                     "redirect", "gzip_bomb", "error_401_echo"):
            with self.subTest(name), StubOpenAI() as stub, \
                    running(stub, remote(stub, "openai",
                                         1500 if name == "stall" else 30000)) as ragd:
                stub.become(name)
                status, reply = ragd.call("POST", "/v1/search",
                                          {"collection": "c", "query": QUESTION})
                self.assertEqual((status, reply["mode"]), (200, "bm25"))
                self.assertEqual({d["stage"] for d in reply["degraded"]}, {"dense", "rerank"})
                self.assertEqual(len(reply["results"]), 1)


if __name__ == "__main__":
    os.environ["no_proxy"] = "*"
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], testRunner=side_by_side.Runner(3))
