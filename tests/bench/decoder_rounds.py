#!/usr/bin/env python3
"""ragd's decoder beside llama.cpp: same GGUF file, same ids, same run.

    decoder_rounds.py BUILD_DIR --model FILE.gguf --peers DIR [--node PROGRAM] [--threads N]
                      [--rounds N] [--no-amx] [--no-llama] [--quick]

Engines are processes that answer line by line, so samples of ragd and of llama.cpp alternate and
what else the machine does hits both. llama.cpp counts at its best: flash attention on or off,
tried before each workload. A ratio is the median over the rounds of llama.cpp's seconds by ragd's
of the same round; with one thread, of seconds on the CPU, which other programs disturb less.
llama.cpp's threads spin while they wait for each other, so a busy machine slows it more than ragd:
the ratio of the fastest samples is given too. The last line is one JSON object."""
import argparse
import json
import os
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from encoder_rounds import Engine, rate, ratio, say, seconds  # noqa: E402

KV_TOKENS = 4096
FORMS = ["flash512", "plain512"]  # larger batches are not faster for llama.cpp
DECODED = 24
STREAMS = 4
PROBE = 8
# name, the line's verb and numbers, the shorter line that chooses llama.cpp's form
WORKLOADS = [("prefill_512", ("prefill", "512"), ("prefill", "512")),
             ("prefill_1536", ("prefill", "1536"), ("prefill", "512")),
             ("decode", ("decode", "16", str(DECODED)), ("decode", "16", str(PROBE))),
             ("decode_depth2048", ("decode", "2048", str(DECODED)),
              ("decode", "2048", str(PROBE)))]


def spread(values):
    return f"{rate(values):7.1f} tokens/s ({1 / max(values):.1f} .. {1 / min(values):.1f})"


def sample(engine, words, threads):
    """Seconds per token of one line, and the whole answer."""
    reply = engine.ask(*words)
    return seconds(reply, threads) / reply["tokens"], reply


def choose(arguments, llama, probe, known):
    """llama.cpp's faster form for a line: the better of two samples each. KNOWN remembers."""
    verb, *numbers = probe
    if probe not in known:
        tried = {}
        for form in FORMS:
            llama.ask("prefill", form, "16")
            tried[form] = min(sample(llama, (verb, form, *numbers), arguments.threads)[0]
                              for _ in range(2))
        say(f"  {' '.join(probe):16} llama.cpp " +
            ", ".join(f"{form} {1 / s:.1f} tokens/s" for form, s in tried.items()))
        known[probe] = min(tried, key=tried.get)
    return known[probe]


def compare(arguments, engines, name, words, best):
    """Alternating samples of one workload: (ragd's, llama.cpp's) seconds per token."""
    verb, *numbers = words
    ours, peer = [], []
    for _ in range(arguments.rounds):
        ours.append(sample(engines["ours"], words, arguments.threads)[0])
        if best:
            peer.append(sample(engines["llama"], (verb, best, *numbers), arguments.threads)[0])
    say(f"  {name:16} ragd      {spread(ours)}")
    if best:
        say(f"  {name:16} llama.cpp {spread(peer)}, {best}; ratio {ratio(peer, ours):.2f}")
    return ours, peer


def streams(arguments, engine):
    """Tokens per second of one stream and of four together, and the median of their ratios."""
    one, four = [], []
    for _ in range(arguments.rounds + 1):
        one.append(sample(engine, ("decode", "16", str(DECODED)), arguments.threads)[0])
        four.append(sample(engine, ("batch", str(STREAMS), str(DECODED)), arguments.threads)[0])
    say(f"  {STREAMS} streams        ragd      {spread(four[1:])}; one: {spread(one[1:])}")
    return rate(four[1:]), ratio(one[1:], four[1:])


def first_tokens(arguments, engine):
    replies = [engine.ask("ttft") for _ in range(max(2, arguments.rounds // 2))]
    cold, warm = (1000 * statistics.median(r[key] for r in replies) for key in ("cold_s", "warm_s"))
    known = replies[0]["known_tokens"]
    say(f"  first token of {replies[0]['tokens']} tokens: {cold:.0f} ms, "
        f"{warm:.0f} ms when {known} are known")
    return cold, warm, known


def check(engines):
    """That both compute the same thing: the likeliest 50 tokens after 200 and their ln p."""
    ours = dict(engines["ours"].ask("top", "200")["top"])
    peer = dict(engines["llama"].ask("top", FORMS[0], "200")["top"])
    both = sorted(set(ours) & set(peer))
    off = [abs(ours[i] - peer[i]) for i in both] or [float("nan")]
    say(f"  likeliest 50: {len(both)} the same, ln p differs by {statistics.mean(off):.3f} on "
        f"average, {max(off):.3f} at most; first {max(ours, key=ours.get)} and "
        f"{max(peer, key=peer.get)}")
    return len(both)


def measure(arguments, engines):
    ours, ret = engines["ours"], {}
    if "llama" in engines:
        ret["top50_same"] = check(engines)
    known = {}
    ours.ask("prefill", "512")
    for name, words, probe in WORKLOADS:
        form = choose(arguments, engines["llama"], probe, known) if "llama" in engines else None
        mine, peer = compare(arguments, engines, name, words, form)
        ret[name + "_tokens_per_s"] = rate(mine)
        if form:
            ret[name + "_ratio_vs_llamacpp"] = ratio(peer, mine)
            ret[name + "_ratio_of_the_best"] = min(peer) / min(mine)
            ret[name + "_llamacpp_tokens_per_s"] = rate(peer)
            ret[name + "_llamacpp_form"] = form
    ret["batch4_tokens_per_s"], ret["batch4_total_ratio"] = streams(arguments, ours)
    ret["ttft_cold_ms"], ret["ttft_warm_ms"], ret["ttft_known_tokens"] = \
        first_tokens(arguments, ours)
    last = ours.ask("prefill", "512")
    info = ours.ask("info")
    # Against the file and the pages in use, so that a budget left empty does not help.
    ret["rss_ratio"] = last["rss_bytes"] / (info["file_bytes"] + last["kv_held_bytes"])
    ret["rss_peak_ratio"] = info["peak_bytes"] / (info["file_bytes"] + info["kv_budget_bytes"])
    ret["rss_mb"], ret["weights_mb"] = last["rss_bytes"] / 1e6, info["weights_bytes"] / 1e6
    ret["kv_mb"], ret["file_mb"] = last["kv_held_bytes"] / 1e6, info["file_bytes"] / 1e6
    if "llama" in engines:
        ret["llamacpp_rss_mb"] = engines["llama"].ask("prefill", FORMS[0], "64")["rss_bytes"] / 1e6
    bandwidth = ours.ask("bandwidth")["bytes_per_s"]
    ret["bandwidth_gb_per_s"] = bandwidth / 1e9
    ret["decode_bandwidth_share"] = ret["decode_tokens_per_s"] * info["weights_bytes"] / bandwidth
    ret["kernels"] = info["kernels"]
    return ret


def report(arguments, result):
    ret = {"bench": "decoder", "model": pathlib.Path(arguments.model).stem}
    order = [name + "_ratio_vs_llamacpp" for name, *_ in WORKLOADS] + \
        ["batch4_total_ratio", "ttft_cold_ms", "ttft_warm_ms", "rss_ratio"]
    for key in order + [key for key in result if key not in order]:
        value = result.get(key)
        if isinstance(value, float):
            value = round(value, 3 if "ratio" in key or "share" in key else 1)
        ret[key] = value
    ret["threads"] = arguments.threads
    ret["samples"] = arguments.rounds
    ret["amx"] = not arguments.no_amx
    ret["measured"] = "cpu" if arguments.threads == 1 else "wall"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    ret["cpu"] = names[0] if names else "unknown"
    return ret


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--model", required=True)
    parser.add_argument("--peers", required=True)
    parser.add_argument("--node", default="node")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-amx", action="store_true", help="for both, as on older CPUs")
    parser.add_argument("--no-llama", action="store_true")
    parser.add_argument("--quick", action="store_true", help="two rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 2
    amx, threads = not arguments.no_amx, str(arguments.threads)
    engines = {"ours": Engine([pathlib.Path(arguments.build) / "bench/bench_decoder",
                               arguments.model, threads, KV_TOKENS], amx=amx)}
    if not arguments.no_llama:
        engines["llama"] = Engine([arguments.node, HERE / "peer_llama_decoder.mjs",
                                   arguments.model, threads, KV_TOKENS], amx=amx,
                                  PEERS=os.path.abspath(arguments.peers))
    result = measure(arguments, engines)
    print(json.dumps(report(arguments, result)))
    for engine in engines.values():
        engine.close()


if __name__ == "__main__":
    main()
