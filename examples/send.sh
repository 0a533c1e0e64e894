#!/bin/sh
# Send an event with curl, and ask what has become of it.
set -eu

call() {
  curl --silent --show-error --fail-with-body --max-time 10 --header "X-Api-Key: $INGEST_API_KEY" "$@"
}

answer=$(call "$INGEST_URL/ingest/events" \
  --header 'Content-Type: application/json' \
  --data '{"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "send.sh"}') \
  || { echo "$answer" >&2; exit 1; }
echo "$answer"

job=$(echo "$answer" | sed 's/.*"jobId": *"\([^"]*\)".*/\1/')
call "$INGEST_URL/ingest/jobs/$job"
echo
