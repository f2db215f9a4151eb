#!/usr/bin/env python3
"""One client: files by PUT, one after the other over one connection, each acknowledged when it is
durable and findable; then records by NDJSON; memory idle and after; time from exec to ready, both
after a clean stop and after SIGKILL.

    ingest_rate.py BUILD_DIR [--passages N]"""
import argparse
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402
from synthetic import passages  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--passages", type=int, default=20000)
    parser.add_argument("--files", type=int, default=2000)
    arguments = parser.parse_args()
    texts = list(passages(arguments.passages, seed=3))
    files = ["\n\n".join(texts[i * 10 % len(texts):][:10]) + f"\n\n{i}" for i in
             range(arguments.files)]
    with Ragd(arguments.build, hurry=True) as ragd:
        rss_idle = ragd.rss_mb()
        ragd.call("PUT", "/v1/collections/files", {})
        ragd.call("PUT", "/v1/collections/records", {})
        connection = ragd.connection()
        begun = time.perf_counter()
        for i, text in enumerate(files):
            status, reply = ragd.call("PUT", ragd.document("files", f"{i}.txt"), text,
                                      "text/plain", connection=connection)
            assert status == 201, reply
        seconds_files = time.perf_counter() - begun
        ragd.call("DELETE", "/v1/collections/files")
        begun = time.perf_counter()
        for at in range(0, len(texts), 2000):
            lines = "\n".join(json.dumps({"id": f"p{at + i}", "text": text}, ensure_ascii=False)
                              for i, text in enumerate(texts[at:at + 2000]))
            status, reply = ragd.call("POST", "/v1/collections/records/documents", lines,
                                      "application/x-ndjson", connection=connection)
            assert status == 200 and reply["accepted"] == len(texts[at:at + 2000]), reply
        seconds_records = time.perf_counter() - begun
        rss = ragd.rss_mb()
        ragd.stop()
        start = ragd.start()
        ragd.kill()
        start_after_kill = ragd.start()
        rss_started = ragd.rss_mb()
        ragd.stop()
    bytes_files = sum(len(text.encode()) for text in files)
    bytes_records = sum(len(text.encode()) for text in texts)
    print(json.dumps({
        "bench": "ingest",
        "mb_per_s": round(bytes_files / seconds_files / 1e6, 2),
        "documents_per_s": round(len(files) / seconds_files, 1),
        "record_mb_per_s": round(bytes_records / seconds_records / 1e6, 2),
        "records_per_s": round(len(texts) / seconds_records, 1),
        "passages": arguments.passages,
        "rss_idle_mb": round(rss_idle, 1), "rss_mb": round(rss, 1),
        "rss_restarted_mb": round(rss_started, 1),
        "start_ms": round(start * 1000, 1),
        "start_after_kill_ms": round(start_after_kill * 1000, 1)}))


if __name__ == "__main__":
    main()
