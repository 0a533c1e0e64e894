"""Send an event until it is stored, and only once: every try has the same Idempotency-Key."""

import os
import random
import sys
import time
import uuid

import httpx

LONGEST_PAUSE_S = 10.0
# Who is asked to wait for longer gives up, and may keep the event for later.
MOST_PATIENCE_S = 120.0


def is_worth_a_retry(answer: httpx.Response) -> bool:
    """Say whether the same request may succeed later."""
    by_status = answer.status_code in (408, 425, 429) or answer.status_code >= 500
    if answer.headers.get("Content-Type", "").startswith("application/problem+json"):
        return bool(answer.json().get("retryable", by_status))
    # A proxy in between answered, in a form of its own.
    return by_status


def asked_pause_s(answer: httpx.Response) -> float:
    """Return what Retry-After asks for in seconds; a proxy's may be a date, which is passed over."""
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else 0.0


def send(client: httpx.Client, event: dict[str, str], tries: int = 12) -> str:
    """Return the jobId; raise the last failure, at once where no retry can mend it."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    for attempt in range(tries):
        failure: httpx.HTTPError
        asked_s = 0.0
        try:
            answer = client.post("/ingest/events", json=event, headers=headers)
        except httpx.RequestError as error:
            # Whether it was stored is not known, and need not be: the key stays the same.
            failure = error
        else:
            if answer.status_code == 202:
                return str(answer.json()["jobId"])
            said = f"{answer.status_code}: {answer.text[:500]}"
            failure = httpx.HTTPStatusError(said, request=answer.request, response=answer)
            asked_s = asked_pause_s(answer)
            if not is_worth_a_retry(answer) or asked_s > MOST_PATIENCE_S:
                break
        print(f"try {attempt + 1}: {failure}", file=sys.stderr)
        if attempt + 1 < tries:
            # Never before the moment that was asked for, and not all senders at once.
            time.sleep(asked_s + min(0.1 * 2**attempt, LONGEST_PAUSE_S) * random.uniform(0.5, 1.0))
    raise failure


if __name__ == "__main__":
    with httpx.Client(
        base_url=os.environ["INGEST_URL"], headers={"X-Api-Key": os.environ["INGEST_API_KEY"]}, timeout=5
    ) as client:
        print(send(client, {"type": "order_paid", "severity": "INFO", "message": "Order 4421 is paid"}))
