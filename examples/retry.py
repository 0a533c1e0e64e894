"""Send an event until it is stored, and only once: every try has the same Idempotency-Key."""

import os
import random
import sys
import time
import uuid

import httpx

LONGEST_PAUSE_S = 10.0


def is_worth_a_retry(answer: httpx.Response) -> bool:
    """Say whether the same request may succeed later."""
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return bool(answer.json()["retryable"])
    # A proxy in between answered, in a form of its own.
    return answer.status_code in (408, 425, 429) or answer.status_code >= 500


def asked_pause_s(answer: httpx.Response) -> float:
    """Return what Retry-After asks for in seconds; a proxy's may be a date, which is passed over."""
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def send(client: httpx.Client, event: dict[str, str], tries: int = 12) -> str:
    """Return the jobId; raise the last failure, or at once what no retry can mend."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(tries):
        pause_s, asked_s = min(0.1 * 2**attempt, LONGEST_PAUSE_S), 0.0
        try:
            answer = client.post("/ingest/events", json=event, headers=headers)
            if answer.is_success:
                return str(answer.json()["jobId"])
            if not is_worth_a_retry(answer):
                answer.raise_for_status()
            asked_s = asked_pause_s(answer)
        except httpx.TransportError as error:
            # Whether it was stored is not known, and need not be: the key stays the same.
            print(f"try {attempt + 1}: {error!r}", file=sys.stderr)
        else:
            print(f"try {attempt + 1}: {answer.status_code}", file=sys.stderr)
        if attempt + 1 < tries:
            # Never before the moment that was asked for, and not all senders at once.
            time.sleep(asked_s + pause_s * random.uniform(0.5, 1.0))
    raise RuntimeError(f"not stored after {tries} tries")


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["VIGILRY_URL"], headers={"X-Api-Key": os.environ["VIGILRY_API_KEY"]}, timeout=5
    ) as client:
        print(send(client, {"type": "order_paid", "severity": "INFO", "message": "Order 4421 is paid"}))
