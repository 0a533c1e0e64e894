"""The items of Sentry envelopes that can be stored: events, and others if the operator wants them."""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas import sentry
from vigilry_ingest.api.schemas.json_object import MemberBudget, parse_enveloped
from vigilry_ingest.api.schemas.sentry_values import text_of
from vigilry_ingest.config.parsers import SENTRY_ITEMS
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.json_object import JsonObject, replace_lone_surrogates
from vigilry_ingest.domain.lenient_json import ABSENT, read

EVENT = "event"
OTHER_ITEMS = (
    "attachment", "form_data", "nel", "profile_chunk", "raw_security", "replay_event", "replay_recording",
    "replay_video", "security", "statsd",
)  # fmt: skip
"""The types of items that are counted only: many are not JSON."""

KNOWN_ITEMS = frozenset({EVENT, *SENTRY_ITEMS, *OTHER_ITEMS})

# Items whose own id identifies them; a session or a check-in is sent again when it changes.
_IDENTIFIED = frozenset({EVENT, "transaction", "feedback", "profile"})
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_MAX_ID_LENGTH = 36


class BuiltItem(NamedTuple):
    """The event of an item, the item's type, and the id under which it is stored once, if it has one."""

    type: str
    event: Event
    own_id: str | None


class _Feedback(msgspec.Struct):
    message: msgspec.Raw = ABSENT


class _Contexts(msgspec.Struct):
    feedback: msgspec.Raw = ABSENT


class _Report(msgspec.Struct):
    comments: msgspec.Raw = ABSENT
    monitor_slug: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT
    contexts: msgspec.Raw = ABSENT
    transaction: msgspec.Raw = ABSENT


def build_item(
    type_: str,
    text: bytes,
    budget: MemberBudget,
    header_id: str | None,
    new_metadata: Callable[[str | None], EventMetadata],
) -> BuiltItem:
    """Build the event of an item; ``header_id`` is the id of the envelope.

    Raises MalformedJson and InvalidEvent.
    """
    _, body = parse_enveloped(text, (), budget)
    members = sentry.decode_body(body)
    own_id = None
    if type_ in _IDENTIFIED:
        own_id = normalized_id(text_of(members.event_id)) or header_id
    metadata = new_metadata(own_id)
    if type_ == EVENT:
        event = sentry.event_of(members, body, metadata)
    else:
        event = _other_event(type_, members, body, metadata)
    return BuiltItem(type_, event, own_id)


def normalized_id(text: str) -> str | None:
    """Return an event id as 32 hexadecimal digits, or None if it is not one."""
    if len(text) > _MAX_ID_LENGTH:
        return None
    digits = text.replace("-", "").lower()
    return digits if _EVENT_ID.fullmatch(digits) else None


def _other_event(type_: str, members: sentry.Body, body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event of an item that is no event itself, with the item's type."""
    report = read(msgspec.Raw(replace_lone_surrogates(body.text)), _Report, _Report())
    is_failure = text_of(report.status) in ("error", "crashed", "abnormal", "missed", "timeout")
    return sentry.entry_of(
        members,
        body,
        metadata,
        type=type_,
        severity=sentry.severity_of(members, default="ERROR" if is_failure else "INFO"),
        message=_message(report) or type_,
    )


def _message(report: _Report) -> str:
    feedback = read(read(report.contexts, _Contexts, _Contexts()).feedback, _Feedback, _Feedback())
    slug = " ".join(filter(None, [text_of(report.monitor_slug), text_of(report.status)]))
    return text_of(feedback.message) or text_of(report.comments) or slug or text_of(report.transaction)
