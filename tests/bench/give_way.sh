#!/bin/sh
# give_way.sh BUILD_DIR - how long a question's embedding waits while a model reads long prompts.
exec python3 "$(dirname "$0")/give_way.py" "$@"
