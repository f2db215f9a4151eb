#!/usr/bin/env python3
"""The audit log as administrators use it: retention, export.

    test_audit.py BUILD_DIR"""
import csv
import io
import json
import os
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
DAY_MS = 86400000


class WithRagd(unittest.TestCase):
    config = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ragd-audit."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.ragd = Ragd(BUILD, self.config)
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.ragd.start()

    def ok(self, method, target, body=None, **more):
        status, reply = self.ragd.call(method, target, body, **more)
        self.assertIn(status, (200, 201), reply)
        return reply

    def fails(self, code, method, target, body=None):
        status, reply = self.ragd.call(method, target, body)
        self.assertEqual(status, code, reply)
        return reply["error"]["message"]

    def run_it(self, *arguments, status=0, **run):
        result = self.ragd.ragctl(*[str(a) for a in arguments], **run)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def json(self, *arguments, status=0, **run):
        return json.loads(self.run_it(*arguments, "--json", status=status, **run).stdout)

    def fill(self, n=3):
        """n rows of changes and a row of an ask."""
        self.ok("PUT", "/v1/collections/c", {})
        for i in range(n - 1):
            self.ok("PUT", self.ragd.document("c", f"{i}.txt"),
                    f"연차는 {15 + i}일이다. 신청은 {i}층 총무팀에 한다.", content_type="text/plain")
        return self.ok("POST", "/v1/ask", {"collection": "c", "question": "연차는 며칠인가요?"})

    def age(self, days_by_seq):
        """Make rows older, chain and all: only a closed log can be rewritten so."""
        self.ragd.stop()
        from hashlib import sha256

        def hashed(*parts):
            return sha256(b"".join(len(p).to_bytes(8, "little") + p for p in parts)).digest()

        database = sqlite3.connect(self.ragd.state / "audit.db")
        previous = bytes(32)
        for seq, time_ms, kind, principal, payload_hash in database.execute(
                "SELECT seq,time_ms,kind,principal,payload_hash FROM audit ORDER BY seq").fetchall():
            time_ms -= days_by_seq.get(seq, 0) * DAY_MS
            previous = hashed(previous, seq.to_bytes(8, "little"), time_ms.to_bytes(8, "little"),
                              kind.encode(), principal.encode(), payload_hash)
            database.execute("UPDATE audit SET time_ms=?, hash=? WHERE seq=?",
                             (time_ms, previous, seq))
        database.commit()
        database.close()
        (self.ragd.state / "audit.head").unlink()
        self.ragd.start()

    def verify(self, **body):
        return self.ok("POST", "/v1/audit/verify", body)


class Retention(WithRagd):
    def test_cut_says_what_it_refuses(self):
        self.fill()
        for body, code, why in (
                ({}, 400, "exactly one of"),
                ({"seq": 1, "keep_days": 3}, 400, "exactly one of"),
                ({"seq": 4}, 400, "is the last one"),
                ({"seq": 5}, 404, "does not exist"),
                ({"seq": 5, "dry_run": True}, 404, "does not exist"),
                ({"seq": 0}, 400, "seq"),
                ({"keep_days": -1}, 400, "keep_days"),
                ({"befor": 1}, 400, "befor")):
            self.assertIn(why, self.fails(code, "POST", "/v1/audit/cut", body), body)
        self.assertEqual(self.ok("POST", "/v1/audit/cut", {"keep_days": 1}),
                         {"seq": 0, "rows": 0, "first_seq": 1, "dry_run": False})
        self.assertEqual(self.ok("POST", "/v1/audit/cut", {"seq": 2, "dry_run": True}),
                         {"seq": 2, "rows": 2, "first_seq": 3, "dry_run": True})
        self.assertEqual(self.verify()["first_seq"], 1)
        self.assertEqual(self.ok("POST", "/v1/audit/cut", {"seq": 2, "why": "시험"})["rows"], 2)
        self.assertIn("was cut already", self.fails(404, "POST", "/v1/audit/cut", {"seq": 2}))
        self.assertEqual(self.fails(404, "GET", "/v1/audit/2"), "audit row 2: does not exist")
        cut = self.ok("GET", "/v1/audit?kind=audit.cut")["entries"][0]
        self.assertEqual(cut["payload"], {"seq": 2, "rows": 2, "why": "시험"})
        self.assertEqual(cut["principal"], f"uid:{os.getuid()}")
        self.assertIn("cannot be erased",
                      self.fails(400, "POST", f"/v1/audit/{cut['seq']}/erase", {"why": "x"}))

    def test_prune_and_verification_afterwards(self):
        self.fill(5)
        self.age({1: 40, 2: 40, 3: 20})
        early = self.verify()["head"]
        dry = self.json("audit", "prune", "--keep-days", 30, "--dry-run")
        self.assertEqual((dry["rows"], dry["first_seq"], dry["dry_run"]), (2, 3, True))
        self.assertIn("2 rows would be cut",
                      self.run_it("audit", "prune", "--before", "30d", "--dry-run").stdout)
        self.assertIn("2 rows cut, up to row 2",
                      self.run_it("audit", "prune", "--keep-days", 30).stdout)
        self.assertIn("no row is that old",
                      self.run_it("audit", "prune", "--keep-days", 30).stdout)
        report = self.verify(head=early)
        self.assertTrue(report["whole"] and report["checkpoint"]["signature_good"])
        self.assertEqual((report["first_seq"], report["checkpoint"]["seq"]), (3, 2))
        kept = self.folder / "audit.pub"
        shutil.copy(self.ragd.state / "audit.pub", kept)
        shown = self.run_it("audit", "verify", "--public-key", kept, "--head",
                            f"{early['n']}:{early['hash']}").stdout
        self.assertIn("rows before 3 were cut by retention", shown)
        self.assertIn("the signature is good", shown)
        self.run_it("audit", "verify", "--public-key", kept.read_bytes().hex())
        # another key, and what is no key
        wrong = self.run_it("audit", "verify", "--public-key", "00" * 32, status=1).stdout
        self.assertIn("not signed by the key given", wrong)
        self.assertIn("neither", self.run_it("audit", "verify", "--public-key", "none",
                                             status=1).stderr)
        # the row of the head is gone: nothing to compare with, and it says so
        self.ok("PUT", self.ragd.document("c", "0.txt"), "새 글이다.", content_type="text/plain")
        self.ok("POST", "/v1/audit/cut", {"seq": early["n"] + 1})
        self.assertIn("could not be compared", self.run_it(
            "audit", "verify", "--head", f"{early['n']}:{early['hash']}").stdout)
        self.assertEqual(self.run_it("audit", "prune", status=2).stdout, "")

    def test_a_dropped_tail_and_a_replaced_key_are_found_after_a_cut(self):
        self.fill(5)
        self.ok("POST", "/v1/audit/cut", {"seq": 2})
        head = self.verify()["head"]
        key = (self.ragd.state / "audit.pub").read_bytes().hex()
        self.ragd.stop()
        with sqlite3.connect(self.ragd.state / "audit.db") as database:
            database.execute("DELETE FROM audit WHERE seq>5")
        (self.ragd.state / "audit.head").unlink()
        for name in ("audit.key", "audit.pub"):
            (self.ragd.state / name).unlink()
        self.ragd.start()
        self.assertIn("not signed by the key of audit.pub", self.verify()["problem"])
        self.ok("POST", "/v1/audit/cut", {"seq": 3})  # signed with a key of the forger's
        self.assertTrue(self.verify()["whole"])
        self.assertIn("not signed by the key given", self.verify(public_key=key)["problem"])
        self.assertIn("the log ends at row 6, the head at 7", self.verify(head=head)["problem"])

    def test_rows_are_found_by_their_request(self):
        asked = self.fill()
        row = self.ok("GET", f"/v1/audit/{asked['request_id']}")
        self.assertEqual((row["kind"], row["payload"]["request_id"]), ("ask", asked["request_id"]))
        rows = self.ok("GET", f"/v1/audit?request_id={asked['request_id']}")["entries"]
        self.assertEqual([r["seq"] for r in rows], [row["seq"]])
        self.assertIn("연차", self.run_it("audit", "show", asked["request_id"]).stdout)
        self.fails(404, "GET", "/v1/audit/" + "0" * 32)
        self.run_it("audit", "show", "0" * 31, status=2)


class Export(WithRagd):
    """A file of lines must tell what somebody did to it, without the daemon."""

    def export(self, *arguments):
        path = self.folder / f"export-{time.monotonic_ns()}"
        self.run_it("audit", "export", "--out", path, *arguments)
        return path

    def check(self, path, *arguments, problem=None):
        report = self.json("audit", "verify", "--file", path, *arguments,
                           status=1 if problem else 0)
        self.assertEqual(report["whole"], problem is None, report)
        self.assertIn(problem or "", report["problem"])
        return report

    def test_what_was_done_to_a_file_is_found(self):
        self.fill(6)
        self.ok("POST", "/v1/audit/3/erase", {"why": "시험"})
        path = self.export()
        good = path.read_bytes()
        lines = good.decode().splitlines()
        report = self.check(path)
        self.assertEqual((report["rows"], report["erased"], report["first_seq"]), (8, 1, 1))
        self.assertEqual(report["head"], self.verify()["head"])
        rows = [json.loads(line) for line in lines]

        def changed(i, **members):
            row = dict(rows[i])
            row.update(members)
            return lines[:i] + [json.dumps(row, ensure_ascii=False, separators=(",", ":"))] + \
                lines[i + 1:]

        for name, made, problem in (
                ("written again", changed(1), None),
                ("a payload", lines[:4] + [lines[4].replace("c", "d", 1)] + lines[5:], "row 5"),
                ("a question", [line.replace("며칠", "몇칠") for line in lines], "row 7 was changed"),
                ("a time", changed(3, time_ms=rows[3]["time_ms"] + 1), "row 4 was changed"),
                ("a principal", changed(3, principal="uid:1"), "row 4 was changed"),
                ("a hash", changed(3, hash="0" * 64), "row 4 was changed"),
                ("a previous hash", changed(3, previous="0" * 64), "does not follow row 3"),
                ("a salt", changed(3, salt="0" * 32), "row 4 was changed: its payload"),
                ("no salt", changed(3, salt=None), "row 4 was changed: its payload"),
                ("an erasure", changed(3, payload=None), "row 4 lost its payload"),
                ("a row less", lines[:3] + lines[4:], "the file has 7 rows"),
                ("the first row less", lines[1:], "the file has 7 rows"),
                ("an exchange", lines[:3] + [lines[4], lines[3]] + lines[5:], "row 4 stands behind"),
                ("a row twice", lines[:4] + lines[3:], "row 4 stands behind row 4"),
                ("no end", lines[:-1], "no last line"),
                ("a cut line", lines[:3] + [lines[3][:100]], "is no JSON"),
                ("more behind the end", lines + lines[:1], "follow the last one"),
                ("no row at all", ["[]"], "no exported row"),
                ("numbers as texts", changed(3, seq="4"), "no exported row")):
            path.write_text("\n".join(made) + "\n", encoding="utf-8")
            with self.subTest(name):
                self.check(path, problem=problem)
        # who writes a new end hides a dropped tail, but not from a head that was kept
        end = json.loads(lines[-1])["end"]
        end.update(rows=6, head={"n": 6, "hash": rows[5]["hash"]})
        path.write_text("\n".join(lines[:6] + [json.dumps({"end": end})]) + "\n", encoding="utf-8")
        self.check(path, problem="row 3 lost its payload")  # its erasure was recorded in row 8
        head = self.verify()["head"]
        path.write_bytes(good)
        self.check(path, "--head", f"{head['n']}:{head['hash']}")
        self.check(path, "--head", f"{head['n'] + 1}:{head['hash']}", problem="the head at 9")
        self.check(path, "--head", f"{head['n'] - 1}:{head['hash']}", problem="of the head")

    def test_an_export_of_a_cut_log_has_its_signature(self):
        self.fill(6)
        self.ok("POST", "/v1/audit/cut", {"seq": 3})
        path = self.export()
        key = self.ragd.state / "audit.pub"
        self.assertTrue(self.check(path, "--public-key", key)["signature_good"])
        shown = self.run_it("audit", "verify", "--file", path).stdout
        self.assertIn("rows before 4 were cut by retention; the signature is good", shown)
        self.check(path, "--public-key", "00" * 32, problem="not signed by the key given")
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(lines[1:]).replace('"rows":5', '"rows":4') + "\n", encoding="utf-8")
        self.check(path, problem="begins at row 5, not at 4")
        # what a person asked to begin later does
        part = self.export("--after", 5)
        self.assertEqual(self.check(part)["first_seq"], 6)
        part = self.export("--after", 4, "--limit", 1)
        self.assertEqual(self.check(part)["rows"], 1)

    def test_parts_and_forms(self):
        self.fill(3)
        part = self.export("--kind", "document.put")
        self.assertEqual(self.check(part)["rows"], 2)
        self.assertIn("a part of the log", self.run_it("audit", "verify", "--file", part).stdout)
        self.assertEqual(self.check(self.export("--since", "2020-01-01"))["rows"], 4)
        self.assertEqual(self.check(self.export("--until", "2020-01-01"))["rows"], 0)
        self.assertIn("neither jsonl nor csv",
                      self.run_it("audit", "export", "--format", "xml", status=2).stderr)
        self.fails(400, "GET", "/v1/audit/export?format=xml")
        self.fails(400, "GET", "/v1/audit/export?limit=0")
        connection = self.ragd.connection()
        connection.request("GET", "/v1/audit/export?limit=2")
        response = connection.getresponse()
        self.assertEqual(response.getheader("Content-Type"), "application/x-ndjson")
        self.assertEqual(len(response.read().splitlines()), 3)
        connection.close()
        piped = self.run_it("audit", "export").stdout
        result = self.run_it("audit", "verify", "--file", "-", input=piped)
        self.assertIn("whole: 4 rows", result.stdout)
        self.run_it("audit", "export", "--file", "x", status=2)

    def test_pages_make_one_file(self):
        self.ok("PUT", "/v1/collections/c", {})
        lines = "".join(json.dumps({"id": f"{i}", "text": f"{i}번 글이다."}) + "\n"
                        for i in range(6000))
        self.ok("POST", "/v1/collections/c/documents", lines, content_type="application/x-ndjson")
        self.assertEqual(self.check(self.export())["rows"], 6001)
        self.assertEqual(self.export("--format", "csv").read_bytes().count(b"\r\n"), 6002)

    def test_one_row_tells_of_many_documents_and_leaves_none_out(self):
        self.ok("PUT", "/v1/collections/c", {})
        n = 2500
        lines = "".join(json.dumps({"id": f"문서 {i}", "text": f"{i}번 글이다."}) + "\n"
                        for i in range(n))
        self.ok("POST", "/v1/collections/c/documents?audit=together", lines,
                content_type="application/x-ndjson")
        self.ok("PUT", self.ragd.document("c", "last.txt"), "글이다.", content_type="text/plain")
        for restarted in (False, True):
            rows = self.ok("GET", "/v1/audit?limit=1000")["entries"]
            self.assertLess(len(rows), 20)
            together = [r["payload"] for r in rows if r["kind"] == "documents.put"]
            told = {d["document"]: d for p in together for d in p["documents"]}
            self.assertEqual(set(told), {f"문서 {i}" for i in range(n)})
            self.assertEqual(sum(len(p["documents"]) for p in together), n)
            for payload in together:
                self.assertEqual(payload["collection"], "c")
                self.assertEqual(payload["request_id"], together[0]["request_id"])
            for i in (0, n - 1):
                there = self.ok("GET", self.ragd.document("c", f"문서 {i}"))
                self.assertEqual(told[f"문서 {i}"]["version"], there["version"])
            if not restarted:  # nothing is missing, so nothing is caught up
                self.ragd.stop()
                self.ragd.start()
        self.assertIn("whole", self.run_it("audit", "verify").stdout)
        self.fails(400, "POST", "/v1/collections/c/documents?audit=never", {"id": "1", "text": "글"})

    def test_csv_is_safe_and_stable(self):
        dangers = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", "a\n=cmd|' /C calc'!A0",
                   'a "quoted", b', "ㄱ,ㄴ", "|x", "%x"]
        self.fill(2)
        for text in dangers:
            self.ok("POST", "/v1/ask", {"collection": "c", "question": text + " 연차"})
        self.ok("PUT", self.ragd.document("c", "=evil.txt"), "글이다.", content_type="text/plain")
        path = self.export("--format", "csv", "--bom")
        raw = path.read_bytes()
        self.assertTrue(raw.startswith(b"\xef\xbb\xbfseq,time,kind,"))
        table = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
        self.assertEqual(",".join(table[0]),
                         "seq,time,kind,principal,request_id,collection,question,outcome,reason_code,"
                         "backend,cache,model_fingerprint,prompt_tokens,completion_tokens,cost,"
                         "guard_verdict,guard_rules,documents,total_ms,hash,erased")
        self.assertEqual({len(row) for row in table}, {21})
        self.assertEqual(raw.count(b"\n"), len(table))
        self.assertEqual(raw.count(b"\r\n"), len(table))
        for row in table[1:]:
            for cell in row:
                self.assertNotRegex(cell, r"^[\s]*[=+\-@|%＝＋－＠]")
        questions = [row[6] for row in table if row[2] == "ask"]
        self.assertIn("'=1+1 연차", questions)
        self.assertIn('a "quoted", b 연차', questions)
        self.assertIn("a =cmd|' /C calc'!A0 연차", questions)
        answered = next(row for row in table if row[2] == "ask" and row[7] == "answered")
        self.assertEqual((answered[9], answered[17]), ("extractive", "0.txt"))
        self.assertGreater(float(answered[18]), 0)
        self.assertEqual(table[-1][17], "'=evil.txt")
        self.assertEqual(table[-1][19], self.verify()["head"]["hash"])


class Replay(WithRagd):
    def put(self, name, text):
        self.ok("PUT", self.ragd.document("c", name), text, content_type="text/plain")

    def replay(self, an_id):
        return self.json("audit", "replay", an_id)

    def test_nothing_has_changed(self):
        asked = self.fill(3)
        seq = self.ok("GET", f"/v1/audit/{asked['request_id']}")["seq"]
        for an_id in (seq, asked["request_id"]):
            r = self.replay(an_id)
            self.assertEqual((r["seq"], r["request_id"]), (seq, asked["request_id"]))
            for same in ("same_answer", "same_passages", "same_citations", "same_refusal",
                         "same_backend"):
                self.assertTrue(r[same], (same, r))
            self.assertEqual({d["state"] for d in r["documents"]}, {"same"})
            self.assertNotEqual(r["replayed_request_id"], asked["request_id"])
        self.assertIn("answer: the same", self.run_it("audit", "replay", seq).stdout)
        self.assertTrue(self.verify()["whole"])

    def test_documents_changed_and_gone(self):
        self.ok("PUT", "/v1/collections/c", {})
        self.put("휴가.txt", "연차는 1년에 15일이다. 신청은 총무팀에 한다.")
        self.put("옛날.txt", "연차는 입사 첫해에 11일이다.")
        asked = self.ok("POST", "/v1/ask", {"collection": "c", "question": "연차는 며칠인가요?"})
        self.assertIn("15일", asked["answer"])
        self.put("휴가.txt", "연차는 1년에 20일이다. 신청은 총무팀에 한다.")
        self.ok("DELETE", self.ragd.document("c", "옛날.txt"))
        r = self.replay(asked["request_id"])
        self.assertFalse(r["same_answer"] or r["same_passages"] or r["same_citations"])
        self.assertTrue(r["same_refusal"] and r["same_backend"])
        self.assertEqual({d["document"]: d["state"] for d in r["documents"]},
                         {"휴가.txt": "changed", "옛날.txt": "gone"})
        self.assertIn("15일", r["answer"]["before"])
        self.assertIn("20일", r["answer"]["after"])
        for key, words in (("gone", "15일"), ("added", "20일")):
            self.assertTrue(any(words in c["text"] for c in r["citations"][key]), r["citations"])
        ranks = {(p["document"], p["rank_before"], p["rank_after"]) for p in r["passages"]}
        self.assertIn(("옛날.txt", 1, None), ranks)
        self.assertIn(("휴가.txt", None, 1), ranks)
        shown = self.run_it("audit", "replay", asked["request_id"]).stdout
        for words in ("- 연차는 1년에 15일이다.", "+ 연차는 1년에 20일이다.", "answer: another",
                      "document changed since then: 휴가.txt", "document gone since then: 옛날.txt"):
            self.assertIn(words, shown)

    def test_an_answer_became_a_refusal_and_the_filter_holds(self):
        self.ok("PUT", "/v1/collections/c", {})
        self.ok("PUT", self.ragd.document("c", "a.txt"), "연차는 1년에 15일이다.",
                content_type="text/plain", headers={"X-Ragd-Metadata": '{"year":2026}'})
        asked = self.ok("POST", "/v1/ask", {
            "collection": "c", "question": "그럼 며칠인가요?", "filter": {"year": 2026}, "top_k": 2,
            "messages": [{"role": "user", "content": "연차가 있나요?"},
                         {"role": "assistant", "content": "있다."}]})
        again = self.replay(asked["request_id"])
        self.assertTrue(again["same_answer"])
        rows = [self.ok("GET", f"/v1/audit/{i}")["payload"]
                for i in (asked["request_id"], again["replayed_request_id"])]
        for key in ("question", "messages"):
            self.assertEqual(rows[0][key], rows[1][key])
        for key in ("filter", "top_k"):
            self.assertEqual(rows[0]["settings"][key], rows[1]["settings"][key])
        self.ok("DELETE", self.ragd.document("c", "a.txt"))
        r = self.replay(asked["request_id"])
        self.assertFalse(r["same_answer"] or r["same_refusal"])
        self.assertEqual((r["outcome"]["before"], r["outcome"]["after"]), ("answered", "refused"))

    def test_what_cannot_be_replayed(self):
        asked = self.fill(3)
        seq = self.ok("GET", f"/v1/audit/{asked['request_id']}")["seq"]
        self.assertIn("only questions", self.run_it("audit", "replay", 1, status=1).stderr)
        self.assertIn("does not exist", self.run_it("audit", "replay", 99, status=1).stderr)
        self.run_it("audit", "replay", "x", status=2)
        self.run_it("audit", "replay", status=2)
        self.ok("POST", f"/v1/audit/{seq}/erase", {"why": "시험"})
        self.assertIn("was erased", self.run_it("audit", "replay", seq, status=1).stderr)
        self.assertIn("erased", self.run_it("audit", "replay", asked["request_id"],
                                            status=1).stderr)
        asked = self.ok("POST", "/v1/ask", {"collection": "c", "question": "연차는 며칠인가요?"})
        self.ok("DELETE", "/v1/collections/c")
        self.assertIn("'c'", self.run_it("audit", "replay", asked["request_id"], status=1).stderr)


class Searches(WithRagd):
    config = "[audit]\nsearches = 1\n"

    def test_searches_are_recorded_where_that_is_asked_for(self):
        self.fill(3)
        found = self.ok("POST", "/v1/search", {"collection": "c", "query": "연차", "top_k": 1,
                                               "filter": {"document": ["0.txt", "1.txt"]}})
        row = self.ok("GET", f"/v1/audit/{found['request_id']}")
        self.assertEqual(row["kind"], "search")
        payload = row["payload"]
        self.assertEqual((payload["query"], payload["outcome"], payload["settings"]["top_k"]),
                         ("연차", "found", 1))
        self.assertEqual(payload["settings"]["filter"], {"document": ["0.txt", "1.txt"]})
        self.assertEqual([p["given"] for p in payload["passages"]], [True, False])
        self.assertEqual(payload["passages"][0]["document"], found["results"][0]["document"])
        self.fails(404, "POST", "/v1/search", {"collection": "c", "query": "연차", "mode": "dense"})
        rows = self.ok("GET", "/v1/audit?kind=search")["entries"]
        self.assertEqual([r["payload"]["outcome"] for r in rows], ["found", "not_found"])
        self.assertIn("연차", self.run_it("audit", "list", "--kind", "search").stdout)
        self.assertTrue(self.verify()["whole"])


class Background(WithRagd):
    config = "[audit]\nkeep_days = 30\n"

    def test_the_daemon_prunes_by_itself(self):
        self.fill(5)
        self.assertEqual(self.verify()["first_seq"], 1)
        self.age({1: 40, 2: 40, 3: 31, 4: 29})
        said = "event=audit_pruned rows=3 first=4 keep_days=30"
        until = time.monotonic() + 60
        while said not in self.ragd.log_path.read_text(encoding="utf-8"):  # the last that it does
            self.assertLess(time.monotonic(), until, "nothing was pruned")
            time.sleep(0.05)
        report = self.verify()
        self.assertTrue(report["whole"] and report["checkpoint"]["signature_good"])
        self.assertEqual(report["first_seq"], 4)
        cut = self.ok("GET", "/v1/audit?kind=audit.cut")["entries"][0]
        self.assertEqual((cut["principal"], cut["payload"]),
                         ("ragd", {"seq": 3, "rows": 3, "why": "keep_days 30"}))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
