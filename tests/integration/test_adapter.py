#!/usr/bin/env python3
"""A collection's question adapter: put, got, taken away; what it does to a search, and what
becomes of it when the daemon, the collection or the embedder does not stay what it was.

The model is tiny and random. The adapters are maps whose effect is known: q' = -q turns the order
of all vectors round, and one of rank 1 is worked out here beside the daemon.

    test_adapter.py BUILD_DIR"""
import base64
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd, TcpListener, User  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
MODELS = pathlib.Path(__file__).resolve().parents[1] / "data" / "models"
PATIENCE_S = 60
DIM = 48
TOPICS = ["연차 휴가", "출장 여비", "정보 보안", "공기 청정기", "회의 기록", "구내 식당"]
QUERY = "출장 여비 3번째 문서"


def halves(numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}e", *numbers)).decode()


def turned_round(dim=DIM):
    """D = -2 I: q' = -q"""
    return halves([-2.0 if i == j else 0.0 for i in range(dim) for j in range(dim)])


def config(model="tiny-xlmr-embed", more=""):
    embedder = f"embedder = {MODELS / model}\n" if model else ""
    return f"[models]\nprecision = fp32\n{embedder}{more}"


class WithAdapter(unittest.TestCase):
    config = config()

    def setUp(self):
        self.ragd = Ragd(BUILD, config=self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.start()
        self.ok("PUT", "/v1/collections/c", {})
        for i in range(24):
            topic = TOPICS[i % len(TOPICS)]
            self.ok("PUT", self.ragd.document("c", f"d{i}"),
                    f"{topic}에 대한 {i}번째 문서이다. 번호는 {1000 + i}이다.",
                    content_type="text/plain")
        self.fingerprint = self.settle()["vectors"]["fingerprint"]

    def start(self):
        self.ragd.start()

    def ok(self, method, target, body=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertIn(status, (200, 201), reply)
        return reply

    def collection(self):
        return self.ok("GET", "/v1/collections/c")

    def settle(self):
        until = time.monotonic() + PATIENCE_S
        while True:
            collection = self.collection()
            if collection["vectors"]["state"] == "ready":
                return collection
            self.assertLess(time.monotonic(), until, collection)
            time.sleep(0.02)

    def body(self, **members):
        return {"fingerprint": self.fingerprint, "dim": DIM, "weights": turned_round(),
                "pairs": 120, "measured": {"metric": "mrr@10", "questions": 60, "before": 0.5,
                                           "after": 0.625, "p": 0.01}, **members}

    def put(self, **members):
        return self.ok("PUT", "/v1/collections/c/adapter", self.body(**members))

    def dense(self, **members):
        """document: cosine, best first"""
        reply = self.ok("POST", "/v1/search", {"collection": "c", "query": QUERY, "mode": "dense",
                                               "top_k": 24, "rerank": False, **members})
        return {r["document"]: r["dense_score"] for r in reply["results"]}, reply

    def events(self, name):
        log = self.ragd.log_path.read_text(encoding="utf-8")
        return [line for line in log.splitlines() if f"event={name} " in line]


class Installed(WithAdapter):
    def test_it_turns_the_question_and_no_passage(self):
        before, reply = self.dense()
        self.assertNotIn("adapter", reply)
        self.assertNotIn("adapter", self.collection())
        made = self.put()
        self.assertEqual((made["active"], made["dim"], made["rank"], made["pairs"]),
                         (True, DIM, 0, 120))
        self.assertEqual(made["measured"]["after"], 0.625)
        after, reply = self.dense()
        self.assertEqual(reply["adapter"], made["id"])
        self.assertEqual(list(after), list(before)[::-1])
        for name, score in before.items():
            self.assertAlmostEqual(after[name], -score, places=3)
        same, reply = self.dense(adapter=False)
        self.assertNotIn("adapter", reply)
        self.assertEqual(same, before)
        shown = self.collection()["adapter"]
        self.assertEqual(shown, made)
        self.assertNotIn("weights", shown)
        hybrid = self.ok("POST", "/v1/search", {"collection": "c", "query": QUERY})
        self.assertEqual(hybrid["adapter"], made["id"])
        words = self.ok("POST", "/v1/search", {"collection": "c", "query": QUERY, "mode": "bm25"})
        self.assertNotIn("adapter", words)

    def test_a_low_rank_is_what_the_page_says(self):
        a = [0.5 * math.sin(i) for i in range(DIM)]
        b = [0.5 * math.cos(2 * i) for i in range(DIM)]
        self.put(rank=1, weights=halves(a + b))
        texts = [self.ok("GET", self.ragd.document("c", name))["text"] for name in ("d3", "d9")]
        q = self.ok("POST", "/v1/embeddings", {"input": QUERY, "input_type": "query"})
        q = q["data"][0]["embedding"]
        inner = sum(x * y for x, y in zip(b, q))
        mapped = [x + y * inner for x, y in zip(q, a)]
        length = math.sqrt(sum(x * x for x in mapped))
        scores = self.dense()[0]
        for name, text in zip(("d3", "d9"), texts):
            p = self.ok("POST", "/v1/embeddings", {"input": text, "input_type": "passage"})
            p = p["data"][0]["embedding"]
            cosine = sum(x * y for x, y in zip(mapped, p)) / length
            self.assertAlmostEqual(scores[name], cosine, delta=0.004, msg=name)  # float16

    def test_what_is_put_is_got_and_taken_away(self):
        first = self.put()
        got = self.ok("GET", "/v1/collections/c/adapter")
        self.assertEqual(got.pop("weights"), turned_round())
        self.assertEqual(got, first)
        status, again = self.ragd.call("PUT", "/v1/collections/c/adapter", self.body())
        self.assertEqual((status, again["id"]), (200, first["id"]))
        other = self.put(weights=halves([0.0] * DIM * DIM), measured=None)
        self.assertNotEqual(other["id"], first["id"])
        self.assertNotIn("measured", other)
        self.assertEqual(self.ok("DELETE", "/v1/collections/c/adapter"), {"deleted": True})
        for method in ("GET", "DELETE"):
            status, reply = self.ragd.call(method, "/v1/collections/c/adapter")
            self.assertEqual((status, reply["error"]["code"]), (404, "not_found"))
        self.assertNotIn("adapter", self.dense()[1])
        rows = self.ok("GET", "/v1/audit?limit=1000&kind=collection.change&after=0")["entries"]
        self.assertEqual([(row["payload"]["adapter"] or {}).get("id") for row in rows],
                         [first["id"], first["id"], other["id"], None])

    def test_it_lives_on(self):
        made = self.put()
        scores = self.dense()[0]
        self.ragd.stop()
        self.start()
        self.assertEqual(self.collection()["adapter"], made)
        self.assertEqual(self.dense()[0], scores)
        self.ok("PUT", "/v1/collections/c", {"readers": ["*"]})  # settings leave it alone
        self.assertEqual(self.collection()["adapter"], made)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ragd-backup."))
        self.ok("POST", "/v1/backup", {"dir": str(folder / "b")})
        self.ok("DELETE", "/v1/collections/c/adapter")
        self.ragd.stop()
        subprocess.run([BUILD / "ragctl", "restore", folder / "b", "--state", folder / "s"],
                       check=True, capture_output=True)
        self.ragd.state = folder / "s"
        self.start()
        self.settle()
        self.assertEqual(self.collection()["adapter"], made)
        self.assertEqual(list(self.dense()[0]), list(scores))

    def test_it_goes_with_its_collection(self):
        self.put()
        self.ok("DELETE", "/v1/collections/c")
        self.ok("PUT", "/v1/collections/c", {})
        self.assertNotIn("adapter", self.collection())
        self.assertEqual(self.ragd.call("GET", "/v1/collections/c/adapter")[0], 404)

    def test_what_it_must_be(self):
        rows = [
            ({"fingerprint": None}, "'fingerprint'"),
            ({"fingerprint": "ab"}, "64 hexadecimal digits"),
            ({"fingerprint": "ab" * 32}, "is not the embedder of collection 'c'"),
            ({"dim": None}, "'dim': missing"),
            ({"dim": 47, "weights": turned_round(47)}, "expected 48 dimensions, not 47"),
            ({"dim": 100000}, "'dim'"),
            ({"rank": 257}, "'rank'"),
            ({"rank": 48}, "not below 'dim'"),
            ({"dim": 2048}, "1048576 weights"),
            ({"weights": None}, "'weights': missing"),
            ({"weights": "???"}, "not base64"),
            ({"weights": halves([0.0] * 10)}, "20 bytes of weights, 48 dimensions with rank 0 have"),
            ({"weights": halves([0.0] * (DIM * DIM - 1) + [math.inf])}, "weight 2303 of 2304 is not"),
            ({"weights": halves([math.nan] * DIM * DIM)}, "weight 0 of 2304 is not finite"),
            ({"pairs": -1}, "'pairs'"),
            ({"measured": {"before": 2}}, "'before'"),
            ({"measured": {"mood": 1}}, "'mood'"),
            ({"colour": 1}, "'colour'"),
        ]
        for members, says in rows:
            status, reply = self.ragd.call("PUT", "/v1/collections/c/adapter", self.body(**members))
            self.assertEqual(status, 400, (members.keys(), reply))
            self.assertIn(says, reply["error"]["message"], members.keys())
        self.assertNotIn("adapter", self.collection())
        self.assertEqual(self.ragd.call("PUT", "/v1/collections/none/adapter", self.body())[0], 404)
        status, reply = self.ragd.call("POST", "/v1/search",
                                       {"collection": "c", "query": "x", "adapter": "no"})
        self.assertEqual(status, 400)

    def test_answers_of_the_cache_are_kept_apart_by_it(self):
        def ask():
            reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": "출장 여비 번호는?"})
            return reply["cache"], reply["request_id"]

        self.assertEqual([ask()[0], ask()[0]], ["none", "exact"])
        made = self.put()
        kind, mapped = ask()
        self.assertEqual([kind, ask()[0]], ["none", "exact"])
        self.ok("DELETE", "/v1/collections/c/adapter")
        self.assertEqual(ask()[0], "exact")  # the first one's again
        self.put(weights=halves([0.25] * DIM * DIM))
        self.assertEqual(ask()[0], "none")
        payload = self.ok("GET", f"/v1/audit/{mapped}")["payload"]
        self.assertEqual(payload["retrieval"]["adapter"], made["id"])


class Writers(WithAdapter):
    def setUp(self):
        self.tcp = None
        super().setUp()

    def start(self):
        if self.tcp is None:
            self.tcp = TcpListener(self.ragd, ["reader", "writer"])
            self.ragd.config += f"[http]\n{self.tcp.config_lines}"
        super().start()

    def test_it_is_theirs(self):
        self.ok("PUT", "/v1/collections/c", {"readers": ["token:reader", "token:writer"],
                                             "writers": ["token:writer"]})

        users = {name: User(self.ragd, self.tcp, name) for name in ("reader", "writer")}
        for user in users.values():
            self.addCleanup(user.close)

        def call(name, method, body=None):
            return users[name].call(method, "/v1/collections/c/adapter", body)

        self.assertEqual(call("writer", "PUT", self.body())[0], 201)
        for method in ("PUT", "GET", "DELETE"):
            status, reply = call("reader", method, self.body() if method == "PUT" else None)
            self.assertEqual((status, reply["error"]["code"]), (403, "denied"))
        self.assertEqual(call("writer", "GET")[0], 200)
        self.assertEqual(call("writer", "DELETE")[0], 200)


class AnotherEmbedder(WithAdapter):
    def test_it_rests_while_there_is_none_and_goes_when_another_one_comes(self):
        made = self.put()
        self.ragd.stop()
        self.ragd.config = config(None)
        self.start()
        self.assertEqual(self.collection()["adapter"], {**made, "active": False})
        self.assertIs(self.ok("GET", "/v1/collections/c/adapter")["active"], False)
        shown = self.ragd.ragctl("collection", "show", "c").stdout
        self.assertRegex(shown, f"(?m)^adapter +{made['id']} of 120 pairs, mrr@10 0.5000 -> 0.6250, "
                                "not applied: its embedder does not serve$")
        self.assertRegex(self.ragd.ragctl("doctor").stdout,
                         r"(?m)^warn +tuning +collection 'c': its adapter was learned with")
        status, reply = self.ragd.call("PUT", "/v1/collections/c/adapter", self.body())
        self.assertEqual(status, 400)
        self.assertIn("no embedder", reply["error"]["message"])
        self.ragd.stop()
        self.ragd.config = config()
        self.start()
        self.settle()
        self.assertEqual(self.collection()["adapter"], made)
        self.assertFalse(self.events("adapter_dropped"))

        self.ragd.stop()
        self.ragd.config = config("tiny-bert-ce")
        self.start()
        self.settle()
        until = time.monotonic() + PATIENCE_S
        while "adapter" in self.collection():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        dropped = self.events("adapter_dropped")
        self.assertEqual(len(dropped), 1)
        self.assertIn(f"collection=c id={made['id']} learned_with={self.fingerprint[:16]}",
                      dropped[0])
        self.assertNotIn("adapter", self.dense()[1])
        self.ragd.stop()
        self.ragd.config = config()
        self.start()
        self.settle()
        self.assertNotIn("adapter", self.collection())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
