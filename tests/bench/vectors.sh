#!/bin/sh
# tests/bench/vectors.sh BUILD_DIR [--text FILE [--model DIR]] [--quick] [option...]
#
# Recall, time and memory of the vector index beside FAISS's own HNSW. Without --text on clustered
# vectors (--n 100000 --dim 384); with it on distinct texts of FILE (JSON lines with a "text" or
# "en" member, .zst or plain), embedded by the model in DIR (default: all-MiniLM-L6-v2, fetched by
# tests/fetch-models.sh). --data FILE.f32 --dim D: vectors of your own. bench_vectors.c says more.
# --quick: 20,000 vectors, to see that everything works. The last line is one JSON object.
set -eu
build=$1
shift
text=
model=
options=
while [ $# -gt 0 ]; do
    case $1 in
    --text) text=$2; shift 2 ;;
    --model) model=$2; shift 2 ;;
    --quick) options="$options --n 20000 --queries 200"; shift ;;
    --sweep | --no-faiss) options="$options $1"; shift ;;
    --*) options="$options $1 $2"; shift 2 ;;
    *) echo "vectors.sh: '$1': no option" >&2; exit 2 ;;
    esac
done
# One thread each: what is measured is one query at a time.
export OPENBLAS_NUM_THREADS=1
if [ -n "$text" ]; then
    if [ -z "$model" ]; then
        sh tests/fetch-models.sh
        model=${RAG_TEST_MODELS:-build/models}/all-MiniLM-L6-v2
    fi
    work=$(mktemp -d "${TMPDIR:-/tmp}/bench-vectors.XXXXXX")
    trap 'rm -rf "$work"' EXIT INT TERM
    case $text in
    *.zst) zstd -dqc "$text" >"$work/texts.jsonl"; text=$work/texts.jsonl ;;
    esac
    options="$options --text $text --model $model"
fi
# shellcheck disable=SC2086
"$build/bench/bench_vectors" $options
