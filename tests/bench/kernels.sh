#!/bin/sh
# tests/bench/kernels.sh BUILD_DIR [--path NAME] [--rows N]: bench_kernels.c says what is measured.
set -eu
build=$1
shift
exec env OPENBLAS_NUM_THREADS=1 "$build/bench/bench_kernels" "$@"
