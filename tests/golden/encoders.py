#!/usr/bin/env python3
"""Embeddings, scores and token ids of ragctl against reference outputs, text in, numbers out.

    encoders.py BUILD_DIR GOLDEN_DIR [--models DIR] [--model NAME=DIR ...]

GOLDEN_DIR has embeddings/*.jsonl ({id, text, max_length, token_ids, embedding}) and
crossencoder/NAME.jsonl ({.., pair, logit, sigmoid} or {.., embedding}) beside model folders NAME.
Models of embeddings/ are looked for in --models: all-MiniLM-L6-v2 (f16) for
minilm_l6_v2.f16.jsonl, gte-small (f32) for gte_small.jsonl; tests/golden/onnx_to_safetensors.py
makes the latter. What is not there is skipped, and said.

The last line is a JSON object: per file the largest |difference| in fp32 and its limit, and in int8
the lowest and mean cosine (embeddings; limits .99 and .995) or the largest difference (logits). Exit
status 1 when a limit is passed or token ids differ."""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

# reference file of embeddings/ -> model folder below --models, limit of |difference| in fp32
EMBEDDINGS = {
    "minilm_l6_v2.f16": ("all-MiniLM-L6-v2", 1e-4),
    "minilm_l6_v2": ("all-MiniLM-L6-v2", 1e-3),  # another rounding of the weights
    "gte_small": ("gte-small", 1e-4),
}
CLS = {"tiny-xlmr-embed"}  # plain folders do not say that this one is pooled so
LIMIT_TINY = 1e-4
INT8_COSINE_MIN, INT8_COSINE_MEAN = 0.99, 0.995


def records(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f if line.strip()]


def ragctl(build, verb, model, rows, *options):
    """The rows through one command; --file in the same form as the references."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", suffix=".jsonl") as f:
        for r in rows:
            line = {"text": r["text"]}
            if r.get("pair") is not None:
                line["pair"] = r["pair"]
            f.write(json.dumps(line, ensure_ascii=False) + "\n")
        f.flush()
        done = subprocess.run([build / "ragctl", "model", verb, model, "--json", "--file", f.name,
                               *options], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"ragctl model {verb} {model}: {done.stderr}")
    return json.loads(done.stdout)


def by_max_length(rows):
    groups = {}
    for r in rows:
        groups.setdefault(r.get("max_length"), []).append(r)
    return groups.items()


def length_options(max_length):
    return ["--max-length", str(max_length)] if max_length else []


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(
        sum(x * x for x in a) * sum(y * y for y in b))


def check_ids(build, model, rows):
    wrong = 0
    for max_length, group in by_max_length(rows):
        ids = ragctl(build, "tokenize", model, group, *length_options(max_length))["ids"]
        for r, got in zip(group, ids):
            if got != r["token_ids"]:
                wrong += 1
                print(f"  ids of '{r['id']}' (max {max_length}): {got[:12]}... "
                      f"expected {r['token_ids'][:12]}...")
    return wrong


def check_embeddings(build, model, rows, limit, *options):
    worst, where, cosines = 0.0, "", []
    for max_length, group in by_max_length(rows):
        args = [*length_options(max_length), *options]
        fp32 = ragctl(build, "embed", model, group, *args)["embeddings"]
        int8 = ragctl(build, "embed", model, group, "--precision", "int8", *args)["embeddings"]
        for r, a, b in zip(group, fp32, int8):
            difference = max(abs(x - y) for x, y in zip(a, r["embedding"]))
            if len(a) != len(r["embedding"]) or difference > worst or math.isnan(difference):
                worst, where = difference, r["id"]
            cosines.append(cosine(b, r["embedding"]))
    mean = sum(cosines) / len(cosines)
    int8_ok = min(cosines) >= INT8_COSINE_MIN and mean >= INT8_COSINE_MEAN
    return {"texts": len(rows), "max_abs_diff": worst, "at": where, "limit": limit,
            "ok": worst <= limit and int8_ok, "int8_ok": int8_ok,
            "int8_cosine_min": min(cosines), "int8_cosine_mean": mean}


def check_scores(build, model, rows, limit):
    worst, where, worst_int8, worst_sigmoid = 0.0, "", 0.0, 0.0
    for max_length, group in by_max_length(rows):
        args = length_options(max_length)
        raw = ragctl(build, "score", model, group, "--raw", *args)["scores"]
        scores = ragctl(build, "score", model, group, *args)["scores"]
        int8 = ragctl(build, "score", model, group, "--raw", "--precision", "int8", *args)["scores"]
        for r, logit, score, quick in zip(group, raw, scores, int8):
            if abs(logit - r["logit"]) > worst:
                worst, where = abs(logit - r["logit"]), r["id"]
            worst_sigmoid = max(worst_sigmoid, abs(score - r["sigmoid"]))
            worst_int8 = max(worst_int8, abs(quick - r["logit"]))
    return {"pairs": len(rows), "max_abs_diff": worst, "at": where, "limit": limit,
            "ok": worst <= limit and worst_sigmoid <= limit, "sigmoid_max_abs_diff": worst_sigmoid,
            "int8_max_abs_diff": worst_int8}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("build/models"))
    parser.add_argument("--model", action="append", default=[], metavar="NAME=DIR")
    arguments = parser.parse_args()
    places = dict(m.split("=", 1) for m in arguments.model)
    report, skipped = {}, []

    jobs = []
    for path in sorted((arguments.golden / "embeddings").glob("*.jsonl")):
        if path.name[:-6] in EMBEDDINGS:
            name, limit = EMBEDDINGS[path.name[:-6]]
            jobs.append((path, pathlib.Path(places.get(name, arguments.models / name)), limit))
    for path in sorted((arguments.golden / "crossencoder").glob("*.jsonl")):
        jobs.append((path, path.with_suffix(""), LIMIT_TINY))
    for path, model, limit in jobs:
        name = path.name[:-6]
        if not model.is_dir():
            print(f"SKIPPED {name}: no model at {model}")
            skipped.append(name)
            continue
        rows = records(path)
        if "logit" in rows[0]:
            result = check_scores(arguments.build, model, rows, limit)
        else:
            options = ["--pooling", "cls"] if name in CLS else []
            result = check_embeddings(arguments.build, model, rows, limit, *options)
        result["ids_wrong"] = check_ids(arguments.build, model, rows)
        result["ok"] = result["ok"] and result["ids_wrong"] == 0
        print(name, json.dumps(result))
        report[name] = result
    ok = bool(report) and all(r["ok"] for r in report.values())
    print(json.dumps({"golden": "encoders", "ok": ok, "skipped": skipped, "files": report}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
