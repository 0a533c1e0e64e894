"""A handler that posts errors to a chat: ``flask worker --group chat --handler chat_handler:notify``."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence

from vigilry_ingest.domain.handler import Delivered, TryLater

WEBHOOK_URL = os.environ["CHAT_WEBHOOK_URL"]


def notify(events: Sequence[Delivered]) -> None:
    """Post one message for all errors of a batch."""
    errors = [event for event in events if event.severity in ("ERROR", "CRITICAL")]
    if errors:
        post("\n".join(f"{event.severity} {event.type}: {event.message[:200]}" for event in errors))


def post(text: str) -> None:
    """Post a message; raise TryLater when the chat is unavailable, so that no event becomes a dead letter."""
    body, headers = json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(WEBHOOK_URL, body, headers)  # noqa: S310  # the operator's own setting
    try:
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  # the same
    except urllib.error.HTTPError as error:
        if error.code != 429 and error.code < 500:
            raise
        raise TryLater(f"the chat responds with {error.code}") from error
    except OSError as error:
        raise TryLater(f"the chat cannot be reached: {error}") from error
