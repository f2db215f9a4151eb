#!/bin/sh
# injection.sh BUILD_DIR [--model DIR] - how often poisoned passages work, with and without the guard.
exec python3 "$(dirname "$0")/injection.py" "$@"
