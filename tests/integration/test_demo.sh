#!/bin/sh
# test_demo.sh BUILD_DIR - what ./dev demo shows: answers that cite, one refusal, a whole log.
set -eu
out=$(sh "$(dirname "$0")/../../etc/demo.sh" "$1" </dev/null)
for expected in '12 ingested' '최대 5일을 이월할 수 있고' '21dB' '네 번까지만' '아니요.' '답 없음:' 'whole:'; do
    case $out in
    *"$expected"*) ;;
    *) printf '%s\n' "$out"; echo "demo: '$expected' is missing"; exit 1 ;;
    esac
done
echo "the demo shows what it should"
