#!/usr/bin/env python3
"""What an answer from the cache takes, as a client in C sees it over the Unix socket, one request
after the other over one kept-open connection (tests/bench/request_times.c).

    cache_hits.py BUILD_DIR [--entries N] [--questions N] [--model PATH]

The cache is filled with N answered questions, each through the whole pipeline. Then, in turns, so
that both see the same machine:

  exact      a question of the cache again, spelt with other white space and punctuation
  semantic   the same in other words; those that were not confirmed are counted, not timed

and afterwards

  miss       the same as exact, with "cache": false

once without an encoder (meaning by TF-IDF) and once with one. A hit contains the commit of its audit
row; audit_p50_ms is that stage alone. semantic_p50_ms_beyond_embedding is the median of semantic
hits without their commits, minus what the models computed for one (ragd_model_seconds of this
phase), minus the median of exact hits without their commits. The state is on the disk of the build
folder.

The last line is one JSON object."""
import argparse
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from devices import TOPICS, facts, ways_to_ask  # noqa: E402
from ragd_process import Ragd  # noqa: E402
from tiny_models import MODELS  # noqa: E402

WARM = 200  # requests before those that count
# The tiny encoder is random: it finds paraphrases alike, and must not decide what is found.
CONFIG = """[cache]
entries_max = {entries}
[retrieve]
fusion_weight_dense = 0.1
"""


def percentile(values, p):
    values = sorted(values)
    return round(values[min(len(values) - 1, int(p / 100 * len(values)))], 3) if values else None


def percentiles(name, rows):
    return {f"{name}_p{p}_ms": percentile([ms for ms, _ in rows], p) for p in (50, 95, 99)}


def stages(rows):
    names = {name for _, reply in rows for name in reply["stages_ms"]}
    return {name: percentile([r["stages_ms"].get(name, 0.0) for _, r in rows], 50)
            for name in sorted(names)}


class Bench:
    def __init__(self, arguments, ragd):
        self.arguments = arguments
        self.ragd = ragd
        self.client = pathlib.Path(arguments.build) / "bench" / "request_times"

    def ask(self, questions, **members):
        """[(milliseconds, reply)]"""
        lines = "".join("/v1/ask\t" + json.dumps({"collection": "bench", "question": question,
                                                  **members}, ensure_ascii=False) + "\n"
                        for question in questions)
        run = subprocess.run([self.client, self.ragd.socket], input=lines.encode(),
                             stdout=subprocess.PIPE, check=True)
        out = []
        for line in run.stdout.decode().splitlines():
            microseconds, status, body = line.split("\t", 2)
            if status != "200":
                raise RuntimeError(f"{status} {body}")
            out.append((float(microseconds) / 1000, json.loads(body)))
        return out

    def model_ms(self):
        """Milliseconds that models have embedded questions, and how often."""
        total = {"sum": 0.0, "count": 0.0}
        for line in self.ragd.call("GET", "/metrics")[1].splitlines():
            for key in total:
                if line.startswith(f'ragd_model_seconds_{key}{{work="embed"}}'):
                    total[key] = float(line.split()[-1])
        return 1000 * total["sum"], total["count"]

    def ingest(self, devices):
        rng = random.Random(3)
        self.ragd.call("PUT", "/v1/collections/bench", {"chunk_chars": 300})
        for at in range(0, len(devices), 1000):
            lines = "".join(json.dumps({"id": d, "text": "\n\n".join(facts(rng, d)[1])},
                                       ensure_ascii=False) + "\n" for d in devices[at:at + 1000])
            status, reply = self.ragd.call("POST", "/v1/collections/bench/documents"
                                           "?embed_wait_ms=600000", lines, "application/x-ndjson")
            assert status == 200 and reply["failed"] == 0, reply

    def measure(self):
        n_devices = self.arguments.entries // len(TOPICS)
        devices = [f"KD-{1000 + i}" for i in range(n_devices)]
        asked = [(d, topic) for d in devices for topic in TOPICS]
        rng = random.Random(5)
        self.ingest(devices)
        filled = self.ask([ways_to_ask(*what)[0] + "?" for what in asked])
        picked = [rng.choice(asked) for _ in range(WARM + self.arguments.questions)]
        before = None
        mixed = []
        for part in (picked[:WARM], picked[WARM:]):
            before = self.model_ms()
            mixed = self.ask([question for i, what in enumerate(part)
                              for question in (self.same(what), self.similar(what, i))])
        after = self.model_ms()
        miss = self.ask([ways_to_ask(*what)[0] for what in picked], cache=False)[WARM:]
        return self.figures(filled, mixed[::2], mixed[1::2], miss,
                            (after[0] - before[0]) / max(1, after[1] - before[1]))

    @staticmethod
    def same(what):
        return "  " + ways_to_ask(*what)[0].replace(" ", "  ") + "??"

    @staticmethod
    def similar(what, i):
        return ways_to_ask(*what)[1 + i % 2] + "?"

    def figures(self, filled, exact, semantic, miss, embedding_ms):
        exact_hits = [row for row in exact if row[1]["cache"] == "exact"]
        similar_hits = [row for row in semantic if row[1]["cache"] == "semantic"]
        wrong = sum(reply["answer"].split()[0] != reply["cached_from"]["question"].split()[0]
                    for _, reply in similar_hits)
        exact_alone = percentile([ms - r["stages_ms"]["audit"] for ms, r in exact_hits], 50)
        similar_alone = percentile([ms - r["stages_ms"]["audit"] for ms, r in similar_hits], 50)
        return {
            "entries": sum(not reply["refused"] for _, reply in filled),
            "exact_hits": len(exact_hits), **percentiles("exact", exact_hits),
            "audit_p50_ms": percentile([r["stages_ms"]["audit"] for _, r in exact_hits], 50),
            "exact_p50_ms_beyond_audit": exact_alone,
            "semantic_hits": len(similar_hits), "semantic_hits_of_others": wrong,
            **percentiles("semantic", similar_hits), "embedding_ms": round(embedding_ms, 3),
            "semantic_p50_ms_beyond_embedding": round(similar_alone - embedding_ms - exact_alone, 3)
            if similar_hits else None,
            "semantic_stages_p50_ms": stages(similar_hits),
            "miss_p50_ms": percentile([ms for ms, _ in miss], 50)}


def run(arguments, config):
    folder = tempfile.mkdtemp(prefix="bench-cache.", dir=arguments.build)
    try:
        with Ragd(arguments.build, config=config, folder=folder, hurry=True) as ragd:
            figures = Bench(arguments, ragd).measure()
            ragd.stop()
            return figures
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--entries", type=int, default=10000)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--model", default=str(MODELS / "tiny-xlmr-embed"))
    arguments = parser.parse_args()
    config = CONFIG.format(entries=arguments.entries + 4 * arguments.questions)
    words = run(arguments, config)
    print(f"without an encoder: {words}", file=sys.stderr)
    model = pathlib.Path(arguments.model).resolve()
    meaning = run(arguments, config + f"[models]\nembedder = {model}\n")
    print(f"with {model.name}: {meaning}", file=sys.stderr)
    print(json.dumps({"bench": "cache", "exact_p50_ms": meaning["exact_p50_ms"],
                      "semantic_p50_ms_beyond_embedding":
                          meaning["semantic_p50_ms_beyond_embedding"],
                      "questions": arguments.questions, "by_words": words,
                      "encoder": model.name, "by_encoder": meaning}))


if __name__ == "__main__":
    main()
