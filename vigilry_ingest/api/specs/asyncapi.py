"""``/asyncapi.json`` (AsyncAPI 3.0): the streams and their entries, for consumers."""

from functools import cache

import msgspec

from vigilry_ingest import __version__
from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.api.schemas.server_error import ServerErrorPayload
from vigilry_ingest.api.specs.examples import EVENT_ID, REQUEST_ID
from vigilry_ingest.api.specs.schemas import Json
from vigilry_ingest.api_keys.format import ENVIRONMENTS
from vigilry_ingest.domain.event import ENTRY_VERSION, Event, EventMetadata
from vigilry_ingest.domain.event_kinds import event_kinds

_SCHEMAS = "#/components/schemas"

_FIELDS: dict[str, Json] = {
    "id": {"description": "The event's id, the same in every delivery.", "examples": [EVENT_ID]},
    "project_id": {
        "description": "The project that the sender's API key belongs to.",
        "examples": ["proj_01M83ZA"],
    },
    "environment": {
        "description": "The environment of the sender's API key.",
        "enum": list(ENVIRONMENTS),
    },
    "kind": {
        "description": "The kind of event: the endpoint that it was sent to, or the `kind` of a batch item.",
    },
    "type": {"description": "What happened, as named by the sender."},
    "severity": {"description": "The severity of the event.", "enum": list(SEVERITIES)},
    "source": {"description": "The part of the sender's system that reported the event."},
    "message": {"description": "A human-readable message."},
    "correlation": {
        "description": "A JSON object, byte for byte as sent.",
        "contentMediaType": "application/json",
    },
    "payload": {
        "description": "A JSON object. For `event` and `webhook` it is byte for byte as sent. For `stripe` "
        "it is the entire body, and for `sentry` the "
        "event of the SDK, byte for byte, or in a batch an object of the item's members, each value as "
        "sent. For `server_error` the service builds it: see ServerErrorPayload.",
        "contentMediaType": "application/json",
    },
    "received_at": {
        "description": "When the service received the event: RFC 3339 in UTC, with milliseconds.",
        "format": "date-time",
    },
    "idempotency_key": {"description": "The sender's idempotency key, if it sent one."},
    "traceparent": {"description": "The W3C trace context to continue when processing the event."},
    "request_id": {"description": "The id of the request that sent the event.", "examples": [REQUEST_ID]},
}
# Fields of entries that were requeued from the dead letters or replayed from the event store.
_REQUEUED: dict[str, Json] = {
    "for_group": {"description": "The group that processes the entry; other groups only acknowledge it."},
    "first_entry": {"description": "The original id of the entry, which its jobId is derived from."},
}  # fmt: skip


@cache
def asyncapi() -> Json:
    """Return the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vigilry Ingest streams",
            "version": __version__,
            "license": {"name": "Apache-2.0"},
            "description": "Each accepted event is an entry in the Redis Stream of its project's partition, "
            "`crc32(project_id) % VIGILRY_STREAM_PARTITIONS`. Read it with your own consumer group. "
            "Delivery is at least once, and in order within a project.",
        },
        "defaultContentType": "application/x-redis-stream-entry",
        "servers": {
            "broker": {
                "host": "127.0.0.1:6379",
                "protocol": "redis",
                "description": "VIGILRY_REDIS_URL: Redis or Valkey, standalone, with Sentinel or a Cluster.",
            }
        },
        "channels": {
            "events": _channel("events", "Accepted events.", "event"),
            "dead": _channel("dead", "Events that a group could not process, with the reason.", "deadLetter"),
        },
        "operations": {
            "processEvents": {
                "action": "receive",
                "channel": {"$ref": "#/channels/events"},
                "summary": "XREADGROUP, process, XACK.",
                "messages": [{"$ref": "#/channels/events/messages/event"}],
            },
            "inspectDeadLetters": {
                "action": "receive",
                "channel": {"$ref": "#/channels/dead"},
                "summary": "XRANGE; `flask events dead` lists, retries and drops them.",
                "messages": [{"$ref": "#/channels/dead/messages/deadLetter"}],
            },
        },
        "components": {
            "messages": {
                "event": _message("An event", "Entry", {name: _example(name) for name in event_kinds()}),
                "deadLetter": _message(
                    "A dead letter", "DeadLetter", {"event": _dead_letter_fields() | _example("event")}
                ),
            },
            "schemas": {
                "Entry": _entry(),
                **_server_error_schemas(),
                "DeadLetter": {
                    "allOf": [
                        {"$ref": f"{_SCHEMAS}/Entry"},
                        {
                            "type": "object",
                            "required": list(_dead_letter_fields()),
                            "properties": {
                                name: {"type": "string", "examples": [value]}
                                for name, value in _dead_letter_fields().items()
                            },
                        },
                    ]
                },
            },
        },
    }


def _channel(name: str, description: str, message: str) -> Json:
    return {
        "address": f"vigilry:{{partition}}:{name}",
        # The braces are a hash tag, which keeps all keys of a partition on one cluster node.
        "description": f"{description} The key of partition 0 is `vigilry:{{0}}:{name}`, with the braces.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "parameters": {
            "partition": {
                "description": "The partition's number in braces, from 0 to VIGILRY_STREAM_PARTITIONS - 1.",
                "default": "{0}",
                "examples": ["{0}", "{7}"],
            }
        },
    }


def _message(title: str, schema: str, examples: dict[str, Json]) -> Json:
    return {
        "title": title,
        "summary": "The entry's fields and values, all strings.",
        "payload": {"$ref": f"{_SCHEMAS}/{schema}"},
        "examples": [{"name": name, "payload": example} for name, example in examples.items()],
    }


def _entry() -> Json:
    fields = msgspec.structs.fields(Event)
    properties: Json = {
        "v": {"type": "string", "const": ENTRY_VERSION, "description": "The version of the entry format."}
    }
    properties |= {field.name: {"type": "string"} | _FIELDS[field.name] for field in fields}
    properties["kind"]["enum"] = list(event_kinds())
    properties |= {name: {"type": "string"} | described for name, described in _REQUEUED.items()}
    required = ["v", *(field.name for field in fields if field.required)]
    return {"type": "object", "required": required, "properties": properties}


def _server_error_schemas() -> Json:
    _, schemas = msgspec.json.schema_components([ServerErrorPayload], ref_template=_SCHEMAS + "/{name}")
    return schemas


def _example(kind: str) -> dict[str, str]:
    """Return the stream entry of a kind's example, built as for a request."""
    event_kind = event_kinds()[kind]
    metadata = EventMetadata(
        id=EVENT_ID,
        project_id="proj_01M83ZA4Y1VJ7G0M8WQ0D6ZK3N",
        environment="production",
        received_at="2026-11-23T10:30:37.632Z",
        request_id=REQUEST_ID,
        idempotency_key=None if event_kind.is_posted else event_kind.example[event_kind.id_member or ""],
    )
    event = event_kind.build(parse_object(msgspec.json.encode(event_kind.example)), metadata)
    texts = [text if isinstance(text, str) else text.decode() for text in event.to_entry()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _dead_letter_fields() -> dict[str, str]:
    return {
        "dead_group": "store",
        "dead_entry": "1795429837634-0",
        "dead_reason": "ValueError: no such order",
        "dead_deliveries": "5",
        "dead_at": "2026-11-23T10:31:37.632Z",
        "dead_class": "handler_failed",
    }
