#!/bin/sh
# tests/bench/bm25.sh BUILD_DIR [--passages N] [--text FILE...] [--quick] [option...]
#
# BM25 beside SQLite FTS5 and Xapian on real sentences: FILE... (JSON lines with a "text"
# member, .zst or plain) or the files named in RAGD_TRAIN_TEXT; without any, synthetic text.
# --quick: 20,000 passages and few questions, to see that everything works. The last line
# is one JSON object.
set -eu
build=$1
shift
passages=1000000
options=
files=
in_text=
while [ $# -gt 0 ]; do
    case $1 in
    --text) in_text=1; shift ;;
    --passages) passages=$2; in_text=; shift 2 ;;
    --quick) passages=20000; options="$options --questions 200 --fts5-questions 20"; in_text=; shift ;;
    --no-*) options="$options $1"; in_text=; shift ;;
    --*) options="$options $1 $2"; in_text=; shift 2 ;;
    *) [ -n "$in_text" ] || { echo "bm25.sh: '$1': give text files after --text" >&2; exit 2; }
        files="$files $1"; shift ;;
    esac
done
[ -n "$files" ] || files=${RAGD_TRAIN_TEXT:-}
[ -n "$files" ] || echo "bm25.sh: no --text and no RAGD_TRAIN_TEXT: the text is synthetic" >&2
work=$(mktemp -d "${TMPDIR:-/tmp}/bench-bm25.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
# the batch size that Xapian's own documents advise for a bulk load
export XAPIAN_FLUSH_THRESHOLD=100000
# shellcheck disable=SC2086
"$build/bench/bench_bm25" --passages "$passages" --work "$work" $options $files
