#!/usr/bin/env python3
"""ragctl as a person and as a script use it.

    test_ragctl.py BUILD_DIR"""
import json
import os
import pathlib
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
DEMO = ROOT / "etc" / "demo"


class Base(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ragctl-test."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.docs = self.folder / "docs"
        self.docs.mkdir()

    def write(self, name, text):
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


class WithRagd(Base):
    def setUp(self):
        super().setUp()
        self.ragd = Ragd(BUILD)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()

    def run_it(self, *arguments, status=0, **run):
        result = self.ragd.ragctl(*[str(a) for a in arguments], **run)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def json(self, *arguments, status=0, **run):
        result = self.run_it(*arguments, "--json", status=status, **run)
        return json.loads(result.stdout)

    def names(self, collection="c"):
        return [d["document"] for d in self.json("document", "list", "-c", collection)["documents"]]


class Ingest(WithRagd):
    def test_a_folder_twice(self):
        self.write("b.md", "# 제목\n\n연차는 15일이다.\n")
        self.write("sub/a.txt", "회의는 3시에 한다.\n")
        self.write(".hidden.md", "x")
        self.write("picture.png", "x")
        first = self.json("ingest", "-c", "c", self.docs)
        self.assertEqual((first["documents"], first["unchanged"], first["failed"]), (2, 0, 0))
        self.assertEqual((first["hidden"], first["unsupported"]), (1, 1))
        self.assertTrue(first["created"])
        second = self.json("ingest", "-c", "c", str(self.docs) + "/")
        self.assertEqual((second["documents"], second["unchanged"]), (0, 2))
        self.assertFalse(second["created"])
        self.assertEqual(self.names(), ["b.md", "sub/a.txt"])

    def test_the_demo_documents_have_their_file_names(self):
        self.run_it("ingest", "-c", "demo", DEMO)
        self.assertIn("01-휴가규정.md", self.names("demo"))

    def test_no_bar_and_a_summary_without_a_terminal(self):
        self.write("a.txt", "글이다.")
        result = self.run_it("ingest", "-c", "c", self.docs)
        self.assertEqual(result.stderr, "")
        self.assertTrue(result.stdout.startswith("c: 1 ingested, 0 unchanged ("))

    def test_a_bar_on_a_terminal_unless_quiet(self):
        for i in range(30):
            self.write(f"{i}.txt", f"글 {i}이다.\n" * 50)
        for quiet, wanted in (([], True), (["--quiet"], False)):
            master, slave = pty.openpty()
            subprocess.run([BUILD / "ragctl", "ingest", "-c", "c" + str(wanted).lower(), self.docs,
                            "--socket", self.ragd.socket, *quiet],
                           stderr=slave, stdout=subprocess.PIPE, check=True, timeout=60)
            os.close(slave)
            shown = b""
            try:
                while piece := os.read(master, 65536):
                    shown += piece
            except OSError:
                pass
            os.close(master)
            self.assertEqual(b"/30 files" in shown, wanted)

    def test_cp949_and_utf16_are_converted_and_said(self):
        self.write("cp949.txt", "연차는 15일이다. 샾\n".encode("cp949"))
        self.write("utf16.txt", "회의는 3시에 한다.\n".encode("utf-16"))
        self.write("latin1.txt", "caf\xe9 cr\xe8me".encode("latin-1"))
        self.write("page.html", '<meta charset="euc-kr"><p>식당은 1층이다.</p>'.encode("cp949"))
        result = self.run_it("ingest", "-c", "c", self.docs, status=1)
        self.assertIn("cp949.txt: converted from CP949", result.stderr)
        self.assertIn("utf16.txt: converted from UTF-16", result.stderr)
        self.assertIn("latin1.txt: byte 0xE9 at offset 3 is not UTF-8", result.stderr)
        text = self.run_it("document", "get", "--text", "-c", "c", "cp949.txt").stdout
        self.assertEqual(text, "연차는 15일이다. 샾\n")
        text = self.run_it("document", "get", "--text", "-c", "c", "page.html").stdout
        self.assertIn("식당은 1층이다.", text)

    def test_decomposed_names_become_composed(self):
        self.write("\u1112\u1172\u1100\u1161.md", "글이다.")
        self.run_it("ingest", "-c", "c", self.docs)
        self.assertEqual(self.names(), ["휴가.md"])

    def test_records_name_their_lines(self):
        lines = ['{"id":"r1","text":"하나이다."}', "not json", '{"id":"r2","text":"둘이다."}',
                 '{"text":"이름이 없다."}']
        self.write("all.jsonl", "\n".join(lines))
        result = self.json("ingest", "-c", "c", self.docs, status=1)
        self.assertEqual((result["documents"], result["failed"]), (2, 2))
        self.assertEqual([e["line"] for e in result["errors"]], [2, 4])
        self.assertEqual(self.names(), ["r1", "r2"])

    def test_many_records_go_in_slices(self):
        self.write("all.ndjson", "".join(
            json.dumps({"id": f"r{i}", "text": f"기록 {i}번이다."}) + "\n" for i in range(4500)) +
            "bad\n")
        result = self.json("ingest", "-c", "c", self.docs, "--jobs", "3", status=1)
        self.assertEqual((result["documents"], result["failed"]), (4500, 1))
        self.assertEqual(result["errors"][0]["line"], 4501)
        self.assertEqual(len(self.names()), 4500)

    def test_metadata_can_be_filtered_by(self):
        a = self.write("a.txt", "연차는 15일이다.")
        b = self.write("b.txt", "연차는 20일이다.")
        self.run_it("ingest", "-c", "c", a, "--metadata", "dept=인사", "--metadata", "year:=2023")
        (self.folder / "m").write_text('{"dept":"개발","year":2024}')
        self.run_it("ingest", "-c", "c", b, "--metadata-file", self.folder / "m")
        for more, wanted in ((["--where", "dept=인사"], ["a.txt"]),
                             (["--filter", '{"year":{"gte":2024}}'], ["b.txt"]),
                             ([], ["a.txt", "b.txt"])):
            found = self.json("search", "-c", "c", "연차", *more)["results"]
            self.assertEqual(sorted(r["document"] for r in found), wanted)

    def test_prefix_name_type_and_standard_input(self):
        plain = self.write("notes", "메모이다.")
        self.run_it("ingest", "-c", "c", plain, "--type", "text/plain", "--prefix", "me/")
        self.run_it("ingest", "-c", "c", "-", "--name", "in.md", input="# 제목\n\n글이다.\n")
        self.assertEqual(self.names(), ["in.md", "me/notes"])

    def test_delete_missing(self):
        for name in ("a.txt", "b.txt"):
            self.write(name, f"{name}의 글이다.")
        self.run_it("ingest", "-c", "c", self.docs, "--prefix", "x/")
        self.run_it("ingest", "-c", "c", "-", "--name", "other.txt", input="다른 글이다.")
        (self.docs / "a.txt").unlink()
        result = self.json("ingest", "-c", "c", self.docs, "--prefix", "x/", "--delete-missing")
        self.assertEqual((result["deleted"], result["unchanged"]), (1, 1))
        self.assertEqual(self.names(), ["other.txt", "x/b.txt"])

    def test_delete_missing_asks_before_it_deletes_most(self):
        for i in range(30):
            self.write(f"{i}.txt", f"글 {i}이다.")
        self.run_it("ingest", "-c", "c", self.docs)
        for i in range(29):
            (self.docs / f"{i}.txt").unlink()
        result = self.run_it("ingest", "-c", "c", self.docs, "--delete-missing", status=1)
        self.assertIn("would delete 29 of 30 documents", result.stderr)
        self.assertEqual(len(self.names()), 30)
        self.run_it("ingest", "-c", "c", self.docs, "--delete-missing", "--yes")
        self.assertEqual(self.names(), ["29.txt"])

    def test_what_is_wrong_is_named_and_the_rest_goes_on(self):
        self.write("good.txt", "글이다.")
        self.write("bad.json", "{")
        self.write("two\nlines.md", "글이다.")
        result = self.run_it("ingest", "-c", "c", self.docs, self.folder / "none.md", status=1)
        self.assertIn("bad.json: ", result.stderr)
        self.assertIn("none.md': cannot be read: No such file", result.stderr)
        self.assertIn("holds a control character", result.stderr)
        self.assertEqual(self.names(), ["good.txt"])
        result = self.run_it("ingest", "-c", "none", "--no-create", self.docs, status=1)
        self.assertIn("collection 'none'", result.stderr)
        result = self.run_it("ingest", "-c", "Bad Name", self.docs, status=1)
        self.assertIn("Bad Name", result.stderr)


class Questions(WithRagd):
    def setUp(self):
        super().setUp()
        self.run_it("ingest", "-c", "demo", DEMO)

    def test_ask_prints_the_answer_and_its_citation(self):
        result = self.run_it("ask", "-c", "demo", "미사용", "연차는", "며칠까지", "이월할", "수", "있나요?")
        self.assertIn("[1] 01-휴가규정.md", result.stdout)
        self.assertIn('    "', result.stdout)

    def test_ask_json_has_what_scripts_rely_on(self):
        reply = self.json("ask", "-c", "demo", "미사용 연차는 며칠까지 이월할 수 있나요?")
        for key in ("answer", "refused", "reason", "citations", "backend", "cache", "request_id",
                    "stages_ms"):
            self.assertIn(key, reply)
        self.assertFalse(reply["refused"])
        cited = reply["citations"][0]
        self.assertEqual(cited["document"], "01-휴가규정.md")
        text = self.run_it("document", "get", "--text", "-c", "demo", cited["document"]).stdout
        span = text.encode()[cited["byte_start"]:cited["byte_end"]].decode()
        self.assertEqual(span, cited["text"])

    def test_a_stream_says_the_same(self):
        question = "미사용 연차는 며칠까지 이월할 수 있나요?"
        streamed = self.run_it("ask", "-c", "demo", question, "--stream", "--no-cache").stdout
        plain = self.run_it("ask", "-c", "demo", question, "--no-stream", "--no-cache").stdout
        self.assertEqual(streamed.split(), plain.split())

    def test_a_refusal_has_its_own_exit_status(self):
        question = "화성 탐사선의 발사 비용은 얼마인가요?"
        refused = self.run_it("ask", "-c", "demo", question, status=3).stdout
        self.assertIn("답 없음: ", refused)
        self.assertIn("가장 가까운 단락 (답인지는 모릅니다):\n    ", refused)
        self.run_it("ask", "-c", "demo", "--stream", question, status=3)
        self.assertTrue(self.json("ask", "-c", "demo", question, status=3)["refused"])

    def test_chat_in_a_pipe(self):
        result = self.run_it("chat", "-c", "demo", input="미사용 연차는 며칠까지 이월할 수 있나요?\n"
                             "\n/forget\n/nonsense\n/quit\nnot asked\n")
        self.assertIn("[1] 01-휴가규정.md", result.stdout)
        self.assertIn("'/nonsense'", result.stderr)
        self.assertEqual(len(self.json("audit", "list", "--kind", "ask")["entries"]), 1)

    def test_search_prints_passages(self):
        result = self.run_it("search", "-c", "demo", "연차 이월", "--top-k", "2")
        self.assertTrue(result.stdout.startswith("[1] 01-휴가규정.md"))
        self.assertNotIn("[3]", result.stdout)
        stages = self.json("search", "-c", "demo", "연차 이월", "--stages")["stages"]
        self.assertIn("bm25", stages)


class Management(WithRagd):
    def test_collections(self):
        self.run_it("collection", "create", "c", "--readers", "*", "--chunk-chars", "300",
                    "--offline", "yes")
        result = self.run_it("collection", "create", "c", status=1)
        self.assertIn("is there already", result.stderr)
        shown = self.json("collection", "show", "c")
        self.assertEqual((shown["readers"], shown["chunk_chars"], shown["offline"]),
                         (["*"], 300, True))
        self.run_it("collection", "set", "c", "--readers", "*,uid:65534", "--offline", "no")
        shown = self.json("collection", "show", "c")
        self.assertEqual((shown["readers"], shown["chunk_chars"], shown["offline"]),
                         (["*", "uid:65534"], 300, False))
        self.assertIn("c ", self.run_it("collection", "list").stdout)
        self.run_it("collection", "check", "c")
        self.run_it("collection", "set", "none", status=1)
        self.run_it("collection", "delete", "c", status=1)
        self.run_it("collection", "delete", "c", "--yes")
        self.assertEqual(self.json("collection", "list")["collections"], [])

    def test_documents(self):
        self.run_it("ingest", "-c", "c", "-", "--name", "a\x1b[31m.md", "--type", "text/plain",
                    input="글이다. \x1b[2J", status=1)
        self.run_it("ingest", "-c", "c", "-", "--name", "a.txt", input="글이다.\n")
        listed = self.run_it("document", "list", "-c", "c").stdout
        self.assertNotIn("\x1b", listed)
        self.assertIn("a.txt", listed)
        self.assertIn("글이다.", self.run_it("document", "get", "-c", "c", "a.txt").stdout)
        result = self.run_it("document", "delete", "-c", "c", "none", status=1)
        self.assertIn("none", result.stderr)
        self.run_it("document", "delete", "-c", "c", "none", "--ignore-missing", "a.txt")
        self.run_it("document", "get", "-c", "c", "a.txt", status=1)

    def test_audit(self):
        self.run_it("ingest", "-c", "c", "-", "--name", "a.txt", input="연차는 15일이다.\n")
        self.ragd.ragctl("ask", "-c", "c", "연차는 며칠인가요?")
        listed = self.run_it("audit", "list").stdout
        self.assertIn("연차는 며칠인가요?", listed)
        head = self.json("audit", "verify")
        self.assertTrue(head["whole"])
        (self.folder / "head").write_text(json.dumps(head))
        self.run_it("audit", "verify", "--head", self.folder / "head")
        self.run_it("audit", "verify", "--head", f"{head['head']['n']}:{head['head']['hash']}")
        wrong = self.run_it("audit", "verify", "--head", "1:" + "0" * 64, status=1)
        self.assertIn("BROKEN", wrong.stdout)
        rows = self.run_it("audit", "export").stdout.splitlines()
        end = json.loads(rows.pop())["end"]
        self.assertEqual([json.loads(r)["seq"] for r in rows], list(range(1, len(rows) + 1)))
        self.assertEqual((end["rows"], end["head"]), (len(rows), head["head"]))
        written = self.json("audit", "export", "--output", self.folder / "rows")
        self.assertEqual(written["entries"], len(rows))
        self.run_it("audit", "export", "--output", self.folder / "rows", status=1)
        ask = self.json("audit", "list", "--kind", "ask")["entries"][0]
        self.assertIn("연차", self.run_it("audit", "show", ask["seq"]).stdout)
        self.run_it("audit", "erase", ask["seq"], status=2)
        self.run_it("audit", "erase", ask["seq"], "--why", "requested")
        self.assertIn("(erased)", self.run_it("audit", "show", ask["seq"]).stdout)
        after = self.json("audit", "verify")
        self.assertTrue(after["whole"])
        self.assertEqual(after["erased"], 1)
        self.assertEqual(self.json("audit", "list", "--since", "1h", "--until", "2020-01-01")
                         ["entries"], [])

    def test_backup_and_restore(self):
        self.run_it("ingest", "-c", "c", "-", "--name", "a.txt", input="연차는 15일이다.\n")
        self.run_it("backup", "b", cwd=self.folder)
        self.run_it("restore", self.folder / "b", "--check")
        self.run_it("restore", self.folder / "b", "--state", self.folder / "state")
        again = self.run_it("restore", self.folder / "b", "--state", self.folder / "state", status=1)
        self.assertIn(str(self.folder / "state"), again.stderr)
        self.ragd.stop()
        self.ragd.state = self.folder / "state"
        self.ragd.start()
        self.assertEqual(self.names(), ["a.txt"])
        with open(self.folder / "b" / "ragd.db", "r+b") as f:
            f.seek(5000)
            f.write(b"\xff\xff\xff\xff")
        broken = self.run_it("restore", self.folder / "b", "--check", status=1)
        self.assertIn("ragd.db", broken.stderr)

    def test_status_doctor_metrics_version(self):
        self.assertIn("ready", self.run_it("status").stdout)
        self.assertTrue(self.json("status")["ready"])
        (self.folder / "good.conf").write_text("[http]\nthreads = 2\n")
        (self.folder / "bad.conf").write_text("[http]\nthraeds = 2\n")
        found = self.json("doctor", "--state", self.ragd.state, "--config",
                          self.folder / "good.conf")
        self.assertEqual(found["failures"], 0, found)
        self.assertEqual({c["check"] for c in found["checks"]} &
                         {"config", "disk", "socket", "daemon", "ready", "index", "audit"},
                         {"config", "disk", "socket", "daemon", "ready", "index", "audit"})
        bad = self.run_it("doctor", "--config", self.folder / "bad.conf", status=1)
        self.assertIn("thraeds", bad.stdout)
        self.assertIn("ragd_documents 0", self.run_it("metrics").stdout)
        self.assertIn("ragctl ", self.run_it("--version").stdout)

    def test_status_waits_for_a_daemon_that_starts(self):
        self.assertEqual(self.ragd.stop(), 0)
        self.run_it("status", "--wait", "1", status=1)
        waiting = subprocess.Popen([str(BUILD / "ragctl"), "-s", self.ragd.socket, "status",
                                    "--wait", "60"], stdout=subprocess.PIPE, text=True)
        self.ragd.start()
        self.assertIn(": ready", waiting.communicate(timeout=120)[0])
        self.assertEqual(waiting.returncode, 0)

    def test_mistakes(self):
        for arguments, status, word in (
                (["aks"], 2, "unknown"), (["serach"], 2, "did you mean 'search'"),
                (["ask", "q"], 2, "needs --collection"), (["ask", "-c", "c"], 2, "none given"),
                (["ask", "-c", "c", "--top-k", "51", "q"], 2, "from 1 to 50"),
                (["search", "-c", "none", "q"], 1, "none"), (["audit"], 2, "needs one of"),
                (["collection", "show"], 2, "needs a collection"),
                (["audit", "list", "--since", "soon"], 2, "not a time")):
            self.assertIn(word, self.run_it(*arguments, status=status).stderr)
        error = self.json("search", "-c", "none", "q", status=1)["error"]
        self.assertEqual(error["code"], "not_found")


class WithoutRagd(Base):
    def ragctl(self, *arguments):
        return subprocess.run([BUILD / "ragctl", *arguments], capture_output=True, text=True,
                              timeout=60, check=False)

    def test_nobody_there(self):
        path = str(self.folder / "s")
        result = self.ragctl("status", "--socket", path)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is ragd running there?", result.stderr)
        result = self.ragctl("doctor", "--socket", path)
        self.assertEqual(result.returncode, 1)
        self.assertIn("FAIL  socket", result.stdout)

    def test_help(self):
        self.assertEqual(self.ragctl().returncode, 2)
        for arguments in (["--help"], ["help"], ["ask", "--help"], ["help", "ask"]):
            result = self.ragctl(*arguments)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("usage: ragctl", result.stdout)

    def test_a_busy_daemon_is_asked_again(self):
        """A server that says 503 twice, then takes the document."""
        path = str(self.folder / "s")
        replies = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"] + [
            b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 38\r\n\r\n"
            b'{"error":{"message":"queue: is full"}}'] * 2 + [
                b"HTTP/1.1 201 Created\r\nContent-Length: 33\r\n\r\n"
                b'{"unchanged":false,"chunks": 1  }']
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def serve():
            connection = None
            for reply in replies:
                data = b""
                while True:
                    if connection is None:
                        connection = listener.accept()[0]
                    piece = connection.recv(65536)
                    if not piece:
                        connection = None
                        continue
                    data += piece
                    head, _, body = data.partition(b"\r\n\r\n")
                    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n")
                              if line.lower().startswith(b"content-length")]
                    if b"\r\n\r\n" in data and len(body) >= (length or [0])[0]:
                        break
                connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.write("a.txt", "글이다.")
        result = self.ragctl("ingest", "-c", "c", str(self.docs), "--socket", path, "--jobs", "1",
                             "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        reply = json.loads(result.stdout)
        self.assertEqual(reply["documents"], 1)
        self.assertGreaterEqual(reply["elapsed_s"], 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
