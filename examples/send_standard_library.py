"""Send an event with Python's standard library only."""

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
    with urllib.request.urlopen(request, timeout=5) as response:
        print(json.load(response)["jobId"])
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code}: {error.read().decode()}")
