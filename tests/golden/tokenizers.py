#!/usr/bin/env python3
"""Token ids of golden files must come out equal, one by one.

usage: tokenizers.py TOKENIZE_RECORDS GOLDEN_DIR NAME=DIR...

GOLDEN_DIR holds NAME.jsonl ({"text", "ids", "ids_special", "decoded"}) and NAME.pairs.jsonl
({"text", "pair", "max_length", "ids", "type_ids"}); DIR has NAME's tokenizer.json or vocab.txt.
Says so and exits with 77 when there is nothing to compare; 1 when anything differs. The last line
is one JSON object."""
import json
import pathlib
import subprocess
import sys

SKIPPED = 77


def read_jsonl(path):
    # U+0085 and U+2028 stand raw inside the strings: splitlines() would cut there
    return [json.loads(line) for line in path.read_bytes().decode().split("\n") if line]


def run(program, directory, records):
    """records: (special, max_tokens, text, pair). Returns (ids, types, n_full, decoded) of each."""
    data = []
    for special, limit, text, pair in records:
        text = text.encode()
        second = b"" if pair is None else pair.encode()
        n_pair = -1 if pair is None else len(second)
        data.append(b"%d %d %d %d\n" % (special, limit or 0, len(text), n_pair) + text + second)
    done = subprocess.run([program, str(directory)], input=b"".join(data), capture_output=True,
                          check=False)
    if done.returncode != 0:
        raise SystemExit(f"{directory}: {done.stderr.decode().strip()}")
    results = []
    for line in done.stdout.decode().split("\n")[:-1]:
        if line.startswith("error"):
            results.append(line)
            continue
        ids, types, n_full, decoded = line.split("|")
        results.append(([int(x) for x in ids.split()], [int(x) for x in types.split()],
                        int(n_full), bytes.fromhex(decoded).decode()))
    if len(results) != len(records):
        raise SystemExit(f"{directory}: {len(results)} results for {len(records)} records")
    return results


def differ(name, what, record, got, want):
    print(f"{name}: {what} of {record['text'][:80]!r}\n  got  {got}\n  want {want}")
    return 1


def check_texts(program, name, directory, path):
    records = read_jsonl(path)
    plain = run(program, directory, [(0, 0, r["text"], None) for r in records])
    special = run(program, directory, [(1, 0, r["text"], None) for r in records])
    wrong = 0
    for record, a, b in zip(records, plain, special):
        if isinstance(a, str) or isinstance(b, str):
            wrong += differ(name, "result", record, (a, b), "ids")
        elif a[0] != record["ids"]:
            wrong += differ(name, "ids", record, a[0], record["ids"])
        elif b[0] != record["ids_special"]:
            wrong += differ(name, "ids_special", record, b[0], record["ids_special"])
        elif a[3] != record["decoded"]:
            wrong += differ(name, "decoded", record, a[3], record["decoded"])
    return len(records), wrong


def check_pairs(program, name, directory, path):
    records = read_jsonl(path)
    results = run(program, directory,
                  [(1, r["max_length"], r["text"], r["pair"]) for r in records])
    wrong = 0
    for record, result in zip(records, results):
        if list(result[:2]) != [record["ids"], record["type_ids"]]:
            wrong += differ(name, "pair", record, result, (record["ids"], record["type_ids"]))
    return len(records), wrong


def main():
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    program, golden = sys.argv[1], pathlib.Path(sys.argv[2])
    counts = {}
    n_wrong = 0
    for argument in sys.argv[3:]:
        name, directory = argument.split("=", 1)
        for path, check in ((golden / f"{name}.jsonl", check_texts),
                            (golden / f"{name}.pairs.jsonl", check_pairs)):
            if path.name.endswith("pairs.jsonl") and not path.is_file():
                continue  # not every tokenizer has pairs
            if not path.is_file() or not pathlib.Path(directory).exists():
                print(f"SKIPPED: {name}: no {path} or no directory {directory}", file=sys.stderr)
                continue
            n, wrong = check(program, name, directory, path)
            counts[path.stem] = n
            n_wrong += wrong
    print(json.dumps({"golden": "tokenizers", "records": counts, "wrong": n_wrong}))
    if not counts:
        print("SKIPPED: no golden files", file=sys.stderr)
        return SKIPPED
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
