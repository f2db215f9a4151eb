#!/usr/bin/env python3
"""ragd's encoder beside ONNX Runtime and llama.cpp: same model, same ids, same run.

    encoder_rounds.py BUILD_DIR --name NAME --model DIR --work DIR --peers DIR [--node PROGRAM]
                      [--rerank] [--threads N] [--rounds N] [--peers-only] [--no-llama]
                      [--workloads 128,512,mixed] [--no-amx]

--peers is the folder that holds node_modules; --work keeps graphs and ids between runs.

Engines are processes that compute one pass over a workload when asked, so samples of ragd and of
its peers alternate (ragd, peer, ragd, peer ...) and what else the machine does hits all of them.
First every ONNX Runtime form (graph x batching) is tried; the fastest few go into the rounds. A
ratio is the median over the rounds of (peer's seconds / ragd's seconds of the same round, both per
token), and what counts is the smallest of a peer's forms. On a busy machine the same ratio in CPU seconds, with
one thread each, is the steadier figure: --threads 1. The last line is one JSON object."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from without_amx import forbid_amx  # noqa: E402

# No mask: only for texts of one length, or one text at a time.
MASKED = ["plain", "plain_pt", "qattention", "qattention_pt", "mha", "mha_pt"]
UNMASKED = ["mha_nomask", "mha_nomask_pt"]
FIXED_MODES = ["batch1", "padded8", "padded32"]
MIXED_MODES = ["batch1", "sorted8", "sorted16", "sorted32", "padded8", "padded32"]
OURS = "packed4096"  # EMBED_BATCH_TOKENS and RERANK_GROUP_TOKENS of base/bounds.h
FINALISTS = 3


class Engine:
    """A process that answers each line with a JSON object."""

    def __init__(self, command, amx=True, **environment):
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **environment},
                                        preexec_fn=None if amx else forbid_amx)

    def ask(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.command)}: ended without an answer")
        reply = json.loads(line)
        if "error" in reply:
            raise SystemExit(f"{' '.join(self.command)}: {' '.join(words)}: {reply['error']}")
        return reply

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def say(text):
    print(text, file=sys.stderr, flush=True)


def prepare(arguments, work):
    """Graphs, GGUF and ids of the model, made once."""
    work.mkdir(parents=True, exist_ok=True)
    workloads = work / "workloads.json"
    with open(workloads, "w", encoding="utf-8") as file:
        subprocess.run([sys.executable, HERE / "encoder_texts.py", arguments.model,
                        HERE.parents[1]], check=True, stdout=file)
    if not (work / "made").exists():
        say(f"making the peers' files of {arguments.name} in {work}")
        subprocess.run([sys.executable, HERE / "encoder_onnx.py", arguments.model, work],
                       check=True)
        if not arguments.no_llama:
            subprocess.run([sys.executable, HERE / "encoder_gguf.py", arguments.model,
                            work / "model.gguf"], check=True)
        (work / "made").touch()
    return workloads


def forms(workload):
    """Every (graph, mode) that ONNX Runtime can compute this workload with."""
    equal = workload.isdigit()
    modes = FIXED_MODES if equal else MIXED_MODES
    return [(graph, mode) for graph in MASKED for mode in modes] + \
        [(graph, mode) for graph in UNMASKED for mode in (modes if equal else ["batch1"])]


def cosines(first, second):
    ret = []
    for a, b in zip(first, second):
        dot = sum(x * y for x, y in zip(a, b))
        ret.append(dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** .5)
    return ret


def seconds(sample, threads):
    """With one thread the time on the CPU, which other programs disturb less."""
    return sample["cpu_s"] if threads == 1 else sample["wall_s"]


def choose(ort, workload, threads):
    """The fastest forms, on a quarter of the texts: all once, then the better ones three times."""
    best = {}
    for form in forms(workload):
        best[form] = seconds(ort.ask("probe", *form, workload), threads)
    for form in sorted(best, key=best.get)[:2 * FINALISTS]:
        for _ in range(3):
            best[form] = min(best[form], seconds(ort.ask("probe", *form, workload), threads))
    ranked = sorted(best, key=best.get)
    for form in ranked[:2 * FINALISTS]:
        say(f"  {workload:6} ONNX Runtime int8 {form[0]:14} {form[1]:9} {best[form]:.4f} s")
    return ranked[:FINALISTS]


def rounds(entries, workload, n, threads):
    """n alternating samples of each entry (engine, words): lists of seconds per token. Then the
    tokens of a whole pass."""
    samples = [[] for _ in entries]
    tokens = 0
    for _ in range(n):
        for i, (engine, form) in enumerate(entries):
            reply = engine.ask("run", *form, workload)
            tokens = max(tokens, reply["tokens"])
            samples[i].append(seconds(reply, threads) / reply["tokens"])
    return samples, tokens


def ratio(peer, ours):
    return statistics.median(p / o for p, o in zip(peer, ours))


def rate(values):
    """Tokens per second of a list of seconds per token: the median."""
    return 1 / statistics.median(values)


def spread(values):
    return f"{rate(values):9.0f} tokens/s ({1 / max(values):.0f} .. {1 / min(values):.0f})"


def compare(arguments, engines, workload):
    """Ratios and rates of one workload."""
    ret = {}
    entries = [(engines["ort"], form) for form in choose(engines["ort"], workload,
                                                         arguments.threads)]
    names = [f"ONNX Runtime int8 {' '.join(form)}" for _, form in entries]
    n_int8 = len(entries)
    entries.append((engines["ort"], ("fp32", "batch1")))
    names.append("ONNX Runtime fp32 batch1")
    if "llama" in engines and workload.isdigit():
        entries.append((engines["llama"], ("-", "batch512")))
        names.append("llama.cpp f16")
    if "ours" in engines:
        entries.insert(0, (engines["ours"], ("int8", OURS)))
        names.insert(0, "ragd int8")
    samples, tokens = rounds(entries, workload, arguments.rounds, arguments.threads)
    for name, values in zip(names, samples):
        say(f"  {workload:6} {name:42} {spread(values)}")
    ours = samples.pop(0) if "ours" in engines else None
    int8, fp32 = samples[:n_int8], samples[n_int8]
    rates = [rate(values) for values in int8]
    ret["ort_int8_tokens_per_s"] = max(rates)
    ret["ort_int8_form"] = names[-len(samples):][rates.index(max(rates))].split("int8 ")[1]
    ret["ort_int8_ms"] = 1000 * tokens / max(rates)
    ret["ort_fp32_tokens_per_s"] = rate(fp32)
    if ours:
        ret["tokens_per_s"] = rate(ours)
        ret["ms"] = 1000 * tokens / rate(ours)
        ret["ratio_vs_ort_int8"] = min(ratio(values, ours) for values in int8)
        ret["ratio_vs_ort_fp32"] = ratio(fp32, ours)
    if len(samples) > n_int8 + 1:
        ret["llamacpp_tokens_per_s"] = rate(samples[-1])
        if ours:
            ret["ratio_vs_llamacpp"] = ratio(samples[-1], ours)
    return ret


def check(engines, workload):
    """That everybody computes the same thing, said beside ONNX Runtime's fp32."""
    reference = engines["ort"].ask("vectors", "fp32", "batch1", workload)["vectors"]
    others = [("ort", graph, "batch1") for graph in ("plain", "qattention", "mha_nomask")]
    others += [("ours", "int8", OURS)] if "ours" in engines else []
    for engine, graph, mode in others:
        found = engines[engine].ask("vectors", graph, mode, workload)["vectors"]
        name = {"ort": "ONNX Runtime", "ours": "ragd"}[engine] + " " + graph
        if len(reference[0]) > 1:
            found = cosines(found, reference)
            say(f"  {name:25} cosine to fp32: mean {statistics.mean(found):.5f}, "
                f"smallest {min(found):.5f}")
        else:
            found = [abs(a[0] - b[0]) for a, b in zip(found, reference)]
            say(f"  {name:25} logits from fp32's by {statistics.mean(found):.4f} (mean), "
                f"{max(found):.4f} (largest)")


def report(arguments, results, engines):
    first = {"bench": "rerank", "pairs": 30} if arguments.rerank else {"bench": "encoder"}
    ret = {**first, "model": arguments.name}
    for workload, result in results.items():
        ending = "" if arguments.rerank else f"_{workload}"
        for key, number in result.items():
            if isinstance(number, float):
                number = round(number, 3 if "ratio" in key else 1)
            ret[key + ending] = number
    ret["threads"] = arguments.threads
    ret["samples"] = arguments.rounds
    ret["amx"] = not arguments.no_amx
    ret["measured"] = "cpu" if arguments.threads == 1 else "wall"
    if "ours" in engines:
        ret["kernels"] = engines["ours"].ask("info", "int8")["kernels"]
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    lines = {key.strip(): text.strip() for key, text in lines.items()}
    ret["cpu"] = lines.get("model name", "unknown")
    flags = set(lines.get("flags", "").split())
    ret["cpu_flags"] = [flag for flag in ("avx2", "avx_vnni", "avx512f", "avx512_vnni",
                                          "avx512_bf16", "amx_int8", "amx_bf16") if flag in flags]
    return ret


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--node", default="node")
    parser.add_argument("--rerank", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--no-llama", action="store_true")
    parser.add_argument("--no-amx", action="store_true", help="for all, as on older CPUs")
    parser.add_argument("--workloads", default="128,512,mixed")
    arguments = parser.parse_args()
    work, threads = pathlib.Path(arguments.work), str(arguments.threads)
    workloads = prepare(arguments, work)
    peers = {"PEERS": os.path.abspath(arguments.peers), "amx": not arguments.no_amx}
    engines = {"ort": Engine([arguments.node, HERE / "peer_ort.mjs", work, workloads, threads],
                             **peers)}
    if not arguments.no_llama:
        engines["llama"] = Engine([arguments.node, HERE / "peer_llama.mjs", work / "model.gguf",
                                   workloads, threads], **peers)
    if not arguments.peers_only:
        engines["ours"] = Engine([pathlib.Path(arguments.build) / "bench/bench_encoder",
                                  arguments.model, workloads, threads],
                                 amx=not arguments.no_amx)
    names = ["pairs"] if arguments.rerank else arguments.workloads.split(",")
    check(engines, names[-1])
    results = {name: compare(arguments, engines, name) for name in names}
    print(json.dumps(report(arguments, results, engines)))
    for engine in engines.values():
        engine.close()


if __name__ == "__main__":
    main()
