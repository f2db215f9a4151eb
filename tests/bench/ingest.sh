#!/bin/sh
# ingest.sh BUILD_DIR - durable ingestion rate, memory and start time.
exec python3 "$(dirname "$0")/ingest_rate.py" "$@"
