"""The JSON Schemas: what is taken, from the marshmallow schemas, and what is answered."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from vigilry_ingest.api.problems import PROBLEM_TYPES
from vigilry_ingest.api.schemas.fields import SEVERITIES, Object, Severity, StatusCode, Text
from vigilry_ingest.api.specs.examples import EVENT_ID, JOB_ID, REQUEST_ID
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, EventKind, event_kinds

Json = dict[str, Any]

# What an Idempotency-Key may be: printable ASCII, and no blank at an end, where HTTP would take it off.
KEY = {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"}
JOB_ID_SCHEMA = {"type": "string", "pattern": "^bull-[0-9]{1,19}$", "examples": [JOB_ID]}


def add_schemas(spec: APISpec, plugin: MarshmallowPlugin) -> None:
    """Add every schema to the components of a document."""
    plugin.converter.add_attribute_function(_properties)  # type: ignore[union-attr]  # made with the spec
    for kind in event_kinds().values():
        name = kind.component
        spec.components.schema(name, schema=kind.schema)
        made = spec.components.schemas[name]
        made["additionalProperties"] = kind.schema().unknown != marshmallow.RAISE
        made["examples"] = [kind.example]
        spec.components.schema(f"{name}Item", _item(made, kind))
    for name, made in _answers().items():
        spec.components.schema(name, made)


def _properties(_converter: Any, field: fields.Field[Any], **_options: Any) -> Mapping[str, Any]:
    """Describe one of our own fields."""
    made: Json = {}
    if isinstance(field, Text):
        made["type"] = "string"
        if not field.allow_empty:
            made["minLength"] = 1
        if field.max_length is not None:
            made["maxLength"] = field.max_length
    elif isinstance(field, Severity):
        made = {"type": "string", "enum": list(SEVERITIES)}
    elif isinstance(field, Object):
        made["type"] = "object"
    elif isinstance(field, StatusCode):
        made = {"type": "integer", "minimum": 100, "maximum": 599}
    if field.allow_none:
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def _item(schema: Json, kind: EventKind) -> Json:
    """Put a kind's schema into the envelope that it has in a batch."""
    item = deepcopy(schema)
    properties = item["properties"]
    envelope: Json = {
        "kind": {"type": "string", "const": kind.name},
        "idempotencyKey": KEY | {"type": ["string", "null"]},
    }
    if kind.name == DEFAULT_KIND:
        # It is what an item is that does not say.
        envelope["kind"] = {"type": ["string", "null"], "enum": [kind.name, None]}
    else:
        item["required"] = ["kind", *item["required"]]
    item["properties"] = envelope | properties
    item["examples"] = [{"kind": kind.name} | kind.example]
    return item


def _object(required: list[str], **properties: Any) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def _answers() -> dict[str, Json]:
    text: Json = {"type": "string"}
    moment = {"type": "string", "format": "date-time"}
    fault = _object(["pointer", "code", "detail"], pointer=text, code=text, detail=text)
    kind = {"type": "string", "enum": list(event_kinds())}
    status = {"type": "string", "enum": ["queued", "processing", "processed", "dead"]}
    return {
        "Accepted": _object(
            ["jobId", "status"], jobId=JOB_ID_SCHEMA, status={"type": "string", "const": "queued"}
        )
        | {"examples": [{"jobId": JOB_ID, "status": "queued"}]},
        "Fault": fault,
        "BatchResult": _object(
            ["index", "status"],
            index={"type": "integer", "minimum": 0},
            status={"type": "string", "enum": ["queued", "rejected"]},
            jobId=JOB_ID_SCHEMA,
            idempotentReplayed={"type": "boolean"},
            code=text,
            errors={"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        ),
        "BatchAccepted": _object(
            ["accepted", "rejected", "results"],
            accepted={"type": "integer", "minimum": 1},
            rejected={"type": "integer", "minimum": 0},
            results={"type": "array", "items": {"$ref": "#/components/schemas/BatchResult"}},
        ),
        "Job": _object(
            ["jobId", "status", "eventId", "kind", "type", "receivedAt"],
            jobId=JOB_ID_SCHEMA,
            status=status,
            eventId=text,
            kind=kind,
            type=text,
            receivedAt=moment,
            processedAt=moment,
            attempts={"type": "integer", "minimum": 1},
            reason=text,
        )
        | {
            "examples": [
                {
                    "jobId": JOB_ID,
                    "status": "processed",
                    "eventId": EVENT_ID,
                    "kind": "event",
                    "type": "hello",
                    "receivedAt": "2026-11-23T10:30:37.632Z",
                    "processedAt": "2026-11-23T10:30:37.635Z",
                }
            ]
        },
        "Health": _object(["status"], status=text, checks={"type": "object", "additionalProperties": text}),
        "Problem": _object(
            ["type", "title", "status", "detail", "instance", "code", "retryable", "requestId"],
            type=text,
            title=text,
            status={"type": "integer"},
            detail=text,
            instance=text,
            code=text
            | {
                "description": "The refusal's word. New ones may come: treat one that you do not know by "
                "`status` and `retryable`.",
                "examples": list(PROBLEM_TYPES),
            },
            retryable={"type": "boolean"},
            requestId=text | {"examples": [REQUEST_ID]},
            errors={"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
            results={"type": "array", "items": {"$ref": "#/components/schemas/BatchResult"}},
        )
        | {"description": "A refusal (RFC 9457); its `type` is the address of a page that explains it."},
    }
