#!/bin/sh
# tests/bench/encoder.sh BUILD_DIR [--model minilm|e5-small|roberta-base|...|DIR] [--threads N]
#                        [--rounds N] [--no-llama] [--no-amx] [--workloads 128,512,mixed]
#
# ragd's int8 encoder beside ONNX Runtime (int8 at its best form, fp32) and llama.cpp (f16), same
# model, same token ids, same run; encoder_rounds.py says how. minilm is the real all-MiniLM-L6-v2;
# other names are geometries of make_random_model.py with random weights. --threads 1 compares CPU
# seconds, the steadier figure on a busy machine; --no-amx: all of them as on CPUs without AMX.
#
# Peers come from npm into build/peers (PEERS=DIR: a folder that has them in node_modules).
# The last line is one JSON object.
set -eu
build=$1
shift
here=$(dirname "$0")
name=minilm
options=
while [ $# -gt 0 ]; do
    case $1 in
    --model) name=$2; shift 2 ;;
    --no-llama | --peers-only | --no-amx) options="$options $1"; shift ;;
    --*) options="$options $1 $2"; shift 2 ;;
    *) echo "encoder.sh: '$1': not an option" >&2; exit 2 ;;
    esac
done
. "$here/peers.inc"
need_python numpy onnx
need_peers onnxruntime-node node-llama-cpp
need_model "$name" 0
# shellcheck disable=SC2086
exec "$python" "$here/encoder_rounds.py" "$build" --name "$name" --model "$model" \
    --work "$work/$name" --peers "$peers" --node "$node" $options
