"""Runs the tests of a file several at a time: for files whose tests mostly wait - for a pause
between two tries, a batch that fills, a limit that is reached - each with a daemon of its own.

    unittest.main(argv=..., testRunner=side_by_side.Runner(3))

A class with a setUpClass() of its own is one unit: its tests share something and come in a row."""
import concurrent.futures
import sys
import time
import unittest


def units(suite):
    """What can run beside the rest: tests, and classes whose tests share something."""
    shared = {}
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from units(item)
        elif type(item).setUpClass.__func__ is unittest.TestCase.setUpClass.__func__:
            yield item
        else:
            shared.setdefault(type(item), []).append(item)
    for tests in shared.values():
        yield unittest.TestSuite(tests)


def run_unit(unit):
    result = unittest.TestResult()
    begun = time.monotonic()
    unit.run(result)
    return unit, result, time.monotonic() - begun


class Runner:
    def __init__(self, at_once):
        self.at_once = at_once

    def run(self, suite):
        whole = unittest.TestResult()
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as pool:
            done = list(pool.map(run_unit, units(suite)))
        for _, result, _ in done:
            whole.testsRun += result.testsRun
            for name in ("failures", "errors", "skipped", "expectedFailures",
                         "unexpectedSuccesses"):
                getattr(whole, name).extend(getattr(result, name))
        for what, found in (("ERROR", whole.errors), ("FAIL", whole.failures)):
            for test, trace in found:
                print(f"{what}: {test}\n{trace}", file=sys.stderr)
        for test, reason in whole.skipped:
            print(f"skipped: {test}: {reason}", file=sys.stderr)
        slowest = ", ".join(f"{seconds:.1f} s {unit if isinstance(unit, unittest.TestCase) else 'a class'}"
                            for unit, _, seconds in sorted(done, key=lambda d: -d[2])[:3])
        print(f"{whole.testsRun} tests in {time.monotonic() - begun:.1f} s, {self.at_once} at a "
              f"time; {len(whole.failures) + len(whole.errors)} failed, {len(whole.skipped)} "
              f"skipped; the longest: {slowest}", file=sys.stderr)
        return whole
