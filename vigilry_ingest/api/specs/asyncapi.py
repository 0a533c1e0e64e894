"""``/asyncapi.json``: what a consumer of the streams finds there (AsyncAPI 3.0)."""

from functools import cache

import msgspec

from vigilry_ingest import __version__
from vigilry_ingest.api.schemas.batch import read_item
from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.api.schemas.server_error import ServerErrorPayload
from vigilry_ingest.api.specs.examples import EVENT_ID, REQUEST_ID
from vigilry_ingest.api.specs.schemas import Json
from vigilry_ingest.api_keys.format import ENVIRONMENTS
from vigilry_ingest.domain.event import ENTRY_VERSION, Event, EventMetadata
from vigilry_ingest.domain.event_kinds import event_kinds

_SCHEMAS = "#/components/schemas"

_FIELDS: dict[str, Json] = {
    "id": {"description": "The event's own id: the same whenever it is delivered.", "examples": [EVENT_ID]},
    "project_id": {"description": "The project, as the sender's key says.", "examples": ["proj_01M83ZA"]},
    "environment": {
        "description": "The key's.",
        "enum": list(ENVIRONMENTS),
    },
    "kind": {
        "description": "Which endpoint is for it; as an item of a batch it says so itself.",
    },
    "type": {"description": "What happened, in the sender's words."},
    "severity": {"description": "How bad it is.", "enum": list(SEVERITIES)},
    "source": {"description": "Which part of the sender's system says so."},
    "message": {"description": "For people."},
    "correlation": {
        "description": "A JSON object, byte for byte as it was sent.",
        "contentMediaType": "application/json",
    },
    "payload": {
        "description": "A JSON object: of `event` and `webhook` byte for byte as it was sent; of `stripe` "
        "the whole body, also byte for byte, or in a batch the item's members joined anew, each value as it "
        "was sent; of `server_error` made by the service, see ServerErrorPayload.",
        "contentMediaType": "application/json",
    },
    "received_at": {"description": "RFC 3339, in UTC, with milliseconds.", "format": "date-time"},
    "idempotency_key": {"description": "The sender's, where it sent one."},
    "traceparent": {"description": "The W3C trace context that the processing belongs to."},
    "request_id": {"description": "Of the request that brought it.", "examples": [REQUEST_ID]},
}
# Of an entry that was put on the stream again.
_AGAIN: dict[str, Json] = {
    "for_group": {"description": "Only this group is meant: any other acknowledges it and passes it over."},
    "first_entry": {"description": "The entry's first id, which its jobId is made of."},
}  # fmt: skip


@cache
def asyncapi() -> Json:
    """Make the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Vigilry Ingest streams",
            "version": __version__,
            "license": {"name": "Apache-2.0"},
            "description": "Each accepted event is an entry of the Redis Stream of its project's partition, "
            "`crc32(project_id) % VIGILRY_STREAM_PARTITIONS`. Read it with a consumer group of your own; "
            "delivery is at least once, in order within a project.",
        },
        "defaultContentType": "application/x-redis-stream-entry",
        "servers": {
            "broker": {
                "host": "127.0.0.1:6379",
                "protocol": "redis",
                "description": "VIGILRY_REDIS_URL: Redis or Valkey, alone, with Sentinel, or as a Cluster.",
            }
        },
        "channels": {
            "events": _channel("events", "The events that were accepted.", "event"),
            "dead": _channel("dead", "What a group could not process, and why.", "deadLetter"),
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
                "deadLetter": _message("A dead letter", "DeadLetter", {"event": _dead() | _example("event")}),
            },
            "schemas": {
                "Entry": _entry(),
                **_server_error_schemas(),
                "DeadLetter": {
                    "allOf": [
                        {"$ref": f"{_SCHEMAS}/Entry"},
                        {
                            "type": "object",
                            "required": list(_dead()),
                            "properties": {
                                name: {"type": "string", "examples": [value]}
                                for name, value in _dead().items()
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
        # The braces make a Redis Cluster keep all keys of a partition together.
        "description": f"{description} The key of partition 0 is `vigilry:{{0}}:{name}`, with the braces.",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "parameters": {
            "partition": {
                "description": "0 to VIGILRY_STREAM_PARTITIONS - 1, in braces.",
                "default": "{0}",
                "examples": ["{0}", "{7}"],
            }
        },
    }


def _message(title: str, schema: str, examples: dict[str, Json]) -> Json:
    return {
        "title": title,
        "summary": "Names and values of the entry, each a string.",
        "payload": {"$ref": f"{_SCHEMAS}/{schema}"},
        "examples": [{"name": name, "payload": example} for name, example in examples.items()],
    }


def _entry() -> Json:
    fields = msgspec.structs.fields(Event)
    properties: Json = {
        "v": {"type": "string", "const": ENTRY_VERSION, "description": "The version of this form."}
    }
    properties |= {field.name: {"type": "string"} | _FIELDS[field.name] for field in fields}
    properties["kind"]["enum"] = list(event_kinds())
    properties |= {name: {"type": "string"} | described for name, described in _AGAIN.items()}
    required = ["v", *(field.name for field in fields if field.required)]
    return {"type": "object", "required": required, "properties": properties}


def _server_error_schemas() -> Json:
    _, made = msgspec.json.schema_components([ServerErrorPayload], ref_template=_SCHEMAS + "/{name}")
    return made


def _example(kind: str) -> dict[str, str]:
    """Make the entry of the contract's example, as the service makes it."""
    metadata = EventMetadata(
        id=EVENT_ID,
        project_id="proj_01M83ZA4Y1VJ7G0M8WQ0D6ZK3N",
        environment="production",
        received_at="2026-11-23T10:30:37.632Z",
        request_id=REQUEST_ID,
    )
    item = read_item(msgspec.json.encode({"kind": kind} | event_kinds()[kind].example))
    texts = [text if isinstance(text, str) else text.decode() for text in item.to_event(metadata).to_entry()]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _dead() -> dict[str, str]:
    return {
        "dead_group": "store",
        "dead_entry": "1795429837634-0",
        "dead_reason": "ValueError: no such order",
        "dead_deliveries": "5",
        "dead_at": "2026-11-23T10:31:37.632Z",
    }
