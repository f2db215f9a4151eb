#!/bin/sh
# demo.sh BUILD_DIR - what ./dev demo runs: a private ragd, the documents of etc/demo, a
# few questions. Everything lives in a temporary folder that is removed at the end.
set -eu
build=$1
here=$(cd "$(dirname "$0")/demo" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/ragd-demo.XXXXXX")
socket=$work/ragd.sock
daemon=

stop() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM

mkdir -m 700 "$work/state"
"$build/ragd" --state "$work/state" --socket "$socket" 2>"$work/log" &
daemon=$!
tries=0
until "$build/ragctl" status --socket "$socket" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$daemon" 2>/dev/null; then
        cat "$work/log" >&2
        echo "demo: ragd did not start" >&2
        exit 1
    fi
    sleep 0.1
done

echo "== ragctl ingest --collection demo etc/demo"
"$build/ragctl" ingest --socket "$socket" --collection demo "$here"

ask() {
    echo
    echo "== ragctl ask --collection demo '$1'"
    "$build/ragctl" ask --socket "$socket" --collection demo "$1" || [ $? -eq 3 ]
}
ask "안 쓴 연차는 다음 해로 최대 며칠까지 넘길 수 있어?"
ask "AP-520의 수면 모드 소음은 얼마인가요?"
ask "반반차는 한 달에 몇 번까지 되나요?"
ask "안식 휴가를 수당으로 바꿔 받을 수 있나요?"
ask "장애 보고서 INC-2024-030에 적힌 장애 원인은 무엇인가요?"

echo
echo "== ragctl audit verify"
"$build/ragctl" audit verify --socket "$socket"
cat <<END

That was a private ragd with its own folder; it is gone now. With your own documents:

    $build/ragd --state ~/ragd --socket ~/ragd/ragd.sock &
    export RAGD_SOCKET=~/ragd/ragd.sock
    $build/ragctl ingest --collection docs ~/Documents
    $build/ragctl ask --collection docs '...'

README.md goes on from here.
END
