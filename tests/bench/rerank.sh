#!/bin/sh
# tests/bench/rerank.sh BUILD_DIR [--model minilm-l6|e5-small|roberta-base|...|DIR] [--threads N]
#                       [--rounds N] [--no-amx]
#
# One question and 30 passages of mixed length through ragd's int8 cross-encoder beside ONNX
# Runtime's (int8 at its best form: one by one, by length, padded), same model, same token ids, same
# run. Names are geometries of make_random_model.py with a classification head of one label and
# random weights. Peers as in encoder.sh. The last line is one JSON object.
set -eu
build=$1
shift
here=$(dirname "$0")
name=minilm-l6
options=
while [ $# -gt 0 ]; do
    case $1 in
    --model) name=$2; shift 2 ;;
    --peers-only | --no-amx) options="$options $1"; shift ;;
    --*) options="$options $1 $2"; shift 2 ;;
    *) echo "rerank.sh: '$1': not an option" >&2; exit 2 ;;
    esac
done
. "$here/peers.inc"
need_python numpy onnx
need_peers onnxruntime-node node-llama-cpp
need_model "$name" 1
# shellcheck disable=SC2086
exec "$python" "$here/encoder_rounds.py" "$build" --rerank --no-llama --name "$name" \
    --model "$model" --work "$work/$name-pairs" --peers "$peers" --node "$node" $options
