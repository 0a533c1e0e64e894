#!/bin/sh
# Send an event with curl, and get its status.
set -eu

call() {
  curl --silent --show-error --fail-with-body --max-time 10 --header "X-Api-Key: $INGEST_API_KEY" "$@"
}

response=$(call "$INGEST_URL/ingest/events" \
  --header 'Content-Type: application/json' \
  --data '{"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "send.sh"}') \
  || { echo "$response" >&2; exit 1; }
echo "$response"

job=$(echo "$response" | sed 's/.*"jobId": *"\([^"]*\)".*/\1/')
call "$INGEST_URL/ingest/jobs/$job"
echo
