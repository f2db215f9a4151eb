#!/usr/bin/env python3
"""ragctl chat as a person at a terminal and as a pipe uses it.

    test_chat.py BUILD_DIR"""
import errno
import http.server
import json
import os
import pathlib
import pty
import re
import select
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()

DOCUMENTS = {
    "ap500.md": "# AP-500 설명서\n\nAP-500의 무게는 5.2kg이다. 필터는 6개월마다 교체한다.\n",
    "ap700.md": "# AP-700 설명서\n\nAP-700의 무게는 8.4kg이다. 필터는 12개월마다 교체한다.\n",
}


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *command, **environment):
        self.main, side = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=side, stdout=side, stderr=side, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
            env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment})
        os.close(side)
        self.text = ""

    def read(self, seconds):
        """What comes within the time; False at the end."""
        if not select.select([self.main], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.main, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        self.text += data.decode("utf-8", "replace")
        return bool(data)

    def expect(self, wanted, seconds=60):
        """Wait for a text; what came up to its end is taken."""
        until = time.monotonic() + seconds
        while wanted not in self.text:
            if time.monotonic() > until or not self.read(0.2):
                raise AssertionError(f"no {wanted!r} in {self.text!r}; "
                                     f"exit status {self.process.poll()}")
        before, self.text = self.text.split(wanted, 1)
        return before

    def type(self, text):
        os.write(self.main, text.encode())

    def wait(self, seconds=60):
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            self.read(0.05)
        return self.process.wait(timeout=1)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)


class Chat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ragd = Ragd(BUILD)
        cls.ragd.start()
        cls.ragd.call("PUT", "/v1/collections/c", {})
        for name, text in DOCUMENTS.items():
            cls.ragd.call("PUT", cls.ragd.document("c", name), text, "text/markdown")

    @classmethod
    def tearDownClass(cls):
        cls.ragd.__exit__(None, None, None)

    def open(self, socket=None, *more, **environment):
        terminal = Terminal(str(BUILD / "ragctl"), "chat", "-c", "c", "--socket",
                            socket or self.ragd.socket, *more, **environment)
        self.addCleanup(terminal.close)
        terminal.expect("> ")
        return terminal

    def test_a_conversation(self):
        t = self.open()
        t.type("AP-500의 무게는 얼마인가요?\n")
        t.expect("5.2kg")
        t.expect("[1] ap500.md (AP-500 설명서")
        self.assertIn("(extractive, ", t.expect("> "))
        t.type("그럼 AP-700은요?\n")
        t.expect("understood as: AP-700의 무게는 얼마인가요?")
        t.expect("8.4kg")
        t.expect("> ")
        t.type("/sources\n")
        t.expect("[1] ap700.md")
        t.expect("> ")
        t.type("화성 탐사선의 발사 비용은?\n")
        t.expect("답 없음: ")
        t.expect("> ")
        t.type("/help\n")
        t.expect("/new ")
        t.expect("> ")
        t.type("/new\n")
        t.expect("a new conversation begins")
        t.expect("> ")
        t.type("그럼 AP-700은요?\n")
        self.assertNotIn("understood as", t.expect("> "))
        t.type("/quit\n")
        self.assertEqual(t.wait(), 0)

    def test_ctrl_d_ends(self):
        t = self.open()
        t.type("\x04")
        self.assertEqual(t.wait(), 0)

    def test_ctrl_c_at_the_prompt_clears_the_line_and_twice_ends(self):
        t = self.open()
        t.type("half a quest\x03")
        t.expect("once more")
        t.expect("> ")
        t.type("AP-500의 무게는 얼마인가요?\n")
        t.expect("5.2kg")
        t.expect("> ")
        t.type("\x03")
        t.expect("once more")
        t.expect("> ")
        t.type("\x03")
        self.assertEqual(t.wait(), 0)

    def test_erasing_takes_a_whole_syllable(self):
        t = self.open()
        t.type("가나\x7f\x7f/nonsense\n")
        self.assertIn("'/nonsense'", t.expect("> "))
        t.type("\x04")
        self.assertEqual(t.wait(), 0)

    def test_no_escape_sequences_where_they_are_not_wanted(self):
        for environment in ({"TERM": "dumb"}, {"NO_COLOR": "1"}):
            t = self.open(**environment)
            t.type("AP-500의 무게는 얼마인가요?\n")
            self.assertNotIn("\x1b", t.expect("(extractive, "))
            t.type("\x04")
            t.wait()

    def test_a_pipe(self):
        result = self.ragd.ragctl("chat", "-c", "c", input="AP-500의 무게는 얼마인가요?\n"
                                  "그럼 AP-700은요?\n/sources\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("(understood as: AP-700의 무게는 얼마인가요?)", result.stdout)
        self.assertEqual(result.stdout.count("[1] ap700.md"), 2)
        self.assertNotIn("\x1b", result.stdout)
        self.assertNotIn("> ", result.stdout.splitlines()[0])
        lines = self.ragd.ragctl("chat", "-c", "c", "--json", input="AP-500의 무게는?\n"
                                 "그럼 AP-700은요?\n").stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(json.loads(lines[1])["standalone_question"], "AP-700의 무게는?")


class SlowRagd(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers an ask with one sentence and then nothing, until the client goes; the second with
    nothing at all; the third at once."""
    daemon_threads = True

    def __init__(self, path):
        self.n = 0
        self.gone = threading.Event()
        self.heard = threading.Event()  # the second one
        self.asked = []
        super().__init__(path, Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def event(self, name, data):
        text = f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def do_POST(self):
        self.server.n += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        if self.server.n == 2:
            self.server.heard.set()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.server.n == 1:
            self.event("passages", {"passages": [{}, {}]})
            time.sleep(0.3)
            self.event("delta", {"text": "first sentence."})
        if self.server.n <= 2:
            if not select.select([self.connection], [], [], 300)[0]:
                return
            self.server.gone.set()
            return
        self.event("delta", {"text": "all of it."})
        self.event("done", {"answer": "all of it.", "citations": [], "backend": "local",
                            "stages_ms": {"total": 2000},
                            "usage": {"completion_tokens": 11}, "timings_ms": {"decode": 1000}})
        self.wfile.write(b"0\r\n\r\n")


class Cancel(unittest.TestCase):
    def test_ctrl_c_ends_the_answer_and_not_the_chat(self):
        with tempfile.TemporaryDirectory(prefix="chat-test.") as folder:
            server = SlowRagd(f"{folder}/s")
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            t = Terminal(str(BUILD / "ragctl"), "chat", "-c", "c", "--socket", f"{folder}/s")
            self.addCleanup(t.close)
            t.expect("> ")
            t.type("one\n")
            t.expect("2 passages found")
            t.expect("first sentence.")
            begun = time.monotonic()
            t.type("\x03")
            t.expect("cancelled")
            t.expect("> ")
            self.assertLess(time.monotonic() - begun, 60)  # the answer would have taken 300 s
            self.assertTrue(server.gone.wait(60), "the daemon did not see the client go")
            server.gone.clear()
            t.type("two\n")
            self.assertTrue(server.heard.wait(60), "the second question did not come")
            t.type("\x03")
            t.expect("cancelled")
            t.expect("> ")
            self.assertTrue(server.gone.wait(60))
            t.type("three\n")
            t.expect("all of it.")
            t.expect("(local, 2.0 s; 11 tokens, 10.0 a second)")
            t.expect("> ")
            # what was cancelled is not part of the conversation
            self.assertNotIn("messages", server.asked[2])
            t.type("\x04")
            self.assertEqual(t.wait(), 0)
            server.shutdown()
            server.server_close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
