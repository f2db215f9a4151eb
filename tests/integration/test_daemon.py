#!/usr/bin/env python3
"""ragd end to end over its socket: what README and docs/PROTOCOL.md promise.

    test_daemon.py BUILD_DIR"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]


class WithRagd(unittest.TestCase):
    config = None

    def setUp(self):
        self.ragd = Ragd(BUILD, config=self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()

    def ok(self, method, target, body=None, code=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertIn(status, (code,) if code else (200, 201), reply)
        return reply

    def error(self, code, word, method, target, body=None, **options):
        status, reply = self.ragd.call(method, target, body, **options)
        self.assertEqual(status, code, reply)
        self.assertEqual(set(reply["error"]), {"type", "code", "message", "param"})
        self.assertIn(word, reply["error"]["message"])

    def put(self, name, text, collection="c", headers=None, content_type="text/plain"):
        return self.ok("PUT", self.ragd.document(collection, name), text,
                       content_type=content_type, headers=headers)

    def found(self, query, collection="c", **more):
        reply = self.ok("POST", "/v1/search", {"collection": collection, "query": query, **more})
        return [r["document"] for r in reply["results"]]


class Documents(WithRagd):
    def setUp(self):
        super().setUp()
        self.ok("PUT", "/v1/collections/c", {}, code=201)

    def test_a_document_is_found_until_it_is_deleted(self):
        reply = self.put("휴가.txt", "연차는 최대 5일까지 이월할 수 있다.")
        self.assertTrue(reply["created"])
        self.assertEqual(self.found("연차 이월"), ["휴가.txt"])
        text = self.ok("GET", self.ragd.document("c", "휴가.txt"))["text"]
        self.assertEqual(text, "연차는 최대 5일까지 이월할 수 있다.")
        self.ok("DELETE", self.ragd.document("c", "휴가.txt"))
        self.assertEqual(self.found("연차 이월"), [])
        self.error(404, "휴가.txt", "GET", self.ragd.document("c", "휴가.txt"))
        self.error(404, "휴가.txt", "DELETE", self.ragd.document("c", "휴가.txt"))

    def test_an_update_replaces_every_term(self):
        self.put("a.txt", "사과와 바나나를 판다.")
        self.put("a.txt", "포도와 딸기를 판다.")
        self.assertEqual(self.found("바나나"), [])
        self.assertEqual(self.found("딸기"), ["a.txt"])
        self.assertEqual(self.ok("GET", "/v1/collections/c")["chunks"], 1)

    def test_unchanged_content_does_no_work(self):
        first = self.put("a.txt", "같은 내용이다.")
        second = self.put("a.txt", "같은 내용이다.")
        self.assertFalse(first["unchanged"])
        self.assertTrue(second["unchanged"])
        self.assertEqual(first["version"], second["version"])

    def test_shared_content_lives_until_its_last_owner_goes(self):
        for name in ("a.txt", "b.txt", "c.txt"):
            self.put(name, "세 문서가 함께 가진 두루미 문장이다.")
        self.assertEqual(self.ok("GET", "/v1/collections/c")["chunks"], 1)
        for name in ("a.txt", "b.txt"):
            self.ok("DELETE", self.ragd.document("c", name))
            self.assertEqual(len(self.found("두루미")), 1)
        self.ok("DELETE", self.ragd.document("c", "c.txt"))
        self.assertEqual(self.found("두루미"), [])
        check = self.ok("POST", "/v1/collections/c/check")
        self.assertEqual(check["differences"], 0)

    def test_names_and_text_become_nfc(self):
        nfd = "가나.txt".encode("utf-8").decode()
        decomposed = "\u1100\u1161\u1102\u1161.txt"
        self.put(decomposed, "\u1112\u1161\u11ab\u1100\u1173\u11af")
        self.assertEqual(self.ok("GET", self.ragd.document("c", nfd))["text"], "한글")
        self.assertEqual(self.found("한글"), [nfd])

    def test_citations_are_bytes_of_the_stored_text(self):
        name = "09-신입사원-안내.md"
        source = (ROOT / "etc/demo" / name).read_text(encoding="utf-8")
        self.put(name, source, content_type="text/markdown")
        stored = self.ok("GET", self.ragd.document("c", name))["text"].encode()
        reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": "수습 기간은 몇 개월인가요?"})
        self.assertFalse(reply["refused"], reply)
        self.assertGreater(len(reply["citations"]), 0)
        for citation in reply["citations"]:
            span = stored[citation["byte_start"]:citation["byte_end"]].decode()
            self.assertEqual(span, citation["text"])
        self.assertIn("[1]", reply["answer"])

    def test_records_report_the_bad_lines_and_keep_the_good_ones(self):
        lines = '{"id":"1","text":"하나 기록"}\n{"id":2}\nnot json\n\n{"id":"3","text":"셋 기록"}\n'
        reply = self.ok("POST", "/v1/collections/c/documents", lines,
                        content_type="application/x-ndjson")
        self.assertEqual((reply["accepted"], reply["failed"]), (2, 2))
        self.assertEqual([e["line"] for e in reply["errors"]], [2, 3])
        self.assertEqual(sorted(self.found("기록")), ["1", "3"])

    def test_filters_keep_to_their_documents_and_return_all_of_them(self):
        for i in range(40):
            self.put(f"{i}.txt", f"두루미 문서 번호 {i}이다.", headers={
                "X-Ragd-Metadata": json.dumps({"team": "a" if i % 10 else "b", "year": 2000 + i})})
        self.assertEqual(sorted(self.found("두루미", filter={"team": "b"}, top_k=10)),
                         ["0.txt", "10.txt", "20.txt", "30.txt"])
        self.assertEqual(self.found("두루미", filter={"year": {"gte": 2039}}), ["39.txt"])
        self.assertEqual(len(self.found("두루미", filter={"team": ["a", "b"]}, top_k=100)), 40)
        self.assertEqual(self.found("두루미", filter={"team": "none"}), [])

    def test_pages_of_a_listing_join(self):
        for i in range(7):
            self.put(f"{i}.txt", f"문서 {i}")
        names, after = [], ""
        while after is not None:
            page = self.ok("GET", "/v1/collections/c/documents?limit=3&after=" +
                           urllib.parse.quote(after))
            names += [d["document"] for d in page["documents"]]
            after = page["next"]
        self.assertEqual(names, [f"{i}.txt" for i in range(7)])

    def test_everything_survives_a_kill(self):
        self.put("a.txt", "두루미는 겨울에 온다.")
        self.ragd.kill()
        self.ragd.start()
        self.assertEqual(self.found("두루미"), ["a.txt"])
        self.assertTrue(self.ok("POST", "/v1/audit/verify", {})["whole"])

    def test_a_damaged_snapshot_is_rebuilt(self):
        self.put("a.txt", "두루미는 겨울에 온다.")
        self.ragd.stop()
        snapshot, = (self.ragd.state / "index").iterdir()
        raw = bytearray(snapshot.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        snapshot.write_bytes(bytes(raw))
        self.ragd.start()
        self.assertEqual(self.found("두루미"), ["a.txt"])
        self.ragd.stop()
        snapshot.write_bytes(bytes(raw[:10]))
        self.ragd.start()
        self.assertEqual(self.found("두루미"), ["a.txt"])


class Errors(WithRagd):
    config = "[http]\nbody_bytes_max = 100000\n"

    def setUp(self):
        super().setUp()
        self.ok("PUT", "/v1/collections/c", {}, code=201)

    def test_bad_input_names_the_thing_and_the_limit(self):
        put = self.ragd.document("c", "a.txt")
        self.error(404, "nope", "GET", "/v1/collections/nope")
        self.error(404, "nope", "POST", "/v1/search", {"collection": "nope", "query": "x"})
        self.error(400, "Bad Name", "PUT", "/v1/collections/Bad%20Name", {})
        self.error(400, "chunk_char", "PUT", "/v1/collections/d", {"chunk_char": 3})
        self.error(400, "100 to 8000", "PUT", "/v1/collections/d", {"chunk_chars": 3})
        self.error(400, "UTF-8", "PUT", put, b"\xff\xfe", content_type="text/plain")
        self.error(400, "byte", "POST", "/v1/search", "{\"collection\":")
        self.error(400, "expected a string, not a number", "POST", "/v1/search",
                   {"collection": "c", "query": 3})
        self.error(400, "'query': missing", "POST", "/v1/search", {"collection": "c"})
        self.error(400, "8192", "POST", "/v1/ask", {"collection": "c", "question": "가" * 3000})
        self.error(400, "empty", "POST", "/v1/ask", {"collection": "c", "question": "  "})
        self.error(400, "top_k", "POST", "/v1/search",
                   {"collection": "c", "query": "x", "top_k": 1.5})
        self.error(400, "filter", "POST", "/v1/search",
                   {"collection": "c", "query": "x", "filter": {"a": {"like": 1}}})
        self.error(413, "100000", "PUT", put, b"x" * 100001, content_type="text/plain")
        self.error(400, "metadata", "PUT", put, "x", headers={"X-Ragd-Metadata": "[1]"},
                   content_type="text/plain")
        self.error(404, "/v2", "GET", "/v2/collections")
        self.error(405, "PATCH", "PATCH", "/v1/collections/c")
        self.error(400, "limit", "GET", "/v1/collections/c/documents?limit=0")

    def test_an_unsupported_type_lists_what_is_supported(self):
        status, reply = self.ragd.call("PUT", self.ragd.document("c", "a.pdf"), b"%PDF",
                                       content_type="application/pdf")
        self.assertIn(status, (400, 415))
        self.assertIn("text/markdown", reply["error"]["message"])


class Answers(WithRagd):
    def setUp(self):
        super().setUp()
        self.ok("PUT", "/v1/collections/c", {})
        self.put("a.md", "# 배송 안내\n\n배송비는 3,000원입니다. 제주는 4,000원을 더 냅니다.",
                 content_type="text/markdown")

    def events(self, body):
        connection = self.ragd.connection()
        self.addCleanup(connection.close)
        connection.request("POST", "/v1/ask", json.dumps(body).encode(),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        self.assertTrue(response.getheader("Content-Type").startswith("text/event-stream"))
        events = []
        for block in response.read().decode().split("\n\n"):
            if block.strip():
                name, data = block.strip().split("\n", 1)
                events.append((name.removeprefix("event: "),
                               json.loads(data.removeprefix("data: "))))
        return events

    def test_a_stream_says_the_same_as_a_plain_answer(self):
        question = {"collection": "c", "question": "배송비는 얼마인가요?"}
        plain = self.ok("POST", "/v1/ask", question)
        events = self.events({**question, "stream": True})
        names = [name for name, _ in events]
        self.assertEqual(names[:2], ["meta", "passages"])
        self.assertEqual(names[-1], "done")
        self.assertIn("citation", names)
        self.assertEqual("".join(e["text"] for name, e in events if name == "delta"),
                         plain["answer"])
        self.assertEqual(events[-1][1]["answer"], plain["answer"])
        self.assertIn("3,000원", plain["answer"])

    def test_nothing_to_answer_from_is_a_refusal_with_a_reason(self):
        reply = self.ok("POST", "/v1/ask",
                        {"collection": "c", "question": "훈민정음이 반포된 해는 언제인가요?"})
        self.assertTrue(reply["refused"])
        self.assertNotEqual(reply["reason"], "")
        self.assertEqual(reply["citations"], [])
        self.ok("PUT", "/v1/collections/empty", {})
        reply = self.ok("POST", "/v1/ask", {"collection": "empty", "question": "배송비는?"})
        self.assertTrue(reply["refused"])

    def test_every_ask_leaves_a_record(self):
        reply = self.ok("POST", "/v1/ask", {"collection": "c", "question": "배송비는 얼마인가요?"})
        entries = self.ok("GET", "/v1/audit?kind=ask")["entries"]
        payload = entries[-1]["payload"]
        self.assertEqual(payload["request_id"], reply["request_id"])
        self.assertEqual(payload["question"], "배송비는 얼마인가요?")
        self.assertEqual(payload["answer"], reply["answer"])
        self.assertEqual(entries[-1]["principal"], f"uid:{os.getuid()}")
        self.assertEqual(payload["passages"][0]["document"], "a.md")
        self.assertIn("bm25", payload["stages_ms"])

    def test_metrics_are_prometheus_text(self):
        self.ok("POST", "/v1/ask", {"collection": "c", "question": "배송비는 얼마인가요?"})
        _, text = self.ragd.call("GET", "/metrics")
        self.assertIn("# TYPE ragd_", text)
        self.assertIn("_bucket{", text)


class Audit(WithRagd):
    def setUp(self):
        super().setUp()
        self.ok("PUT", "/v1/collections/c", {})
        for i in range(5):
            self.put(f"{i}.txt", f"문서 {i}")
        self.head = self.ok("GET", "/v1/audit")["head"]

    def tamper(self, sql):
        self.ragd.stop()
        database = sqlite3.connect(self.ragd.state / "audit.db")
        database.execute(sql)
        database.commit()
        database.close()
        self.ragd.start()

    def verify(self, head=None):
        return self.ok("POST", "/v1/audit/verify", {"head": head} if head else {})

    def table(self):
        database = sqlite3.connect(self.ragd.state / "audit.db")
        names = [row[0] for row in database.execute(
            "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) p "
            "WHERE m.type='table' AND p.name='seq'")]
        database.close()
        return next(n for n in names if n.startswith("audit") or n == "records" or n == "rows")

    def test_a_whole_chain_verifies_also_to_its_head(self):
        self.assertTrue(self.verify()["whole"])
        self.assertTrue(self.verify(self.head)["whole"])

    def test_a_changed_row_is_named(self):
        table = self.table()
        self.tamper(f"UPDATE {table} SET principal='uid:666' WHERE seq=3")
        report = self.verify()
        self.assertFalse(report["whole"])
        self.assertEqual(report["bad_seq"], 3)

    def test_a_dropped_row_is_named(self):
        self.tamper(f"DELETE FROM {self.table()} WHERE seq=3")
        report = self.verify()
        self.assertFalse(report["whole"])
        self.assertIn("3", report["problem"])

    def test_a_dropped_tail_is_found_by_the_head(self):
        self.tamper(f"DELETE FROM {self.table()} WHERE seq>=5")
        self.assertFalse(self.verify(self.head)["whole"])

    def test_an_erased_row_says_so_and_the_chain_stays_whole(self):
        self.ok("POST", "/v1/audit/2/erase", {"why": "정보 주체의 요청"})
        row = self.ok("GET", "/v1/audit/2")
        self.assertTrue(row["erased"])
        self.assertIsNone(row["payload"])
        report = self.verify()
        self.assertTrue(report["whole"])
        self.assertEqual(report["erased"], 1)


class Backup(WithRagd):
    def test_a_backup_comes_back_whole(self):
        self.ok("PUT", "/v1/collections/c", {})
        self.put("a.txt", "두루미는 겨울에 온다.")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ragd-backup."))
        self.addCleanup(shutil.rmtree, folder, True)
        self.ok("POST", "/v1/backup", {"dir": str(folder / "b")})
        self.put("a.txt", "이 변경은 백업 뒤의 것이다.")
        self.ragd.stop()
        run = subprocess.run([BUILD / "ragctl", "restore", folder / "b", "--state", folder / "s"],
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        other = Ragd(BUILD)
        other.state = folder / "s"
        self.addCleanup(other.__exit__, None, None, None)
        other.start()
        reply = other.call("POST", "/v1/search", {"collection": "c", "query": "두루미"})[1]
        self.assertEqual(len(reply["results"]), 1)
        self.assertTrue(other.call("POST", "/v1/audit/verify", {})[1]["whole"])
        raw = bytearray((folder / "b/ragd.db").read_bytes())
        raw[5000] ^= 1
        (folder / "b/ragd.db").write_bytes(bytes(raw))
        run = subprocess.run([BUILD / "ragctl", "restore", folder / "b", "--state", folder / "t"],
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("ragd.db", run.stderr)


class Start(unittest.TestCase):
    def run_ragd(self, *arguments):
        return subprocess.run([str(BUILD / "ragd"), *arguments], capture_output=True, text=True,
                              timeout=30, check=False)

    def test_a_second_daemon_is_refused(self):
        with Ragd(BUILD) as ragd:
            run = self.run_ragd("--state", str(ragd.state), "--socket", str(ragd.folder / "t"))
            self.assertEqual(run.returncode, 1)
            self.assertIn(str(ragd.process.pid), run.stderr)
            run = self.run_ragd("--state", str(ragd.folder / "other"), "--socket", ragd.socket)
            self.assertEqual(run.returncode, 1)
            self.assertIn(ragd.socket, run.stderr)
            ragd.stop()

    def test_a_stale_socket_is_replaced(self):
        with Ragd(BUILD) as ragd:
            ragd.kill()
            ragd.start()
            ragd.stop()

    def test_a_typo_in_the_configuration_is_an_error_with_a_hint(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write("[http]\nbody_byte_max = 10\n")
            f.flush()
            run = self.run_ragd("-n", "-f", f.name)
        self.assertEqual(run.returncode, 1)
        self.assertIn("body_byte_max", run.stderr)
        self.assertIn("body_bytes_max", run.stderr)

    def test_the_installed_configuration_is_fine(self):
        run = self.run_ragd("-n", "-f", str(ROOT / "etc/ragd.conf"))
        self.assertEqual(run.returncode, 0, run.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
