"""Events of Sentry's SDKs, whose payload is stored as sent: ``/api/<digits>/envelope/`` and ``/store/``.

https://develop.sentry.dev/sdk/foundations/transport/event-payloads/
"""

import marshmallow
import msgspec
from marshmallow import fields

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.json_object import MalformedJson
from vigilry_ingest.api.schemas.sentry_correlation import Attributes, correlation_of
from vigilry_ingest.api.schemas.sentry_exceptions import last_exception
from vigilry_ingest.api.schemas.sentry_values import text_of
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject, replace_lone_surrogates
from vigilry_ingest.domain.lenient_json import ABSENT, read

SENTRY_RULE = "/api/<digits:project>/<any(envelope, store):form>/"
"""The URL rule of the endpoints; werkzeug's converter ``digits`` is defined beside the view."""

_SEVERITIES = {
    "fatal": "CRITICAL",
    "critical": "CRITICAL",
    "error": "ERROR",
    "warning": "WARN",
    "info": "INFO",
    "log": "INFO",
    "debug": "INFO",
}


class SentrySchema(EventSchema):
    """The members of an event that are read; all are optional, and all others are kept too."""

    class Meta:
        """Accept unknown fields."""

        unknown = marshmallow.EXCLUDE

    event_id = fields.Raw(metadata={"description": "32 hexadecimal digits; a repeat is stored once."})
    level = fields.Raw(metadata={"description": "fatal, error, warning, info or debug."})
    exception = fields.Raw(metadata={"description": "The exceptions, of which the last is the outermost."})
    logentry = fields.Raw(metadata={"description": "A message with its parameters."})
    message = fields.Raw(metadata={"description": "A message."})
    server_name = fields.Raw(metadata={"description": "The source of the event."})
    tags = fields.Raw(metadata={"description": "An object, or a list of pairs."})


class _LogEntry(msgspec.Struct):
    formatted: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT


class _Named(msgspec.Struct):
    name: msgspec.Raw = ABSENT


class Body(msgspec.Struct):
    """The members of an item that are read, as JSON."""

    event_id: msgspec.Raw = ABSENT
    level: msgspec.Raw = ABSENT
    exception: msgspec.Raw = ABSENT
    logentry: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT
    server_name: msgspec.Raw = ABSENT
    sdk: msgspec.Raw = ABSENT
    user: msgspec.Raw = ABSENT
    release: msgspec.Raw = ABSENT
    environment: msgspec.Raw = ABSENT
    transaction: msgspec.Raw = ABSENT
    contexts: msgspec.Raw = ABSENT
    tags: msgspec.Raw = ABSENT


_decode_body = msgspec.json.Decoder(Body).decode


def to_event(body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event of an item ``event``, whose text becomes the payload unchanged.

    Raises MalformedJson, and InvalidEvent for too many exceptions.
    """
    return event_of(decode_body(body), body, metadata)


def event_of(members: Body, body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event of the decoded members of an item.

    Raises InvalidEvent for too many exceptions.
    """
    exception = last_exception(members.exception)
    type_ = text_of(exception.type) if exception else ""
    message = (text_of(exception.value) if exception else "") or _message(members)
    return entry_of(
        members,
        body,
        metadata,
        type=type_ or "message",
        severity=severity_of(members, default="ERROR" if exception else "INFO"),
        message=message or type_ or "(no message)",
    )


def decode_body(body: JsonObject) -> Body:
    """Return the members of an item that are read, as JSON.

    Raises MalformedJson.
    """
    try:
        return _decode_body(replace_lone_surrogates(body.text))
    except msgspec.DecodeError as error:
        raise MalformedJson(f"{error}.") from error


def severity_of(members: Body, *, default: str) -> str:
    """Return the severity of a level."""
    return _SEVERITIES.get(text_of(members.level).lower(), default)


def entry_of(
    members: Body, body: JsonObject, metadata: EventMetadata, *, type: str, severity: str, message: str
) -> Event:
    """Build an event with the source, correlation and payload of an item."""
    return metadata.event(
        kind=KIND.name,
        type=type,
        severity=severity,
        message=message,
        source=text_of(members.server_name) or text_of(read(members.sdk, _Named, _Named()).name) or None,
        correlation=correlation_of(
            Attributes(
                user=members.user,
                release=members.release,
                environment=members.environment,
                transaction=members.transaction,
                contexts=members.contexts,
                tags=members.tags,
            )
        ),
        payload=body.text,
    )


def _message(members: Body) -> str:
    entry = read(members.logentry, _LogEntry, _LogEntry())
    # Old SDKs send the message as a log entry.
    message = read(members.message, _LogEntry, _LogEntry())
    return (
        text_of(entry.formatted)
        or text_of(message.formatted)
        or text_of(message.message)
        or text_of(members.message)
        or text_of(entry.message)
    )


KIND = EventKind(
    name="sentry",
    path=SENTRY_RULE,
    schema=SentrySchema,
    build=to_event,
    label="Send an event of a Sentry SDK",
    operation="sendSentryEvent",
    component="SentryEvent",
    id_member="event_id",
    is_posted=False,
    example={
        "event_id": "9ec79c33ec9942ab8353589fcb2e04dc",
        "level": "error",
        "exception": {
            "values": [
                {
                    "type": "ZeroDivisionError",
                    "value": "division by zero",
                    "stacktrace": {
                        "frames": [{"filename": "shop.py", "function": "pay", "lineno": 42, "in_app": True}]
                    },
                }
            ]
        },
        "server_name": "web-1",
        "release": "shop@1.4.2",
        "user": {"id": "usr_99"},
        "tags": {"order_id": "ord_4421"},
    },
)
