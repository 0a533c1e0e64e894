#!/bin/sh
# Send an event with curl, and ask what has become of it.
set -eu

answer=$(curl --silent --show-error --fail-with-body "$VIGILRY_URL/ingest/events" \
  --header "X-Api-Key: $VIGILRY_API_KEY" \
  --header 'Content-Type: application/json' \
  --data '{"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "send.sh"}')
echo "$answer"

job=$(echo "$answer" | sed 's/.*"jobId": *"\([^"]*\)".*/\1/')
curl --silent --show-error --fail-with-body "$VIGILRY_URL/ingest/jobs/$job" --header "X-Api-Key: $VIGILRY_API_KEY"
echo
