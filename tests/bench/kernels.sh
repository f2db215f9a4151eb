#!/bin/sh
# tests/bench/kernels.sh BUILD_DIR [--path NAME] [--rows N]: bench_kernels.c says what is measured.
# tests/bench/kernels.sh BUILD_DIR blocks [...]: a decoder's linear layers, bench_block_linear.c.
set -eu
build=$1
shift
program=bench_kernels
if [ "${1-}" = blocks ]; then
    program=bench_block_linear
    shift
fi
exec env OPENBLAS_NUM_THREADS=1 "$build/bench/$program" "$@"
