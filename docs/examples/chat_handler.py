"""Tells a chat of errors: a second handler, for ``flask worker --group chat --handler chat_handler:tell``."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence

from vigilry_ingest.domain.handler import Delivered, TryLater

WEBHOOK_URL = os.environ["CHAT_WEBHOOK_URL"]


def tell(events: Sequence[Delivered]) -> None:
    """Post one message for all errors of a batch."""
    errors = [event for event in events if event.severity in ("ERROR", "CRITICAL")]
    if errors:
        post("\n".join(f"{event.severity} {event.type}: {event.message[:200]}" for event in errors))


def post(text: str) -> None:
    """Post a message; raise TryLater when the chat is down, so that no event is given up for it."""
    body, headers = json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(WEBHOOK_URL, body, headers)  # noqa: S310  # an operator wrote it
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  # the same
    except urllib.error.HTTPError as error:
        if error.code != 429 and error.code < 500:
            raise
        raise TryLater(f"the chat answers {error.code}") from error
    except OSError as error:
        raise TryLater(f"the chat cannot be reached: {error}") from error
