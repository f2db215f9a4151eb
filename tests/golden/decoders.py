#!/usr/bin/env python3
"""Logits, greedy ids and text of ragctl's decoder against reference outputs.

    decoders.py BUILD_DIR GOLDEN_DIR [--models DIR] [--model NAME=PATH ...]

GOLDEN_DIR/decoder/NAME.jsonl has {id, text, prompt_ids, greedy_ids, greedy_gap, logprob, positions:
[{pos, token, logsumexp, logits or top}]}. The model NAME is the folder or the files NAME.f32.gguf
and NAME.gguf beside it; minimind2 is looked for in --models as minimind2-small. What is not there
is skipped, and said.

In fp32 logits and log-probabilities are within 1e-4 and greedy ids are equal, up to the first place
where the best two logits of the reference are nearer than 4 times the difference seen. int8 is
reported: the largest difference of logits and their rms, and how many greedy ids are equal.

The last line is a JSON object; exit status 1 when a limit is passed."""
import argparse
import json
import math
import pathlib
import subprocess
import sys

LIMIT = 1e-4
ELSEWHERE = {"minimind2": ["minimind2-small", "minimind2-small-f32.gguf"]}
LIMITS = {"minimind2-small-f32.gguf": 5e-4, "minimind2-small": 5e-4, "stories15M": 2e-4}


def records(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f if line.strip()]


def ragctl(build, verb, model, ids, *options):
    done = subprocess.run([build / "ragctl", "model", verb, model, "--json", "--quiet", "--ids",
                           ",".join(map(str, ids)), *options], capture_output=True, text=True,
                          timeout=600)
    if done.returncode != 0:
        raise SystemExit(f"ragctl model {verb} {model}: {done.stderr}")
    return json.loads(done.stdout)


def logsumexp(logits):
    top = max(logits)
    return top + math.log(sum(math.exp(x - top) for x in logits))


def differences(record, logits):
    """Of the logits that the record has: [got - expected]; and of its log-probabilities."""
    ret, probabilities = [], []
    for p in record["positions"]:
        got = logits[p["pos"]]
        pairs = enumerate(p["logits"]) if "logits" in p else p["top"]
        ret += [got[i] - x for i, x in pairs]
    sequence = record["prompt_ids"] + record.get("greedy_ids", [])
    for i, expected in enumerate(record.get("logprob", [])):
        probabilities.append(logits[i][sequence[i + 1]] - logsumexp(logits[i]) - expected)
    return ret, probabilities


def equal_ids(record, got, error):
    """Of the greedy ids: how many are equal, and how many must be."""
    expected = record["greedy_ids"]
    certain = next((i for i, gap in enumerate(record["greedy_gap"]) if gap < 4 * error),
                   len(expected))
    same = next((i for i, (a, b) in enumerate(zip(got, expected)) if a != b),
                min(len(got), len(expected)))
    return same, certain


def check(build, model, rows, limit):
    worst, where, worst_logprob, squares, n, worst_int8 = 0.0, "", 0.0, 0.0, 0, 0.0
    wrong, same_int8, of_int8 = [], 0, 0
    for r in rows:
        new = r.get("greedy_ids", [])
        sequence = r["prompt_ids"] + new
        exact, probabilities = differences(
            r, ragctl(build, "logits", model, sequence, "--precision", "fp32")["logits"])
        quick, _ = differences(
            r, ragctl(build, "logits", model, sequence, "--precision", "int8")["logits"])
        here = max(map(abs, exact))
        if not here <= worst:
            worst, where = here, r["id"]
        worst_logprob = max([worst_logprob, *map(abs, probabilities)])
        worst_int8 = max([worst_int8, *map(abs, quick)])
        squares += sum(x * x for x in quick)
        n += len(quick)
        if not new:
            continue
        greedy = ["--max-new-tokens", str(len(new)), "--temperature", "0",
                  "--ignore-eos"]
        got = ragctl(build, "generate", model, r["prompt_ids"], *greedy, "--precision", "fp32")
        same, certain = equal_ids(r, got["ids"], here)
        if same < certain or got["prompt_ids"] != r["prompt_ids"]:
            wrong.append(f"{r['id']} at {same}")
        if r.get("greedy_text") and same == len(new) and \
                got["text"].strip() != r["greedy_text"].strip():
            wrong.append(f"{r['id']}: text")
        got = ragctl(build, "generate", model, r["prompt_ids"], *greedy, "--precision", "int8")
        same_int8 += equal_ids(r, got["ids"], 0.0)[0]
        of_int8 += len(new)
    return {"records": len(rows), "max_abs_diff": worst, "at": where, "limit": limit,
            "logprob_max_abs_diff": worst_logprob, "greedy_wrong": wrong,
            "ok": worst <= limit and worst_logprob <= limit and not wrong,
            "int8_max_abs_diff": worst_int8, "int8_rms": math.sqrt(squares / n),
            "int8_greedy_equal": f"{same_int8} of {of_int8}"}


def check_prompts(build, model, rows):
    """Texts through the model's own tokenizer."""
    wrong = []
    for r in rows:
        if not isinstance(r.get("text"), str):
            continue
        done = subprocess.run([build / "ragctl", "model", "generate", model, "--json", "--prompt",
                               r["text"], "--max-new-tokens", "1", "--temperature", "0"],
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            print(f"ragctl model generate {model}: {done.stderr}")
        if done.returncode != 0 or json.loads(done.stdout)["prompt_ids"] != r["prompt_ids"]:
            wrong.append(r["id"])
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("golden", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path("build/models"))
    parser.add_argument("--model", action="append", default=[], metavar="NAME=PATH")
    arguments = parser.parse_args()
    places = dict(m.split("=", 1) for m in arguments.model)
    report, skipped = {}, []

    for path in sorted((arguments.golden / "decoder").glob("*.jsonl")):
        name = path.name[:-6]
        rows = records(path)
        if not rows or "positions" not in rows[0]:
            continue
        names = ELSEWHERE.get(name, [name, name + ".f32.gguf", name + ".gguf"])
        folder = arguments.models if name in ELSEWHERE else path.parent
        models = [pathlib.Path(places[name])] if name in places else [folder / n for n in names]
        models = [m for m in models if m.exists()]
        if not models:
            print(f"SKIPPED {name}: no model at {folder / names[0]}")
            skipped.append(name)
        for model in models:
            result = check(arguments.build, model, rows, LIMITS.get(model.name, LIMIT))
            result["prompts_wrong"] = check_prompts(arguments.build, model, rows)
            result["ok"] = result["ok"] and not result["prompts_wrong"]
            print(model.name, json.dumps(result), flush=True)
            report[model.name] = result
    ok = bool(report) and all(r["ok"] for r in report.values())
    print(json.dumps({"golden": "decoders", "ok": ok, "skipped": skipped, "files": report}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
