#!/usr/bin/env python3
"""The audit log as administrators use it: retention.

    test_audit.py BUILD_DIR"""
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


class Background(WithRagd):
    config = "[audit]\nkeep_days = 30\n"

    def test_the_daemon_prunes_by_itself(self):
        self.fill(5)
        self.assertEqual(self.verify()["first_seq"], 1)
        self.age({1: 40, 2: 40, 3: 31, 4: 29})
        until = time.monotonic() + 20
        while self.verify()["first_seq"] == 1 and time.monotonic() < until:
            time.sleep(0.05)
        report = self.verify()
        self.assertTrue(report["whole"] and report["checkpoint"]["signature_good"])
        self.assertEqual(report["first_seq"], 4)
        cut = self.ok("GET", "/v1/audit?kind=audit.cut")["entries"][0]
        self.assertEqual((cut["principal"], cut["payload"]),
                         ("ragd", {"seq": 3, "rows": 3, "why": "keep_days 30"}))
        self.assertIn("event=audit_pruned rows=3 first=4 keep_days=30",
                      self.ragd.log_path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
