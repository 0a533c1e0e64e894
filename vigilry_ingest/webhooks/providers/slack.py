"""Slack's events.

By https://docs.slack.dev/authentication/verifying-requests-from-slack (read in November 2026).
"""

import json

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac


class _Event(msgspec.Struct):
    type: str | None = None


class _Body(msgspec.Struct):
    type: str | None = None
    challenge: str | None = None
    event_id: str | None = None
    team_id: str | None = None
    event: _Event | None = None
    command: str | None = None


def _read(_delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    # A slash command is a form without a type.
    event = (body.event and body.event.type) or body.type or ("slash_command" if body.command else "webhook")
    return Reading(
        event,
        body.event_id,
        subject=body.command,
        correlation={} if body.team_id is None else {"team_id": body.team_id},
    )


def _handshake(text: bytes) -> bytes | None:
    body = read(text, _Body, _Body())
    if body.type != "url_verification" or body.challenge is None:
        return None
    return msgspec.json.encode({"challenge": body.challenge})


def _example(id_: str, now: float) -> bytes:
    return json.dumps(
        {
            "type": "event_callback",
            "team_id": "T0001",
            "event_id": f"Ev{id_}",
            "event_time": int(now),
            "event": {"type": "app_mention", "user": "U0001", "text": "Hello", "channel": "C0001"},
        }
    ).encode()


PROVIDER = Provider(
    name="slack",
    title="Slack",
    scheme=Hmac(
        header="X-Slack-Signature",
        label="v0=",
        signed="v0:{timestamp}:",
        timestamp_header="X-Slack-Request-Timestamp",
    ),
    read=_read,
    handshake=_handshake,
    example=Example(body=_example, headers={"Content-Type": "application/json"}),
    where="Your app → Event Subscriptions → Request URL. The signing secret is under Basic Information.",
)
