#!/usr/bin/env python3
"""Time of a search as a client sees it, minus the time that ragd spent searching (stages_ms.total
of the same reply), over one kept-open connection.

    http_overhead.py BUILD_DIR [--passages N] [--requests N]"""
import argparse
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402
from synthetic import passages  # noqa: E402


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(p / 100 * len(values)))]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--passages", type=int, default=20000)
    parser.add_argument("--requests", type=int, default=3000)
    arguments = parser.parse_args()
    rng = random.Random(7)
    texts = list(passages(arguments.passages, seed=7))
    with Ragd(arguments.build, hurry=True) as ragd:
        ragd.call("PUT", "/v1/collections/bench", {})
        for at in range(0, len(texts), 2000):
            lines = "\n".join(json.dumps({"id": f"p{at + i}", "text": text}, ensure_ascii=False)
                              for i, text in enumerate(texts[at:at + 2000]))
            status, reply = ragd.call("POST", "/v1/collections/bench/documents", lines,
                                      "application/x-ndjson")
            assert status == 200 and reply["failed"] == 0, reply
        connection = ragd.connection()
        overhead, search, wall = [], [], []
        for i in range(arguments.requests + 200):
            words = rng.choice(texts).split()
            query = " ".join(rng.sample(words, min(6, len(words))))
            begun = time.perf_counter()
            status, reply = ragd.call("POST", "/v1/search",
                                      {"collection": "bench", "query": query, "top_k": 10},
                                      connection=connection)
            elapsed = (time.perf_counter() - begun) * 1000
            assert status == 200, reply
            if i >= 200:
                wall.append(elapsed)
                search.append(reply["stages_ms"]["total"])
                overhead.append(elapsed - reply["stages_ms"]["total"])
        ragd.stop()
    print(json.dumps({
        "bench": "http", "passages": arguments.passages, "requests": arguments.requests,
        "overhead_p50_ms": round(percentile(overhead, 50), 3),
        "overhead_p99_ms": round(percentile(overhead, 99), 3),
        "search_p50_ms": round(percentile(search, 50), 3),
        "search_p99_ms": round(percentile(search, 99), 3),
        "wall_p50_ms": round(percentile(wall, 50), 3),
        "wall_p99_ms": round(percentile(wall, 99), 3)}))


if __name__ == "__main__":
    main()
