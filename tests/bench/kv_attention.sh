#!/bin/sh
# tests/bench/kv_attention.sh BUILD_DIR [--path NAME] [--dim N] [--heads N] [--kv-heads N]:
# bench_kv_attention.c says what is measured.
set -eu
build=$1
shift
exec env OPENBLAS_NUM_THREADS=1 "$build/bench/bench_kv_attention" "$@"
