#!/usr/bin/env python3
"""docs/PROTOCOL.md is true: every command in it runs, in order, against a daemon that holds
nothing, and every field of a reply that the page shows is there with the same type.

    test_protocol.py BUILD_DIR"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "PROTOCOL.md"


def blocks(text):
    """(commands, documented reply or None) in order."""
    found = re.findall(r"```sh\n(.*?)```(?:\n```json\n(.*?)```)?", text, re.S)
    return [(commands, json.loads(reply) if reply else None) for commands, reply in found]


def kind(value):
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", list: "list", dict: "object", type(None): "null"}[type(value)]


def differences(shown, real, where):
    """What the page shows and the daemon does not say. Words are compared where they are
    settled: booleans, and texts that are no example of something that varies."""
    if kind(shown) != kind(real):
        yield f"{where}: shown as {kind(shown)}, is {json.dumps(real, ensure_ascii=False)[:200]}"
    elif isinstance(shown, dict):
        for key, value in shown.items():
            if key not in real:
                yield f"{where}.{key}: is not there"
            elif not where.endswith("stages_ms"):
                yield from differences(value, real[key], f"{where}.{key}")
    elif isinstance(shown, list):
        if shown and not real:
            yield f"{where}: is empty"
        for i, value in enumerate(shown[:len(real)]):
            yield from differences(value, real[i], f"{where}[{i}]")
    elif isinstance(shown, bool) and shown != real:
        yield f"{where}: shown as {shown}, is {real}"
    elif isinstance(shown, str) and where.rsplit(".", 1)[-1] in (
            "document", "name", "heading", "title", "mime", "status", "code", "type", "kind",
            "backend") and shown != real:
        yield f"{where}: shown as '{shown}', is '{real}'"


def main():
    if not shutil.which("curl"):
        print("skipped: no curl")
        return 0
    text = PAGE.read_text(encoding="utf-8")
    wrong = []
    with Ragd(BUILD) as ragd:
        environment = {**os.environ, "RAGD_SOCKET": ragd.socket, "LC_ALL": "C.UTF-8"}
        (setup, _), *rest = blocks(text)
        for commands, shown in rest:
            run = subprocess.run(["bash", "-euo", "pipefail", "-c", setup + commands],
                                 env=environment, capture_output=True, text=True, timeout=60,
                                 check=False)
            first = commands.strip().splitlines()[0]
            if run.returncode != 0:
                wrong.append(f"{first}\n    exit status {run.returncode}: {run.stderr.strip()}")
                continue
            if '"error"' in run.stdout and not (shown and "error" in shown):
                wrong.append(f"{first}\n    {run.stdout.strip()[:300]}")
                continue
            if shown is None:
                if not run.stdout.strip():
                    wrong.append(f"{first}\n    printed nothing")
                continue
            for difference in differences(shown, json.loads(run.stdout), "reply"):
                wrong.append(f"{first}\n    {difference}")
    print(f"{len(rest)} commands of {PAGE.name}, {len(wrong)} differences")
    for line in wrong:
        print(line)
    return 1 if wrong else 0


sys.exit(main())
