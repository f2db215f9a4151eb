#!/usr/bin/env python3
"""ragd among clients that are slow, vanish, send too much, or are too many.

    test_clients.py BUILD_DIR"""
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import side_by_side  # noqa: E402
from ragd_process import Ragd, free_port  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
PATIENCE_S = 60
ASK = {"collection": "c", "question": "연차는 며칠까지 이월할 수 있나요?"}


class WithRagd(unittest.TestCase):
    config = None

    def setUp(self):
        self.ragd = Ragd(BUILD, config=self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()
        self.call(201, "PUT", "/v1/collections/c", {})
        self.call(201, "PUT", self.ragd.document("c", "휴가.txt"),
                  "연차는 최대 5일까지 이월할 수 있다.", content_type="text/plain")

    def call(self, code, method, target, body=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertEqual(status, code, reply)
        return reply

    def raw(self, text=b""):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(PATIENCE_S)
        s.connect(self.ragd.socket)
        s.sendall(text)
        return s

    def metric(self, name, connection=None):
        text = self.call(200, "GET", "/metrics", connection=connection)
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.M).group(1))

    @staticmethod
    def hear(s):
        """(status, text) of a reply, however many pieces it comes in."""
        reply = http.client.HTTPResponse(s)
        reply.begin()
        return reply.status, reply.read().decode()

    def wait_for(self, condition, what):
        until = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.02)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.ragd.process.pid}/fd"))

    def request(self, path, body):
        data = json.dumps(body, ensure_ascii=False).encode()
        return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(data)}\r\n\r\n").encode() + data


class Slow(WithRagd):
    def test_500_slow_clients_do_not_keep_a_good_one_from_its_answer(self):
        starts = [b"", b"GET /heal", b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{",
                  b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"]
        slow = [self.raw(starts[i % len(starts)]) for i in range(500)]
        begun = time.monotonic()
        for _ in range(10):
            reply = self.call(200, "POST", "/v1/ask", ASK)
            self.assertFalse(reply["refused"])
        # sooner than the first of the slow ones is hung up, after the 30 s of idle_timeout_s
        self.assertLess(time.monotonic() - begun, 30)
        for s in slow:
            s.close()
        self.wait_for(lambda: self.metric("ragd_http_connections") <= 2, "connections held")
        self.assertEqual(self.metric("ragd_http_body_bytes"), 0)


class Impatient(WithRagd):
    config = "[http]\nidle_timeout_s = 1\n"

    def test_who_is_too_slow_is_told_and_hung_up(self):
        for start in (b"GET /heal", b"POST /v1/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{"):
            with self.raw(start) as s:
                status, reply = self.hear(s)
                self.assertEqual(status, 408)
                self.assertEqual(json.loads(reply)["error"]["code"], "timeout")
                self.assertEqual(s.recv(1), b"")


class Vanishing(WithRagd):
    def test_200_clients_that_ask_and_vanish_leave_nothing_held(self):
        self.call(200, "POST", "/v1/ask", ASK)
        before = self.descriptors()
        for body in (ASK, dict(ASK, stream=True)):
            clients = [self.raw(self.request("/v1/ask", body)) for _ in range(200)]
            for s in clients:
                s.close()
        self.wait_for(lambda: self.metric("ragd_http_connections") <= 1, "connections held")
        self.wait_for(lambda: self.metric("ragd_workers_busy") <= 1, "workers held")
        self.wait_for(lambda: self.descriptors() <= before + 2, "descriptors held")
        self.assertFalse(self.call(200, "POST", "/v1/ask", ASK)["refused"])
        self.assertTrue(self.call(200, "POST", "/v1/audit/verify", {})["whole"])


class Limits(WithRagd):
    config = "[http]\nbody_bytes_max = 2000000\n"

    def test_a_2_gb_body_is_refused_by_its_length(self):
        with self.raw(b"PUT /v1/collections/c/documents/a.txt HTTP/1.1\r\nHost: x\r\n"
                      b"Content-Type: text/plain\r\nContent-Length: 2147483648\r\n\r\n") as s:
            status, reply = self.hear(s)
        self.assertEqual(status, 413)
        self.assertIn("2147483648 bytes, the limit is 2000000", reply)

    def test_a_client_that_sends_all_of_it_reads_the_refusal(self):
        status, reply = self.ragd.call("PUT", self.ragd.document("c", "a.txt"), b"x" * (200 << 20),
                                       "text/plain")
        self.assertEqual(status, 413, reply)
        self.assertLess(self.ragd.rss_mb(), 1000)

    def test_descriptors_run_out_and_come_back(self):
        pid = self.ragd.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        held = []
        kept = self.ragd.connection()
        self.call(200, "GET", "/healthz", connection=kept)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.descriptors() + 20, before[1]))
        for _ in range(40):  # ten are turned away in a second, so this one waits for two
            held.append(self.raw())
        with self.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n") as s:
            self.assertEqual(self.hear(s)[0], 503)
        self.call(200, "GET", "/healthz", connection=kept)  # who is in is served
        for s in held:
            s.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        self.wait_for(lambda: self.ragd.call("GET", "/healthz")[0] == 200, "no recovery")
        self.assertFalse(self.call(200, "POST", "/v1/ask", ASK)["refused"])
        self.assertIn("event=accept_failed", self.ragd.log_path.read_text())
        kept.close()


class TooMany(WithRagd):
    config = "[http]\nconnections_max = 16\n"

    def test_idle_connections_make_room(self):
        # One connection reads the metrics and is in every count; those of before are gone.
        kept = self.ragd.connection()
        self.wait_for(lambda: self.metric("ragd_http_connections", kept) == 1, "old connections stay")
        share = 12  # three quarters of connections_max: what one user may hold
        idle = [self.raw() for _ in range(share - 1)]
        self.wait_for(lambda: self.metric("ragd_http_connections", kept) == share, "not accepted")
        time.sleep(1)  # a client that just came gets half a second to speak
        self.metric("ragd_http_connections", kept)  # has spoken last
        for _ in range(5):
            self.call(200, "POST", "/v1/ask", ASK)
        self.assertGreater(self.metric("ragd_http_evicted_total", kept), 0)
        kept.close()
        for s in idle:
            s.close()


class Ending(WithRagd):
    def test_what_was_begun_is_answered_before_the_end(self):
        replies = []

        def keep_asking():
            while True:
                try:
                    replies.append(self.ragd.call("POST", "/v1/ask", ASK)[0])
                except (OSError, http.client.HTTPException) as error:
                    replies.append(error)
                    return

        askers = [threading.Thread(target=keep_asking) for _ in range(4)]
        for t in askers:
            t.start()
        time.sleep(0.5)
        self.assertEqual(self.ragd.stop(), 0)
        for t in askers:
            t.join()
        wrong = [r for r in replies if isinstance(r, int) and r not in (200, 503)]
        self.assertEqual(wrong, [])
        # a reply that had begun is never cut: only the connection is refused or ended before it
        cut = [r for r in replies if isinstance(r, http.client.IncompleteRead)]
        self.assertEqual(cut, [])
        self.assertFalse(os.path.exists(self.ragd.socket))
        self.ragd.start()
        self.assertTrue(self.call(200, "POST", "/v1/audit/verify", {})["whole"])

    def test_the_log_is_opened_again(self):
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder) / "log"
            with Ragd(BUILD, config=f"[ragd]\nlog_file = {log}\n") as ragd:
                log.rename(log.with_suffix(".1"))
                ragd.process.send_signal(signal.SIGHUP)
                self.wait_for(log.exists, "no new log")
                ragd.stop()
            self.assertIn("event=stopped", log.read_text())
            self.assertIn("event=ready", log.with_suffix(".1").read_text())

    def test_the_service_manager_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "n")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(PATIENCE_S)
                with Ragd(BUILD) as ragd:
                    ragd.stop()
                    ragd.start(env=dict(os.environ, NOTIFY_SOCKET=path))
                    self.assertEqual(manager.recv(100), b"READY=1")
                    ragd.stop()
                    self.assertEqual(manager.recv(100), b"STOPPING=1")


class Tcp(unittest.TestCase):
    def test_tcp_wants_a_token_and_records_who_came(self):
        port = free_port()
        with tempfile.NamedTemporaryFile("w") as tokens:
            tokens.write("alice:0123456789abcdef\n")
            tokens.flush()
            config = (f"[ragd]\nadmins = token:alice\n[http]\ntcp_address = 127.0.0.1\n"
                      f"tcp_port = {port}\ntoken_file = {tokens.name}\n")
            with Ragd(BUILD, config=config) as ragd:
                for token, code in ((None, 401), ("0123456789abcdeX", 401),
                                    ("0123456789abcdef", 200)):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
                    headers = {"Authorization": f"Bearer {token}"} if token else {}
                    status, _ = ragd.call("GET", "/v1/collections", headers=headers,
                                          connection=connection)
                    self.assertEqual(status, code)
                    connection.close()
                ragd.stop()

    def test_a_token_file_that_others_can_read_is_refused(self):
        with tempfile.NamedTemporaryFile("w") as tokens, tempfile.TemporaryDirectory() as folder:
            tokens.write("alice:0123456789abcdef\n")
            tokens.flush()
            os.chmod(tokens.name, 0o644)
            config = pathlib.Path(folder) / "conf"
            config.write_text(f"[http]\ntcp_address = ::1\ntoken_file = {tokens.name}\n")
            run = subprocess.run([str(BUILD / "ragd"), "-f", str(config), "--state", folder + "/s",
                                  "--socket", folder + "/sock"], capture_output=True, text=True,
                                 timeout=60, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("chmod 600", run.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], testRunner=side_by_side.Runner(2))
