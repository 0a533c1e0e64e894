"""Send an event with nothing but Python's standard library."""

import json
import os
import sys
import urllib.error
import urllib.request

event = {"type": "deployed", "severity": "INFO", "message": "Version 42 is out", "source": "standard library"}
request = urllib.request.Request(
    os.environ["INGEST_URL"] + "/ingest/events",
    data=json.dumps(event).encode(),
    headers={"X-Api-Key": os.environ["INGEST_API_KEY"], "Content-Type": "application/json"},
)
try:
    with urllib.request.urlopen(request, timeout=5) as answer:
        print(json.load(answer)["jobId"])
except urllib.error.HTTPError as refusal:
    sys.exit(f"{refusal.code}: {refusal.read().decode()}")
