#!/bin/sh
# tests/bench/decoder.sh BUILD_DIR [--mix q4_k_m|q8_0] [--model FILE.gguf] [--threads N]
#                        [--rounds N] [--no-amx] [--quick] [--no-llama]
#
# ragd's decoder beside llama.cpp: the same GGUF file, the same token ids, the same run; prefill of
# 512 and 1,536 tokens, decoding behind 16 and 2,048, four streams at once, the time to the first
# token of a prompt that is new and of one whose beginning is known, memory. decoder_rounds.py says
# how. The file is EXAONE-3.5-2.4B's geometry with random weights (make_random_gguf.py; 1.5 or
# 2.6 GB under build/peers/models, 6 GB of memory), with --quick a small one: only to see that it
# runs. --threads 1 compares CPU seconds; --no-amx: both as on CPUs without AMX.
#
# llama.cpp comes from npm into build/peers (PEERS=DIR: a folder that has it in node_modules).
# The last line is one JSON object.
set -eu
build=$1
shift
here=$(dirname "$0")
mix=q4_k_m
model=
quick=
options=
while [ $# -gt 0 ]; do
    case $1 in
    --mix) mix=$2; shift 2 ;;
    --model) model=$2; shift 2 ;;
    --quick) quick=yes; options="$options $1"; shift ;;
    --no-llama | --no-amx) options="$options $1"; shift ;;
    --*) options="$options $1 $2"; shift 2 ;;
    *) echo "decoder.sh: '$1': not an option" >&2; exit 2 ;;
    esac
done
. "$here/peers.inc"
need_python numpy
case $options in
*--no-llama*) peers=$work; node=node ;;
*) need_peers node-llama-cpp ;;
esac
if [ -z "$model" ]; then
    name=exaone-2.4b-$mix
    geometry=
    if [ -n "$quick" ]; then
        name=small-$mix
        geometry="--layers 4 --hidden 512 --heads 8 --kv-heads 2 --head-size 64
            --feed-forward 1536 --vocabulary 32000"
    fi
    model=$work/models/$name.gguf
    if [ ! -f "$model" ]; then
        say "random weights: $model"
        mkdir -p "$work/models"
        # shellcheck disable=SC2086
        "$python" "$here/make_random_gguf.py" "$model.new" --mix "$mix" $geometry
        mv "$model.new" "$model"
    fi
fi
# shellcheck disable=SC2086
exec "$python" "$here/decoder_rounds.py" "$build" --model "$model" --peers "$peers" \
    --node "$node" $options
