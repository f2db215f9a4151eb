#!/usr/bin/env python3
"""Half a minute of the soak (tests/soak/soak.py), so that it is known to work and finds nothing.

    test_soak.py BUILD_DIR"""
import json
import pathlib
import subprocess
import sys
import unittest

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
SOAK = pathlib.Path(__file__).resolve().parents[1] / "soak" / "soak.py"


class Soak(unittest.TestCase):
    def test_half_a_minute_finds_nothing(self):
        run = subprocess.run([sys.executable, str(SOAK), str(BUILD), "--minutes", "0.4",
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
