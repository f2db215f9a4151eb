#!/usr/bin/env python3
"""The backend openai against an OpenAI-compatible server that is not ours: llama.cpp behind the npm
package inference-server. It is not installed by the build; to run this,

    mkdir peer && cd peer && npm init -y
    npm install --ignore-scripts --legacy-peer-deps --omit=optional inference-server@1.0.0-beta.32 \\
        node-llama-cpp@3.6.0 @node-llama-cpp/linux-x64@3.6.0 \\
        @img/sharp-linux-x64@0.33.5 @img/sharp-libvips-linux-x64@1.0.4
    RAGD_PEER=$PWD test_openai_peer.py BUILD_DIR

RAGD_PEER_MODEL names another model than the tiny one of the tests, which talks nonsense: what is
looked at is the exchange."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
PEER = os.environ.get("RAGD_PEER")
MODEL = os.environ.get("RAGD_PEER_MODEL",
                       str(pathlib.Path(__file__).parents[1] / "data/models/tiny-llama-mixedq.gguf"))

SERVER = """
import { InferenceServer, createExpressServer } from 'inference-server'
const models = new InferenceServer({ log: 'warn', concurrency: 1, models: { peer: {
    task: 'text-completion', engine: 'node-llama-cpp', location: process.argv[2],
    contextSize: 2048, maxInstances: 1, device: { gpu: false, cpuThreads: 1 } } } })
await models.start()
createExpressServer(models).listen(Number(process.argv[3]), '127.0.0.1')
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Peer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.script = tempfile.NamedTemporaryFile("w", suffix=".mjs", dir=PEER)
        cls.script.write(SERVER)
        cls.script.flush()
        cls.server = subprocess.Popen(["node", cls.script.name, MODEL, str(cls.port)], cwd=PEER)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", cls.port), 1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError("the peer did not start")

    @classmethod
    def tearDownClass(cls):
        cls.server.kill()
        cls.server.wait()
        cls.script.close()

    def ragd(self, stream):
        return Ragd(BUILD, f"[openai]\nbase_url = http://127.0.0.1:{self.port}/openai/v1\n"
                           f"model = peer\nallow_private = 1\nstream = {stream}\n"
                           "[generate]\nmax_new_tokens = 64\n[cache]\nenabled = 0\n")

    def test_chat(self):
        for stream in (1, 0):
            with self.subTest(upstream_streams=stream), self.ragd(stream) as ragd:
                body = {"model": "peer", "max_tokens": 16,
                        "messages": [{"role": "user", "content": "hello"}]}
                status, reply = ragd.call("POST", "/v1/chat/completions", body)
                self.assertEqual(status, 200, reply)
                self.assertIn(reply["choices"][0]["finish_reason"], ("stop", "length"))
                self.assertGreater(reply["usage"]["prompt_tokens"], 0)
                self.assertGreater(reply["usage"]["completion_tokens"], 0)
                status, text = ragd.call("POST", "/v1/chat/completions", {**body, "stream": True})
                self.assertEqual(status, 200, text)
                events = [json.loads(line[6:]) for line in text.splitlines()
                          if line.startswith("data: {")]
                self.assertTrue(text.rstrip().endswith("data: [DONE]"), text)
                self.assertTrue(any(e["choices"] and e["choices"][0]["delta"].get("content")
                                    for e in events), text)

    def test_an_answer_that_no_passage_supports_does_not_leave(self):
        with self.ragd(1) as ragd:
            ragd.call("PUT", "/v1/collections/c", {"readers": ["*"]})
            ragd.call("PUT", ragd.document("c", "a.md"),
                      "# AP-500\n\nThe filter of the AP-500 is changed every 6 months.\n",
                      "text/markdown")
            status, reply = ragd.call("POST", "/v1/ask", {
                "collection": "c", "question": "How often is the filter of the AP-500 changed?"})
            self.assertEqual(status, 200, reply)
            self.assertIn("6 months", reply["answer"])
            metrics = ragd.call("GET", "/metrics")[1]
            self.assertIn('ragd_remote_tries_total{service="openai"} 1', metrics)


if __name__ == "__main__":
    if not PEER:
        print("SKIPPED: no other implementation is installed; set RAGD_PEER, "
              "as this file's head says")
        sys.exit(0)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
