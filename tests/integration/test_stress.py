#!/usr/bin/env python3
"""Everything at once: collections come and go under documents, bulk bodies, searches, questions,
checks, backups and audits. Nothing may hang, fail or, under a sanitizer, be reported, and what is
left must be in step.

    test_stress.py BUILD_DIR [SECONDS]"""
import http.client
import json
import pathlib
import random
import shutil
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 6
HANGS_S = 60
CONFIG = """[index]
snapshot_interval_s = 1
[workers]
threads = 8
job_queue_max = 64
ingest_queue_max = 64
"""
COLLECTIONS = ("a", "b", "c")
WORDS = "휴가 규정 연차 이월 보안 정책 계정 서버 장애 배포 회의 출장 정산 점심 필터 교체 시험 보증 기간 수리 반품 배송".split()


def sentence(rng):
    return " ".join(rng.choices(WORDS, k=8)) + f" {rng.randrange(100)}번이다."


def text_of(rng):
    return "\n\n".join(sentence(rng) for _ in range(rng.choice((1, 5, 40, 400))))


class Client(threading.Thread):
    def __init__(self, daemon, seed, until):
        super().__init__()
        self.daemon_process = daemon
        self.rng = random.Random(seed)
        self.until = until
        self.connection = None
        self.counts = {}
        self.problems = []
        self.slowest = (0, "")

    def call(self, method, target, body=None, content_type="application/json"):
        if self.connection is None:
            self.connection = self.daemon_process.connection(timeout=HANGS_S)
        begun = time.monotonic()
        status, reply = self.daemon_process.call(method, target, body, content_type,
                                                 connection=self.connection)
        self.slowest = max(self.slowest, (time.monotonic() - begun, f"{method} {target}"))
        return status, reply

    def step(self):
        """One request of a random kind: (what it was, status, reply)"""
        rng = self.rng
        c = rng.choice(COLLECTIONS)
        name = f"문서 {rng.randrange(20)}.txt"
        kind = rng.choices(("create", "drop", "put", "delete", "bulk", "search", "ask", "stream",
                            "list", "get", "check", "verify", "audit", "metrics", "backup"),
                           (4, 2, 20, 8, 4, 15, 12, 6, 3, 5, 2, .5, 2, 2, .5))[0]
        at = f"/v1/collections/{c}"
        question = {"collection": c, "question": f"{rng.choice(WORDS)} {rng.choice(WORDS)}은 몇 번인가요?"}
        if kind == "create":
            return kind, *self.call("PUT", at, {"readers": ["*"], "chunk_chars": rng.choice((300, 700))})
        if kind == "drop":
            return kind, *self.call("DELETE", at)
        if kind == "put":
            return kind, *self.call("PUT", self.daemon_process.document(c, name), text_of(rng),
                                    "text/plain")
        if kind == "delete":
            return kind, *self.call("DELETE", self.daemon_process.document(c, name))
        if kind == "bulk":
            lines = "".join(json.dumps({"id": f"줄 {i}", "text": sentence(rng), "n": i}) + "\n"
                            for i in range(rng.randrange(1, 40)))
            return kind, *self.call("POST", at + "/documents", lines, "application/x-ndjson")
        if kind == "search":
            return kind, *self.call("POST", "/v1/search", {
                "collection": c, "query": sentence(rng), "top_k": 20, "stages": rng.random() < .5,
                **({"filter": {"n": {"lt": 20}}} if rng.random() < .3 else {})})
        if kind in ("ask", "stream"):
            return kind, *self.call("POST", "/v1/ask", {**question, "stream": kind == "stream"})
        if kind == "list":
            return kind, *self.call("GET", at + "/documents?limit=5")
        if kind == "get":
            return kind, *self.call("GET", self.daemon_process.document(c, name))
        if kind == "check":
            return kind, *self.call("POST", at + "/check")
        if kind == "verify":
            return kind, *self.call("POST", "/v1/audit/verify", {})
        if kind == "audit":
            return kind, *self.call("GET", "/v1/audit?limit=20")
        if kind == "metrics":
            return kind, *self.call("GET", "/metrics")
        folder = self.daemon_process.folder / f"backup-{rng.getrandbits(64):x}"
        status, reply = self.call("POST", "/v1/backup", {"dir": str(folder)})
        shutil.rmtree(folder, ignore_errors=True)
        return kind, status, reply

    def run(self):
        try:
            while time.monotonic() < self.until:
                kind, status, reply = self.step()
                self.counts[kind, status] = self.counts.get((kind, status), 0) + 1
                # 404: its collection was just dropped; 503: a queue is full
                if status not in (200, 201, 404, 503):
                    self.problems.append(f"{kind}: {status} {reply}")
                elif kind == "verify" and status == 200 and not reply["whole"]:
                    self.problems.append(f"{kind}: {reply}")
                elif kind == "stream" and status == 200 and "event: done" not in reply:
                    self.problems.append(f"{kind}: {reply[-300:]}")
        except (OSError, http.client.HTTPException) as e:
            self.problems.append(f"{type(e).__name__}: {e}")
        finally:
            if self.connection:
                self.connection.close()


class Stress(unittest.TestCase):
    def test_everything_at_once(self):
        with Ragd(BUILD, config=CONFIG) as ragd:
            until = time.monotonic() + SECONDS
            clients = [Client(ragd, seed, until) for seed in range(12)]
            for client in clients:
                client.start()
            for client in clients:
                client.join()
            self.assertEqual([p for client in clients for p in client.problems], [])
            counts = {}
            for client in clients:
                for key, n in client.counts.items():
                    counts[key] = counts.get(key, 0) + n
            print(f"{sum(counts.values())} requests; slowest %.2f s %s" %
                  max(client.slowest for client in clients))
            print(", ".join(f"{kind} {status}: {n}" for (kind, status), n in sorted(counts.items())))
            self.in_step(ragd)
            self.assertEqual(ragd.stop(), 0)
            ragd.start()
            self.in_step(ragd)
            self.assertEqual(ragd.stop(), 0)
            log = ragd.log_path.read_text(encoding="utf-8", errors="replace")
            for word in ("Sanitizer", "runtime error", "error event=", "Assertion"):
                self.assertNotIn(word, log, log[max(0, log.find(word) - 200):][:6000])

    def in_step(self, ragd):
        for name in COLLECTIONS:
            status, reply = ragd.call("POST", f"/v1/collections/{name}/check")
            self.assertIn(status, (200, 404), reply)
            if status == 200:
                self.assertEqual(reply["differences"], 0, name)
        self.assertTrue(ragd.call("POST", "/v1/audit/verify", {})[1]["whole"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
