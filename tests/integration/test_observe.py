#!/usr/bin/env python3
"""What an operator sees: metrics, the log's line of each request, the requests in flight.

    test_observe.py BUILD_DIR"""
import hashlib
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import termios
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import exposition  # noqa: E402
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
QUESTION = "미사용 연차는 며칠까지 이월할 수 있나요?"
LEAVE = "미사용 연차는 최대 5일까지 다음 해로 이월할 수 있다."
ME = f"uid:{os.getuid()}"


class WithRagd(unittest.TestCase):
    config = None

    def setUp(self):
        self.ragd = Ragd(BUILD, config=self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        self.ok("PUT", "/v1/collections/handbook", {})
        self.ok("PUT", self.ragd.document("handbook", "leave.txt"), LEAVE,
                content_type="text/plain")

    def ok(self, method, target, body=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertIn(status, (200, 201), reply)
        return reply

    def ask(self, question=QUESTION, **members):
        return self.ok("POST", "/v1/ask",
                       {"collection": "handbook", "question": question, **members})

    def log(self):
        return self.ragd.log_path.read_text(encoding="utf-8").splitlines()

    def wait_for(self, found, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            result = found()
            if result:
                return result
            time.sleep(0.02)
        return self.fail("it did not happen in time")


class Metrics(WithRagd):
    def read(self):
        return exposition.parse(self.ok("GET", "/metrics"))

    def test_every_line_is_prometheus_text(self):
        self.ask()
        families = self.read()
        self.assertGreater(len(families), 50)
        for name in families:
            self.assertRegex(name, "^(ragd|process)_[a-z0-9_]+$")

    def test_an_ask_counts_in_each_stage_that_ran(self):
        before = self.read()
        stages = self.ask()["stages_ms"]
        after = self.read()
        for stage in stages:
            rise = [exposition.value(m, "ragd_stage_seconds_count", stage=stage)
                    for m in (before, after)]
            self.assertEqual(rise[1] - rise[0], 1, stage)

    def test_counters_never_fall(self):
        before = self.read()
        for _ in range(3):
            self.ask()
            after = self.read()
            for name, family in before.items():
                if family["type"] == "gauge":
                    continue
                now = {(n, tuple(sorted(l.items()))): v for n, l, v in after[name]["samples"]}
                for n, labels, v in family["samples"]:
                    self.assertGreaterEqual(now[n, tuple(sorted(labels.items()))], v, n)
            before = after

    def test_the_page_of_the_protocol_names_every_metric(self):
        page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "PROTOCOL.md").read_text(
            encoding="utf-8")
        for name in self.read():
            self.assertIn(name, page)

    def test_the_process_is_there(self):
        m = self.read()
        self.assertGreater(exposition.value(m, "process_open_fds"), 3)
        self.assertLess(abs(exposition.value(m, "process_start_time_seconds") - time.time()), 120)
        self.assertLess(abs(exposition.value(m, "process_resident_memory_bytes") / 2**20 -
                            self.ragd.rss_mb()), 64)


class TextLog(WithRagd):
    def request_lines(self, route):
        return [line for line in self.log() if f" route={route} " in line]

    def test_a_question_leaves_one_line_without_its_text(self):
        reply = self.ask()
        line = self.wait_for(lambda: self.request_lines("/v1/ask"))
        self.assertEqual(len(line), 1)
        text = QUESTION.encode()
        for part in (f" info req={reply['request_id']} event=request method=POST ", " code=200 ",
                     f" principal={ME} ", " collection=handbook outcome=answered ",
                     " backend=extractive cache=none guard=pass prompt_tokens=0 ",
                     f" question_bytes={len(text)} question_sha256="
                     f"{hashlib.sha256(text).hexdigest()[:16]}"):
            self.assertIn(part, line[0])
        self.assertNotIn("연차", "\n".join(self.log()))

    def test_other_requests_leave_one_line_too(self):
        self.ragd.call("GET", "/v1/collections/handbook")
        self.ragd.call("GET", "/v1/collections/none")
        self.ragd.call("GET", "/nowhere")
        self.wait_for(lambda: len(self.request_lines("-")) == 1)
        lines = self.request_lines("/v1/collections/{c}")
        self.assertEqual([re.search(r" method=(\S+) .* code=(\d+) .* collection=(\S+)", line)
                          .groups() for line in lines],
                         [("PUT", "201", "handbook"), ("GET", "200", "handbook"),
                          ("GET", "404", "none")])

    def test_probes_are_not_logged(self):
        for path in ("/healthz", "/readyz", "/metrics"):
            self.ok("GET", path)
            self.assertEqual(self.request_lines(path), [])


class JsonLog(WithRagd):
    config = "[ragd]\nlog_format = json\n"

    def test_every_line_is_one_object_with_the_same_keys(self):
        reply = self.ask()
        self.ragd.call("POST", "/v1/ask", {"collection": "handbook", "question": "\"}\n{\"a\":1"})
        self.ragd.call("GET", "/v1/collections/handbook/documents/%22%7D%0Aevent=ready")
        self.ragd.stop()
        events = []
        for line in self.log():
            event = json.loads(line, object_pairs_hook=self.no_key_twice)
            self.assertEqual(list(event)[:2], ["time", "level"])
            events.append(event)
        asked = [e for e in events if e.get("req") == reply["request_id"]]
        self.assertEqual(len(asked), 1)
        self.assertEqual({k: asked[0][k] for k in ("event", "method", "route", "code", "principal",
                                                   "collection", "outcome", "backend", "cache",
                                                   "prompt_tokens", "question_bytes")},
                         {"event": "request", "method": "POST", "route": "/v1/ask", "code": 200,
                          "principal": ME, "collection": "handbook", "outcome": "answered",
                          "backend": "extractive", "cache": "none", "prompt_tokens": 0,
                          "question_bytes": len(QUESTION.encode())})
        self.assertIsInstance(asked[0]["ms"], float)
        self.assertEqual(len([e for e in events if e["event"] == "ready"]), 1)
        opened = [e for e in events if e["event"] == "starting"]
        self.assertEqual(opened[0]["socket"], self.ragd.socket)

    def no_key_twice(self, pairs):
        self.assertEqual(len(pairs), len({k for k, _ in pairs}), pairs)
        return dict(pairs)


class Live(WithRagd):
    config = "[workers]\nthreads = 2\n"

    def test_nothing_is_in_flight_but_the_question_itself(self):
        self.assertEqual(self.ok("GET", "/v1/requests"), {"requests": [], "n": 0})

    def test_a_request_at_work_is_shown_and_leaves(self):
        enough = threading.Event()

        def put():  # on and on: one alone may come and go between two looks
            for i in range(10000):
                if enough.is_set():
                    return
                self.ragd.call("PUT", self.ragd.document("handbook", "long.txt"),
                               f"{i} " + "연차는 이월할 수 있다. " * 10000, "text/plain")

        thread = threading.Thread(target=put)
        thread.start()
        try:
            seen = self.wait_for(lambda: self.ok("GET", "/v1/requests")["requests"])
        finally:
            enough.set()
            thread.join()
        self.assertEqual(seen[0]["route"], "/v1/collections/{c}/documents/{id}")
        self.assertEqual(seen[0]["collection"], "handbook")
        self.assertEqual(seen[0]["principal"], ME)
        self.assertIn(seen[0]["stage"], ("queued", "working"))
        self.assertRegex(seen[0]["id"], "^[0-9a-f]{32}$")
        self.assertNotIn("연차", json.dumps(seen, ensure_ascii=False))
        self.wait_for(lambda: self.ok("GET", "/v1/requests")["requests"] == [], 60)


class Top(WithRagd):
    def test_one_frame_as_json(self):
        for _ in range(3):
            self.ask()
        run = self.ragd.ragctl("top", "--once", "--interval", "0", "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        top = json.loads(run.stdout)
        stages = {s["stage"]: s for s in top["stages"]}
        self.assertGreater(stages["total"]["per_s"], 0)
        self.assertGreater(stages["total"]["p95_ms"], 0)
        self.assertLessEqual(stages["total"]["p50_ms"], stages["total"]["p95_ms"])
        self.assertIsNone(stages["dense"]["p50_ms"])
        self.assertAlmostEqual(top["answered_per_s"] * top["interval_s"], 3, places=3)
        self.assertEqual(top["requests"], [])

    def test_one_frame_for_people(self):
        self.ask()
        run = self.ragd.ragctl("top", "--once", "--interval", "0")
        for word in ("requests", "cache:", "queues:", "STAGE", "total", "PRINCIPAL"):
            self.assertIn(word, run.stdout)
        self.assertNotIn("\033", run.stdout)

    def test_a_terminal_is_left_as_it_was(self):
        leader, follower = pty.openpty()
        before = termios.tcgetattr(follower)
        run = subprocess.Popen([str(BUILD / "ragctl"), "top", "--interval", "1", "--socket",
                                self.ragd.socket], stdin=follower, stdout=follower,
                               stderr=follower)
        shown = b""
        while b"PRINCIPAL" not in shown:
            shown += os.read(leader, 65536)
        os.write(leader, b"q")
        self.assertEqual(run.wait(timeout=60), 0)
        while b"\033[?1049l" not in shown:
            shown += os.read(leader, 65536)
        self.assertIn(b"\033[?1049h", shown)
        self.assertIn(b"\033[?25h", shown)
        self.assertEqual(termios.tcgetattr(follower), before)
        os.close(leader)
        os.close(follower)

    def test_no_daemon_and_nonsense_are_said(self):
        self.assertEqual(self.ragd.ragctl("top", "--interval", "0").returncode, 2)
        self.assertEqual(self.ragd.ragctl("top", "now").returncode, 2)
        self.ragd.stop()
        run = self.ragd.ragctl("top", "--once")
        self.assertEqual(run.returncode, 1)
        self.assertIn("is ragd running there?", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
