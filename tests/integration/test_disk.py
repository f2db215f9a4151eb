#!/usr/bin/env python3
"""A disk that is full, that refuses to write, that is read-only: clear errors, reading goes on,
nothing acknowledged is lost, and all is well again when the disk is.

    test_disk.py BUILD_DIR

A full disk is a small tmpfs, which only root may mount; where that is not allowed those tests are
skipped, and say so. Files that must not grow (RLIMIT_FSIZE, taken from and given back to the
running process) work everywhere."""
import errno
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
DISK_MIB = 16
REPLY_S = 60  # an error may take its time, but comes
WORDS = [chr(0xAC00 + (7919 * i) % 11172) + chr(0xAC00 + (104729 * i) % 11172) for i in range(2000)]
QUESTION = {"collection": "c", "question": "제주 배송비는 얼마인가요?"}


def make_text(name, n_chars):
    rng = random.Random(name)
    text = f"{name} 문서이다."
    while len(text) < n_chars:
        text += "\n\n" + " ".join(rng.choices(WORDS, k=60)) + " 있다."
    return text


class Base(unittest.TestCase):
    def setUp(self):
        self.ragd = Ragd(BUILD, config="[index]\nsnapshot_interval_s = 1\n")
        self.addCleanup(self.ragd.__exit__, None, None, None)
        self.acknowledged = {}

    def call(self, *arguments, **options):
        begun = time.monotonic()
        status, reply = self.ragd.call(*arguments, **options)
        self.assertLess(time.monotonic() - begun, REPLY_S, arguments[:2])
        return status, reply

    def put(self, name, n_chars):
        """The status; what was acknowledged is remembered."""
        text = make_text(name, n_chars)
        status, reply = self.call("PUT", self.ragd.document("c", name), text, "text/plain")
        if status in (200, 201):
            self.acknowledged[name] = text
        else:
            self.refused(status, reply)
        return status

    def refused(self, status, reply):
        self.assertIn((status, reply["error"]["code"]), ((507, "no_space"), (500, "io")))
        self.assertGreater(len(reply["error"]["message"]), 20)

    def begin(self):
        self.ragd.start()
        self.assertEqual(self.call("PUT", "/v1/collections/c", {})[0], 201)
        text = "제주 배송비는 4,000원입니다."
        self.assertEqual(self.call("PUT", self.ragd.document("c", "fee.txt"), text,
                                   "text/plain")[0], 201)
        self.acknowledged["fee.txt"] = text

    def reads(self):
        """What needs no disk goes on."""
        self.assertEqual(self.call("GET", "/healthz")[0], 200)
        status, reply = self.call("POST", "/v1/search", {"collection": "c", "query": "제주 배송비"})
        self.assertEqual((status, reply["results"][0]["document"]), (200, "fee.txt"))
        self.assertEqual(self.call("GET", self.ragd.document("c", "fee.txt"))[0], 200)
        self.assertEqual(self.call("GET", "/v1/collections/c")[0], 200)
        self.assertEqual(self.call("GET", "/metrics")[0], 200)

    def writes_are_refused(self):
        """The disk takes nothing at all: neither a change nor an answer, which must be recorded."""
        self.assertNotIn(self.put("new.txt", 3000), (200, 201))
        self.refused(*self.call("DELETE", self.ragd.document("c", "fee.txt")))
        self.refused(*self.call("PUT", "/v1/collections/d", {}))
        self.refused(*self.call("POST", "/v1/ask", QUESTION))
        status, stream = self.call("POST", "/v1/ask", {**QUESTION, "stream": True})
        self.assertEqual(status, 200)
        last = stream.strip().split("\n\n")[-1].split("\n")
        self.assertEqual(last[0], "event: error")
        self.assertIn(json.loads(last[1].removeprefix("data: "))["error"]["code"],
                      ("no_space", "io"))

    def all_is_well(self):
        status, reply = self.call("POST", "/v1/ask", QUESTION)
        self.assertEqual(status, 200, reply)
        self.assertIn("4,000원", reply["answer"])
        for name, text in self.acknowledged.items():
            status, reply = self.call("GET", self.ragd.document("c", name))
            self.assertEqual(status, 200, name)
            self.assertEqual(reply["text"], text)
        _, reply = self.call("POST", "/v1/collections/c/check")
        self.assertEqual(reply["differences"], 0)
        _, reply = self.call("POST", "/v1/audit/verify", {})
        self.assertTrue(reply["whole"], reply)
        self.every_change_has_a_record()

    def every_change_has_a_record(self):
        """Also those whose own record failed, once another change was acknowledged."""
        there, after = set(), ""
        while after is not None:
            page = self.call("GET", "/v1/collections/c/documents?limit=1000&after=" + after)[1]
            there |= {d["document"] for d in page["documents"]}
            after = page["next"]
        recorded, after = set(), 0
        while page := self.call("GET", f"/v1/audit?limit=1000&after={after}")[1]["entries"]:
            recorded |= {row["payload"]["document"] for row in page
                         if row["kind"] == "document.put"}
            after = page[-1]["seq"]
        self.assertEqual(there - recorded, set())

    def recovers(self):
        self.assertEqual(self.put("after.txt", 3000), 201)
        self.all_is_well()
        self.assertEqual(self.ragd.stop(), 0)
        self.ragd.start()
        self.all_is_well()


class SmallDisk(Base):
    def setUp(self):
        super().setUp()
        self.ragd.state.mkdir(mode=0o700)
        self.mount("-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "ragd-test")
        self.addCleanup(self.unmount)

    def mount(self, *arguments):
        run = subprocess.run(["mount", *arguments, str(self.ragd.state)], capture_output=True,
                             text=True, check=False)
        if run.returncode != 0:
            reason = f"NOT TESTED: a full disk; mount: {run.stderr.strip()}"
            print(f"\n{reason}", file=sys.stderr)
            self.skipTest(reason)

    def unmount(self):
        if self.ragd.process and self.ragd.process.poll() is None:
            self.ragd.kill()
        subprocess.run(["umount", str(self.ragd.state)], check=True)

    def fill(self):
        """Take every byte that is left, until the daemon has no more to take either."""
        with open(self.ragd.state / "filler", "ab", buffering=0) as filler:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as e:
                    self.assertEqual(e.errno, errno.ENOSPC)

    def ingest_until_full(self):
        for i in range(len(self.acknowledged), 1000):
            if self.put(f"{i}.txt", 60000) not in (200, 201):
                return
        self.fail("the disk is not full yet")

    def test_a_disk_fills_up_and_is_given_room(self):
        self.begin()
        self.ingest_until_full()
        self.reads()
        for i in range(20):
            self.put(f"small-{i}.txt", 2000)  # one may still find room
        for i in range(200):  # until the databases' own spare pages are used up
            self.fill()
            if self.call("POST", "/v1/ask", QUESTION)[0] != 200:
                break
            self.put(f"tiny-{i}.txt", 500)
        self.writes_are_refused()
        self.reads()
        self.assertIsNone(self.ragd.process.poll())
        os.unlink(self.ragd.state / "filler")
        # what was ingested fills most of it: make room as an administrator would
        self.mount("-o", f"remount,size={4 * DISK_MIB}m")
        self.recovers()

    def test_stopped_and_killed_while_full(self):
        self.begin()
        self.ingest_until_full()
        self.fill()
        self.assertEqual(self.ragd.stop(), 0)
        self.mount("-o", f"remount,size={DISK_MIB + 1}m")
        self.ragd.start()
        self.ingest_until_full()
        self.fill()
        self.ragd.kill()
        self.mount("-o", f"remount,size={4 * DISK_MIB}m")
        self.ragd.start()
        self.recovers()

    def test_a_start_on_a_full_disk_reads_or_says_why_not(self):
        self.begin()
        self.ingest_until_full()
        self.assertEqual(self.ragd.stop(), 0)
        self.fill()
        try:
            self.ragd.start()
            self.reads()
        except RuntimeError as e:
            self.assertRegex(str(e), "start_failed.*(full|space)")

    def test_a_start_on_a_read_only_disk_reads_or_says_why_not(self):
        self.begin()
        self.assertEqual(self.ragd.stop(), 0)
        self.mount("-o", "remount,ro")
        try:
            self.ragd.start()
            self.reads()
            self.ragd.stop()
        except RuntimeError as e:
            self.assertRegex(str(e), "start_failed.*(read-only|Read-only|readonly)")
        self.mount("-o", "remount,rw")
        self.ragd.start()
        self.recovers()


class NothingMayGrow(Base):
    def test_files_that_must_not_grow(self):
        self.begin()
        for i in range(5):
            self.assertEqual(self.put(f"{i}.txt", 20000), 201)
        pid = self.ragd.process.pid
        limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        for _ in range(3):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limit[1]))
            self.writes_are_refused()
            self.reads()
            time.sleep(1.2)  # a snapshot falls due, and fails
            self.reads()
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
            self.assertIn(self.put("between.txt", 3000), (200, 201))
            self.all_is_well()
        self.recovers()

    def test_a_limit_that_is_reached_on_the_way(self):
        self.begin()
        pid = self.ragd.process.pid
        limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, limit[1]))
        codes = [self.put(f"{i}.txt", 20000) for i in range(60)]
        self.assertIn(201, codes)
        self.assertTrue({500, 507} & set(codes), codes)
        self.reads()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
        self.recovers()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
