#!/usr/bin/env python3
"""The models for other programs: /v1/models, /v1/embeddings, /v1/rerank.

    test_model_endpoints.py BUILD_DIR"""
import base64
import json
import math
import pathlib
import struct
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
MODELS = pathlib.Path(__file__).resolve().parents[1] / "data" / "models"
CONFIG = (f"[models]\nembedder = {MODELS / 'tiny-xlmr-embed'}\n"
          f"reranker = {MODELS / 'tiny-bert-ce'}\nprecision = fp32\n")


def golden(name):
    return [json.loads(line) for line in
            (MODELS / f"{name}.jsonl").read_text(encoding="utf-8").split("\n") if line]


class Endpoints(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD, config=CONFIG)
        cls.ragd.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.ragd.__exit__(None, None, None)

    def post(self, path, body, code=200):
        status, reply = self.ragd.call("POST", path, body)
        self.assertEqual(status, code, reply)
        return reply

    def embed(self, text, **members):
        return self.post("/v1/embeddings", {"input": text, **members})

    def test_models_are_listed(self):
        status, reply = self.ragd.call("GET", "/v1/models")
        self.assertEqual((status, reply["object"]), (200, "list"))
        embedder, reranker = reply["data"]
        self.assertEqual((embedder["id"], embedder["kind"], embedder["dimensions"]),
                         ("tiny-xlmr-embed", "embedder", 48))
        self.assertEqual((reranker["id"], reranker["kind"]), ("tiny-bert-ce", "reranker"))
        for model in reply["data"]:
            self.assertEqual(model["object"], "model")
            self.assertEqual(len(model["fingerprint"]), 64)
            self.assertEqual(model["precision"], "fp32")

    def test_vectors_are_those_of_the_reference(self):
        # the golden file pools the first token; this directory has no pooling file, so the mean
        reply = self.embed(["a short text", "one more"])
        self.assertEqual([d["index"] for d in reply["data"]], [0, 1])
        self.assertEqual(reply["model"], "tiny-xlmr-embed")
        for d in reply["data"]:
            self.assertEqual((d["object"], len(d["embedding"])), ("embedding", 48))
            self.assertAlmostEqual(math.fsum(x * x for x in d["embedding"]), 1, places=5)
        self.assertEqual(reply["usage"]["prompt_tokens"], reply["usage"]["total_tokens"])
        one, other = self.embed("a short text"), self.embed("one more")
        self.assertEqual(reply["usage"]["prompt_tokens"],
                         one["usage"]["prompt_tokens"] + other["usage"]["prompt_tokens"])
        # alone and in a batch: the same bits
        self.assertEqual(one["data"][0]["embedding"], reply["data"][0]["embedding"])

    def test_base64_is_the_same_numbers(self):
        numbers = self.embed("연차 휴가")["data"][0]["embedding"]
        for n in (48, 47, 46, 1):
            packed = self.embed("연차 휴가", encoding_format="base64",
                                dimensions=n)["data"][0]["embedding"]
            raw = base64.b64decode(packed, validate=True)
            self.assertEqual(len(raw), 4 * n)
            got = struct.unpack(f"<{n}f", raw)
            length = math.sqrt(math.fsum(x * x for x in numbers[:n]))
            for a, b in zip(got, numbers):
                self.assertAlmostEqual(a, b / length, places=5)

    def test_fewer_dimensions_have_length_1_again(self):
        short = self.embed("연차 휴가", dimensions=7)["data"][0]["embedding"]
        self.assertEqual(len(short), 7)
        self.assertAlmostEqual(math.fsum(x * x for x in short), 1, places=5)

    def test_tokens_stand_for_their_text(self):
        plain = self.embed("hello world")["data"][0]["embedding"]
        tokens = next(iter(golden("tiny-xlmr-embed")))["token_ids"]
        self.assertEqual(len(self.embed(tokens)["data"]), 1)
        self.assertEqual(len(self.embed([tokens, tokens[:3]])["data"]), 2)
        self.assertEqual(len(plain), 48)
        self.post("/v1/embeddings", {"input": [1 << 30]}, 400)
        self.post("/v1/embeddings", {"input": [1.5]}, 400)

    def test_nfd_is_nfc(self):
        self.assertEqual(self.embed("한국어")["data"][0]["embedding"],
                         self.embed("\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165")
                         ["data"][0]["embedding"])

    def test_the_openai_request_is_taken_as_it_is(self):
        reply = self.embed("x", model="tiny-xlmr-embed", user="u", encoding_format="float",
                           input_type="query")
        self.assertEqual(len(reply["data"]), 1)

    def test_embedding_requests_that_are_wrong(self):
        for body in ({}, {"input": []}, {"input": 3}, {"input": [["a"]]}, {"input": [[]]},
                     {"input": [None]}, {"input": {"a": 1}}, {"input": ["a", 1]},
                     {"input": "a", "encoding_format": "hex"}, {"input": "a", "dimensions": 0},
                     {"input": "a", "dimensions": 49}, {"input": "a", "input_type": "x"},
                     {"input": "a", "inputs": "b"}, {"input": ["a"] * 2049}):
            error = self.post("/v1/embeddings", body, 400)["error"]
            self.assertEqual(error["type"], "invalid_request_error", body)
        error = self.post("/v1/embeddings", {"input": "a", "model": "other"}, 404)["error"]
        self.assertIn("'tiny-xlmr-embed'", error["message"])

    def test_scores_are_those_of_the_reference(self):
        n = 0
        for row in golden("tiny-bert-ce"):
            if row.get("max_length") or "\0" in row["text"] or not row["text"].strip() or \
                    len(row["text"]) > 2000:
                continue
            reply = self.post("/v1/rerank", {"query": row["text"], "documents": [row["pair"]]})
            self.assertAlmostEqual(reply["results"][0]["relevance_score"], row["sigmoid"],
                                   places=4, msg=row["id"])
            reply = self.post("/v1/rerank", {"query": row["text"], "documents": [row["pair"]],
                                             "raw_scores": True})
            self.assertAlmostEqual(reply["results"][0]["relevance_score"], row["logit"], places=3,
                                   msg=row["id"])
            n += 1
        self.assertGreater(n, 3)

    def test_documents_come_back_best_first(self):
        documents = ["연차는 이월된다.", {"text": "점심은 11시이다."}, "서버가 멈추었다.", "", "x " * 700]
        body = {"query": "연차 이월", "documents": documents, "model": "tiny-bert-ce"}
        reply = self.post("/v1/rerank", body)
        self.assertEqual(sorted(r["index"] for r in reply["results"]), [0, 1, 2, 3, 4])
        scores = [r["relevance_score"] for r in reply["results"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertNotIn("document", reply["results"][0])
        top = self.post("/v1/rerank", {**body, "top_n": 2, "return_documents": True})
        self.assertEqual([r["index"] for r in top["results"]],
                         [r["index"] for r in reply["results"]][:2])
        for r in top["results"]:
            document = documents[r["index"]]
            self.assertEqual(r["document"]["text"],
                             document["text"] if isinstance(document, dict) else document)

    def test_rerank_requests_that_are_wrong(self):
        for body in ({}, {"query": "a"}, {"documents": ["a"]}, {"query": "a", "documents": []},
                     {"query": "a", "documents": [1]}, {"query": "a", "documents": [{"t": "b"}]},
                     {"query": "a", "documents": ["b"], "top_n": 0},
                     {"query": "a", "documents": ["b"] * 1001},
                     {"query": "a" * 9000, "documents": ["b"]},
                     {"query": "a", "documents": ["b"], "top_k": 1}):
            self.assertEqual(self.post("/v1/rerank", body, 400)["error"]["type"],
                             "invalid_request_error")
        self.post("/v1/rerank", {"query": "a", "documents": ["b"], "model": "x"}, 404)

    def test_clients_at_once_get_their_own(self):
        alone = {t: self.embed(t)["data"][0]["embedding"] for t in ("하나", "둘", "셋 넷 다섯")}
        wrong = []

        def run(text):
            for _ in range(10):
                status, reply = self.ragd.call("POST", "/v1/embeddings", {"input": text})
                if status == 503:
                    continue  # the queue is bounded
                if status != 200 or reply["data"][0]["embedding"] != alone[text]:
                    wrong.append(reply)

        threads = [threading.Thread(target=run, args=(t,)) for t in alone for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class Busy(unittest.TestCase):
    def test_a_full_queue_says_when_to_come_again(self):
        config = CONFIG + "[workers]\nthreads = 2\ningest_queue_max = 1\n"
        body = json.dumps({"input": ["긴 글이다. " * 60] * 200})
        codes = []

        def run():
            connection = ragd.connection()
            connection.request("POST", "/v1/embeddings", body=body.encode())
            reply = connection.getresponse()
            reply.read()
            codes.append((reply.status, reply.getheader("Retry-After")))
            connection.close()

        with Ragd(BUILD, config=config) as ragd:
            for _ in range(20):  # where this program is too slow to fill the queue, once more
                threads = [threading.Thread(target=run) for _ in range(12)]
                for t in threads:
                    t.start()
                # a question is not kept waiting by them
                self.assertEqual(ragd.call("GET", "/v1/models")[0], 200)
                for t in threads:
                    t.join()
                if 503 in [code for code, _ in codes]:
                    break
        self.assertIn(200, [code for code, _ in codes])
        self.assertIn(503, [code for code, _ in codes])
        for code, after in codes:
            self.assertIn(code, (200, 503))
            self.assertEqual(after is not None, code == 503)


class Absent(unittest.TestCase):
    def test_without_models_they_are_404(self):
        with Ragd(BUILD) as ragd:
            self.assertEqual(ragd.call("GET", "/v1/models")[1]["data"], [])
            for path, body in (("/v1/embeddings", {"input": "a"}),
                               ("/v1/rerank", {"query": "a", "documents": ["b"]})):
                status, reply = ragd.call("POST", path, body)
                self.assertEqual((status, reply["error"]["code"]), (404, "not_found"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
