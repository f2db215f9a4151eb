#!/usr/bin/python3
"""Makes ragd's built-in models.

    train/make.py embed  --data DIR --work DIR [--teacher DIR] [--out DIR]
    train/make.py rerank --data DIR --work DIR [--out DIR]         after embed
    train/make.py refine --data DIR --work DIR [--out DIR]         after rerank: the bi-encoder once more, by what the cross-encoder says
    train/make.py smoke  --work DIR                                 everything, tiny, on made-up data: minutes on a CPU

Each command goes on where it was stopped; remove the working folder to begin anew.  README.md beside this file says what each stage
does and what it needs.
"""

import argparse
import os
import sys

os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))

import numpy as np  # noqa: E402
import torch  # noqa: E402

import bert  # noqa: E402
import corpus  # noqa: E402
import distil  # noqa: E402
import export  # noqa: E402
import initialise  # noqa: E402
import measure  # noqa: E402
import mlm  # noqa: E402
import prepare  # noqa: E402
import refine  # noqa: E402
import rerank  # noqa: E402
import teacher  # noqa: E402
import wordpiece  # noqa: E402

# Minutes of each stage by the clock, and sizes; near: the reranker's hard negatives come from the bi-encoder too.  "cpu": what two cores do in a few hours; "cuda": the full recipe, untried.
PLANS = {
    "cpu": {"hangul": 22_000, "latin": 10_000, "text_tokens": 40_000_000, "mlm": 0, "distil": 110, "rerank": 46, "refine": 20, "near": False, "tokens": 8192,
            "questions": 16_000, "layers": 6, "rerank_layers": 4},
    "cuda": {"hangul": 22_000, "latin": 10_000, "text_tokens": 400_000_000, "mlm": 120, "distil": 90, "rerank": 60, "refine": 30, "near": True,
             "tokens": 131_072, "questions": 400_000, "layers": 6, "rerank_layers": 4},
    "smoke": {"hangul": 4_900, "latin": 300, "text_tokens": 1_000_000, "mlm": 0.2, "distil": 0.4, "rerank": 0.3, "refine": 0.2, "near": True,
              "tokens": 1024, "questions": 200, "layers": 1, "rerank_layers": 1},
}


def log(message):
    print(message, file=sys.stderr, flush=True)


def vocabulary(a, plan):
    path = os.path.join(a.work, "tokenizer.json")
    if not os.path.exists(path):
        log("vocabulary")
        groups = {"msdocs": [], "nsmc-raw-reviews": [], "other": []}
        for source, text in prepare.document_texts(a.data):
            groups.get(source, groups["other"]).append(text)
        english = [r["en"] for r in corpus.permissive_rows(a.data, "parallel")]
        for r in corpus.permissive_rows(a.data, "pairs"):
            if r["source"].startswith("songys"):
                groups["other"] += [r["query"], r["positive"]]
        weights = (("msdocs", 0.4), ("nsmc-raw-reviews", 0.25), ("other", 0.2))
        wordpiece.learn([(w, groups[n]) for n, w in weights] + [(0.15, english)],
                        wordpiece.WordPiece.load(os.path.join(a.teacher, "tokenizer.json")),
                        plan["hangul"], plan["latin"]).save(path, 512)
    return wordpiece.WordPiece.load(path)


def teacher_tensors(folder):
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(".safetensors")]
    if not names:
        raise FileNotFoundError("no .safetensors in " + folder)
    return bert.read_safetensors(os.path.join(folder, names[0]))


def first_model(a, plan, pieces):
    """The teacher's body with word embeddings of our own vocabulary."""
    tensors = teacher_tensors(a.teacher)
    table = tensors["embeddings.word_embeddings.weight"].astype(np.float32)
    path = os.path.join(a.work, "initial.npy")
    if not os.path.exists(path):
        parallel = os.path.join(a.work, "parallel.npz")
        rows = np.flatnonzero(~prepare.load_array(parallel, "held"))
        np.save(path, initialise.embeddings(
            pieces, wordpiece.WordPiece.load(os.path.join(a.teacher, "tokenizer.json")), table,
            prepare.load_texts(parallel, "ko"), prepare.load_texts(parallel, "en"), rows,
            prepare.load_texts(os.path.join(a.work, "text.npz"), "text"), log))
    tensors = {**tensors, "embeddings.word_embeddings.weight": np.load(path)}
    first = tensors["encoder.layer.0.intermediate.dense.weight"]
    heads = {384: 12}.get(first.shape[1], max(1, first.shape[1] // 32))
    return bert.load({"vocab_size": len(pieces.pieces), "hidden_size": first.shape[1], "intermediate_size": first.shape[0],
                      "num_attention_heads": heads, "num_hidden_layers": plan["layers"],
                      "max_position_embeddings": tensors["embeddings.position_embeddings.weight"].shape[0]}, tensors)


def load_stage(module, work, name):
    module.load_state_dict(torch.load(os.path.join(work, name + ".pt"), map_location="cpu")["model"])
    return module


def give(a, name, write, model, pieces):
    folder = os.path.join(a.work, name)
    write(model.cpu(), pieces, folder)
    export.packed(a.ragctl, folder, os.path.join(a.out, name))
    log("packed: " + os.path.join(a.out, name))


def embed(a, plan):
    pieces = vocabulary(a, plan)
    prepare.all_of(a.data, a.work, os.path.join(a.work, "tokenizer.json"), plan["text_tokens"], log)
    with open(os.path.join(a.work, "parallel-en.txt"), encoding="utf-8") as f:
        english = [line.rstrip("\n") for line in f]
    vectors = teacher.cached(os.path.join(a.work, "teacher.npy"), a.ragctl, a.teacher, english, 96, log)
    model = first_model(a, plan, pieces).to(a.device)
    if plan["mlm"]:
        mlm.train(model, a.work, pieces, a.device, minutes=plan["mlm"], tokens=plan["tokens"])
    distil.train(model, a.work, vectors, pieces, a.device, minutes=plan["distil"], tokens=plan["tokens"], name="embed",
                 measure=lambda: measure.bi_encoder(model, pieces, a.data, a.work))
    give(a, "ragd-ko-embed", export.bi_encoder, model, pieces)


def trained(a, plan):
    """(pieces, bi-encoder) of a finished `embed`."""
    pieces = wordpiece.WordPiece.load(os.path.join(a.work, "tokenizer.json"))
    return pieces, load_stage(first_model(a, plan, pieces), a.work, "embed").to(a.device)


def reranker(a, plan):
    pieces, body = trained(a, plan)
    model = rerank.CrossEncoder.from_bi_encoder(body, plan["rerank_layers"]).to(a.device)
    rerank.train(model, a.work, pieces, body if plan["near"] else None, a.device, questions=plan["questions"], minutes=plan["rerank"], log=log)
    give(a, "ragd-ko-rerank", export.cross_encoder, model, pieces)


def refined(a, plan):
    pieces, model = trained(a, plan)
    cross = load_stage(rerank.CrossEncoder.from_bi_encoder(model, plan["rerank_layers"]), a.work, "rerank").to(a.device)
    refine.train(model, a.work, pieces, cross, a.device, questions=plan["questions"], minutes=plan["refine"], log=log,
                 measure=lambda: measure.bi_encoder(model, pieces, a.data, a.work))
    give(a, "ragd-ko-embed", export.bi_encoder, model, pieces)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=("embed", "rerank", "refine", "smoke"))
    p.add_argument("--data", help="folder with text*.jsonl[.zst], pairs, parallel and sts")
    p.add_argument("--work", required=True, help="working folder: arrays, checkpoints, logs")
    p.add_argument("--out", help="where the packed models go (default: the working folder's out/)")
    p.add_argument("--teacher", help="folder of all-MiniLM-L6-v2")
    p.add_argument("--ragctl", default="build/release/ragctl")
    p.add_argument("--plan", choices=sorted(PLANS), help="default: cuda where there is one, else cpu")
    a = p.parse_args()
    a.device = "cuda" if torch.cuda.is_available() else "cpu"
    a.out = a.out or os.path.join(a.work, "out")
    os.makedirs(a.work, exist_ok=True)
    os.makedirs(a.out, exist_ok=True)
    torch.set_num_threads(os.cpu_count())
    if a.command == "smoke":
        import smoke_data

        a.data, a.teacher = smoke_data.write(os.path.join(a.work, "data"))
    plan = PLANS[a.plan or ("smoke" if a.command == "smoke" else a.device)]
    for needed in ("data", "teacher"):
        if not getattr(a, needed):
            p.error("--%s is needed" % needed)
    if a.command in ("embed", "smoke"):
        embed(a, plan)
    if a.command in ("rerank", "smoke"):
        reranker(a, plan)
    if a.command in ("refine", "smoke"):
        refined(a, plan)


if __name__ == "__main__":
    main()
