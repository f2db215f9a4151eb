#!/bin/sh
# cache.sh BUILD_DIR - what an answer from the cache takes, by the same question and by one that
# means the same.
exec python3 "$(dirname "$0")/cache_hits.py" "$@"
