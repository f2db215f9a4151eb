#!/usr/bin/env python3
"""ragctl guard train: a classifier from JSON lines, over n-grams and over an embedder; a policy
that uses it; what is wrong with a file is named by its line.

    test_guard_train.py BUILD_DIR"""
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
ROOT = pathlib.Path(__file__).resolve().parents[2]
EMBEDDER = ROOT / "tests" / "data" / "models" / "tiny-xlmr-embed"


def examples(n=120):
    rng = random.Random(5)
    for i in range(n):
        denied = i % 2 == 0
        word = rng.choice(["연봉", "급여", "상여금"] if denied else ["연차", "주차", "식단"])
        end = rng.choice(["을 알려 줘", "은 얼마인가요?", "이 궁금합니다"])
        label = rng.choice([True, "deny"] if denied else [False, "allow"])
        yield {"text": f"{rng.choice(['우리 팀', '옆 부서', '저의'])} {word}{end}", "label": label}


class GuardTrain(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="guard-train."))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.file = self.folder / "examples.jsonl"
        self.out = self.folder / "classifier.bin"
        self.write(json.dumps(e, ensure_ascii=False) for e in examples())

    def write(self, lines):
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def train(self, *arguments, status=0):
        result = subprocess.run([str(BUILD / "ragctl"), "guard", "train", *map(str, arguments)],
                                capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result

    def test_n_grams_and_a_policy_that_uses_them(self):
        report = json.loads(self.train(self.file, "--out", self.out, "--json").stdout)
        self.assertEqual((report["examples"], report["deny"], report["allow"]), (120, 60, 60))
        self.assertEqual((report["held_out"], report["dim"], report["embedder"]), (24, 0, None))
        self.assertGreater(report["f1"], 0.95)
        self.assertEqual(self.out.read_bytes()[:8], b"ragclas\0")
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps({"rules": [
            {"name": "pay", "kind": "classifier", "file": "classifier.bin", "on": ["question"],
             "action": "refuse"}]}), encoding="utf-8")
        with Ragd(BUILD, config=f"[guard]\npolicy = {policy}\n") as ragd:
            ragd.call("PUT", "/v1/collections/c", {})
            ragd.call("PUT", ragd.document("c", "a.txt"), "연차는 15일입니다. 연봉은 비밀입니다.",
                      "text/plain")
            for question, reason in (("부장님 연봉은 얼마인가요?", "guard"),
                                     ("연차는 며칠인가요?", "")):
                status, reply = ragd.call("POST", "/v1/ask",
                                          {"collection": "c", "question": question})
                self.assertEqual(status, 200, reply)
                self.assertEqual(reply.get("reason_code", "") == "guard", reason == "guard", reply)
            ragd.stop()

    def test_an_embedder(self):
        report = json.loads(self.train(self.file, "--out", self.out, "--embedder", EMBEDDER,
                                       "--json").stdout)
        self.assertGreater(report["dim"], 0)
        self.assertEqual(len(report["embedder"]), 64)
        self.assertIn(report["embedder"].encode(), self.out.read_bytes())

    def test_people_read_the_same(self):
        text = self.train(self.file, "--out", self.out).stdout
        self.assertIn("120 examples (60 deny, 60 allow), over n-grams", text)
        self.assertIn("of the 24 held out", text)

    def test_a_bad_file_is_named_by_its_line(self):
        good = '{"text": "x", "label": true}'
        for line, words in (('{"text": "x"}', "label"), ('{"text": "x", "label": 1}', "label"),
                            ('{"label": true}', "text"), ("[]", "text"), ("{", "line 2")):
            self.write([good, line])
            message = self.train(self.file, "--out", self.out, status=1).stderr
            self.assertIn("line 2", message)
            self.assertIn(words, message)
        self.write([good])
        self.assertIn("1 examples to deny and 0 to allow",
                      self.train(self.file, "--out", self.out, status=1).stderr)
        self.assertFalse(self.out.exists())

    def test_a_command_line_without_a_file_is_a_usage_error(self):
        self.train(self.file, status=2)
        self.train("--out", self.out, status=2)
        self.train(self.folder / "nothing", "--out", self.out, status=1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
