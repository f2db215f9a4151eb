#!/usr/bin/python3
"""The recipe of the built-in models (train/) from nothing to two packed models that ragctl runs, on made-up data.

Optional: it needs python3-torch, python3-sentencepiece and python3-scipy, says that it is skipped without them, and takes minutes.
The data is too small to learn anything from; what is checked is that every stage runs, resumes, and ends in models that ragd opens.
"""

import json
import os
import subprocess
import sys
import tempfile

MAKE = os.path.join(os.path.dirname(__file__), "..", "..", "train", "make.py")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit("%s: exit status %d\n%s" % (" ".join(command), done.returncode, done.stderr[-3000:]))
    return done


def main():
    ragctl = os.path.join(sys.argv[1], "ragctl")
    if subprocess.run(["/usr/bin/python3", "-c", "import torch, sentencepiece, scipy"], capture_output=True, check=False).returncode != 0:
        print("SKIPPED: python3-torch, python3-sentencepiece or python3-scipy is not installed")
        return 0
    with tempfile.TemporaryDirectory() as work:
        run("/usr/bin/python3", MAKE, "smoke", "--work", work, "--ragctl", ragctl)
        found = json.loads(run(ragctl, "model", "embed", os.path.join(work, "out", "ragd-ko-embed"), "휴가를 신청한다", "--json").stdout)
        assert found["dim"] == 64, found["dim"]
        scored = json.loads(run(ragctl, "model", "score", os.path.join(work, "out", "ragd-ko-rerank"), "휴가 신청",
                                "직원은 매달 휴가 문서를 신청한다.", "--json").stdout)
        assert "scores" in scored, scored
        # Begun again, everything is there already and nothing is trained a second time.
        again = run("/usr/bin/python3", MAKE, "smoke", "--work", work, "--ragctl", ragctl)
        assert '"resumed": true' in again.stdout, again.stdout[-2000:]
    print("the recipe runs from nothing to packed models")
    return 0


if __name__ == "__main__":
    sys.exit(main())
