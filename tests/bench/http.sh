#!/bin/sh
# http.sh BUILD_DIR - what HTTP over the socket adds to a search.
exec python3 "$(dirname "$0")/http_overhead.py" "$@"
