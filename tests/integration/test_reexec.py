#!/usr/bin/env python3
"""ragd starts itself once more with the environment that OpenBLAS reads when it is loaded, and
says in the log what it computes with.

    test_reexec.py BUILD_DIR"""
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "RAGD_KERNELS")


class Reexec(unittest.TestCase):
    def started(self, **variables):
        """ragd with these variables; its environment, name and log once it is ready."""
        environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
        environment.update(variables)
        ragd = Ragd(BUILD)
        self.addCleanup(ragd.__exit__, None, None, None)
        ragd.start(env=environment)
        process = pathlib.Path("/proc") / str(ragd.process.pid)
        first = dict(pair.split("=", 1) for pair in
                     (process / "environ").read_text().split("\0") if "=" in pair)
        name = (process / "comm").read_text().strip()
        words = (process / "cmdline").read_text().split("\0")[:-1]
        self.assertEqual(words, ragd.command())
        return first, name, ragd.log_path.read_text(encoding="utf-8")

    def line(self, log, event):
        return [line for line in log.splitlines() if f"event={event} " in line]

    def test_one_thread_of_blas_and_openmp(self):
        environment, name, log = self.started()
        self.assertEqual(environment["OPENBLAS_NUM_THREADS"], "1")
        self.assertEqual(environment["OMP_NUM_THREADS"], "1")
        self.assertEqual(name, "ragd")
        self.assertRegex(self.line(log, "compute")[0], r"kernels=\S+ blas=\S+")
        self.assertEqual(len(self.line(log, "starting")), 1)

    def test_an_environment_that_suits_is_left_alone(self):
        environment, _, _ = self.started(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1",
                                         OPENBLAS_CORETYPE="Nehalem")
        self.assertNotIn("RAGD_REEXECUTED", environment)

    def test_a_core_that_a_person_asks_for_stays_and_is_named(self):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            if " avx2 " not in file.read():
                self.skipTest("this CPU is no better than the core asked for")
        environment, _, log = self.started(OPENBLAS_CORETYPE="Nehalem")
        self.assertEqual(environment["OPENBLAS_CORETYPE"], "Nehalem")
        self.assertIn("blas=Nehalem", self.line(log, "compute")[0])
        self.assertIn("OPENBLAS_CORETYPE asks for it", self.line(log, "compute_slow")[0])

    def test_the_kernels_can_be_named(self):
        _, _, log = self.started(RAGD_KERNELS="portable")
        self.assertIn("kernels=portable", self.line(log, "compute")[0])
        _, _, log = self.started(RAGD_KERNELS="quantum")
        self.assertIn("RAGD_KERNELS 'quantum': no such path", self.line(log, "compute")[0])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
