#!/usr/bin/env python3
"""Half a minute of the soak (tests/soak/soak.py), so that it is known to work and finds nothing; and
that its judgement would find something.

    test_soak.py BUILD_DIR"""
import json
import pathlib
import subprocess
import sys
import unittest

SOAK = pathlib.Path(__file__).resolve().parents[1] / "soak"
sys.path[:0] = [str(SOAK), str(SOAK.parent / "lib")]
from truth import GONE, State, Truth  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")


class Judgement(unittest.TestCase):
    """The history: version 1 "하나" acknowledged at 2, version 2 "둘" sent at 10 and acknowledged at
    12, deleted at 20 to 22, version 4 "넷" sent at 30 and not acknowledged."""
    ROWS = (
        ("a version that is true", 1, "하나", 3, 4, ""),
        ("one that is being replaced", 1, "하나", 9, 11, ""),
        ("one that was replaced while the answer was made", 1, "하나", 11, 13, ""),
        ("one that was replaced before the question was sent", 1, "하나", 13, 14, "stale"),
        ("one that is about to be acknowledged", 2, "둘", 9, 11, ""),
        ("one that was not sent yet", 2, "둘", 3, 4, "unknown"),
        ("one that is being deleted", 2, "둘", 21, 23, ""),
        ("one that was deleted", 2, "둘", 23, 24, "stale"),
        ("one whose reply has not come", 4, "넷", 31, 32, ""),
        ("a text that is not of that version", 1, "둘", 3, 4, "text"),
        ("a version that nobody sent", 7, "하나", 3, 4, "unknown"),
    )

    def test_citations(self):
        truth = Truth()
        truth.of("c", "d").states += [State("하나", 1, 2, 1), State("둘", 10, 12, 2),
                                      State(GONE, 20, 22), State("넷", 30)]
        for name, version, text, begun, ended, wrong in self.ROWS:
            with self.subTest(name):
                citation = {"document": "d", "version": version, "text": text, "byte_start": 0,
                            "byte_end": len(text.encode())}
                self.assertEqual(truth.judge("c", citation, begun, ended).split(":")[0], wrong)
                self.assertTrue(truth.judge("other", citation, begun, ended).startswith("unknown"))


class Soak(unittest.TestCase):
    def test_half_a_minute_finds_nothing(self):
        run = subprocess.run([sys.executable, str(SOAK / "soak.py"), str(BUILD), "--minutes", "0.4",
                              "--slow-down", "5"], capture_output=True, text=True, timeout=500,
                             check=False)
        self.assertEqual(run.returncode, 0, run.stderr[-8000:])
        last = json.loads(run.stdout.splitlines()[-1])
        for key in ("errors_unexpected", "audit_broken", "stale_answers", "crossed_answers"):
            self.assertEqual(last[key], 0, run.stderr[-8000:])
        self.assertGreater(last["requests"], 100)
        self.assertGreater(last["restarts"], 0)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
