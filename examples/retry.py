"""Send an event until it is stored, and only once: every try has the same Idempotency-Key."""

import os
import random
import sys
import time
import uuid

import httpx

LONGEST_PAUSE_S = 10.0


def send(client: httpx.Client, event: dict[str, str], tries: int = 12) -> str:
    """Return the jobId; raise the last failure, or at once what no retry can mend."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(tries):
        pause_s = min(0.1 * 2**attempt, LONGEST_PAUSE_S)
        try:
            answer = client.post("/ingest/events", json=event, headers=headers)
            if answer.is_success:
                return str(answer.json()["jobId"])
            # A proxy in between may answer with something else than a problem.
            is_problem = answer.headers["content-type"].startswith("application/problem+json")
            if is_problem and not answer.json()["retryable"]:
                answer.raise_for_status()
            pause_s = max(pause_s, float(answer.headers.get("Retry-After", 0)))
        except httpx.TransportError as error:
            # Whether it was stored is not known, and need not be: the key stays the same.
            print(f"try {attempt + 1}: {error!r}", file=sys.stderr)
        else:
            print(f"try {attempt + 1}: {answer.status_code}", file=sys.stderr)
        if attempt + 1 < tries:
            # Not all senders at once, when the service is back.
            time.sleep(pause_s * random.uniform(0.5, 1.0))
    raise RuntimeError(f"not stored after {tries} tries")


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["VIGILRY_URL"], headers={"X-Api-Key": os.environ["VIGILRY_API_KEY"]}, timeout=5
    ) as client:
        print(send(client, {"type": "order_paid", "severity": "INFO", "message": "Order 4421 is paid"}))
