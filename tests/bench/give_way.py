#!/usr/bin/env python3
"""Time of an embedding as a client sees it, alone and while a decoder reads long prompts and writes
beside it; and what those prompts lose by giving way.

    give_way.py BUILD_DIR [--model PATH] [--embedder PATH] [--streams N] [--requests N]

Without paths the models are those of tests/fetch-models.sh: MiniMind2-Small and all-MiniLM-L6-v2."""
import argparse
import json
import os
import pathlib
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from ragd_process import Ragd  # noqa: E402

MODELS = pathlib.Path(os.environ.get("RAG_TEST_MODELS", ROOT / "build" / "models"))


def percentile(values, p):
    values = sorted(values)
    return round(values[min(len(values) - 1, int(p / 100 * len(values)))], 1)


class Prompts(threading.Thread):
    """One client that asks one long question after the other."""

    def __init__(self, ragd, number, words):
        super().__init__(daemon=True)
        self.ragd, self.number, self.words = ragd, number, words
        self.stop = False
        self.tokens = 0

    def run(self):
        n = 0
        while not self.stop:
            n += 1
            text = f"{self.number} {n} " + "tell me a story about the sea " * self.words
            status, reply = self.ragd.call("POST", "/v1/chat/completions", {
                "messages": [{"role": "user", "content": text}], "max_tokens": 16})
            assert status == 200, reply
            self.tokens += (reply["usage"]["prompt_tokens"] -
                            reply["usage"]["prompt_tokens_details"]["cached_tokens"])


def embed(ragd, n):
    times = []
    for i in range(n):
        begun = time.perf_counter()
        status, reply = ragd.call("POST", "/v1/embeddings", {"input": f"how long is leave {i}?"})
        times.append((time.perf_counter() - begun) * 1000)
        assert status == 200, reply
        time.sleep(0.05)
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--model", default=str(MODELS / "minimind2-small"))
    parser.add_argument("--template", default="", help="chat_template, where the model has none")
    parser.add_argument("--embedder", default=str(MODELS / "all-MiniLM-L6-v2"))
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--words", type=int, default=300)
    parser.add_argument("--requests", type=int, default=100)
    arguments = parser.parse_args()
    config = (f"[models]\nembedder = {arguments.embedder}\n"
              f"[generate]\nmodel = {arguments.model}\nchat_template = {arguments.template}\n")
    with Ragd(arguments.build, config=config, hurry=True) as ragd:
        embed(ragd, 5)
        alone = embed(ragd, arguments.requests)
        clients = [Prompts(ragd, i, arguments.words) for i in range(arguments.streams)]
        for client in clients:
            client.start()
        time.sleep(2)
        rates = []
        for busy in (False, True):
            begun, before = time.monotonic(), sum(c.tokens for c in clients)
            beside = embed(ragd, arguments.requests) if busy else time.sleep(8)
            rates.append((sum(c.tokens for c in clients) - before) / (time.monotonic() - begun))
        for client in clients:
            client.stop = True
        for client in clients:
            client.join()
    print(json.dumps({
        "bench": "give_way", "model": pathlib.Path(arguments.model).name,
        "streams": arguments.streams,
        "alone_p50_ms": percentile(alone, 50), "alone_p95_ms": percentile(alone, 95),
        "beside_p50_ms": percentile(beside, 50), "beside_p95_ms": percentile(beside, 95),
        "beside_max_ms": percentile(beside, 100),
        "prompt_tokens_per_s": round(rates[0]), "beside_embeddings_tokens_per_s": round(rates[1]),
    }))


if __name__ == "__main__":
    main()
