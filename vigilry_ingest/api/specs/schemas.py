"""JSON Schemas of requests, generated from the marshmallow schemas, and of responses."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import marshmallow
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import fields

from vigilry_ingest.api.problems import PROBLEM_TYPES
from vigilry_ingest.api.schemas.fields import (
    MAX_CORRELATIONS,
    MAX_NAME_LENGTH,
    SEVERITIES,
    Correlation,
    Object,
    Severity,
    StatusCode,
    Text,
)
from vigilry_ingest.api.schemas.json_object import MAX_MEMBERS
from vigilry_ingest.api.specs.examples import EVENT_ID, JOB_ID, REQUEST_ID
from vigilry_ingest.domain.event_kinds import DEFAULT_KIND, EventKind, event_kinds
from vigilry_ingest.stream.consuming.dead_letters import FailureClass

Json = dict[str, Any]

# Printable ASCII without a space at either end, where HTTP would strip it.
KEY = {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"}
JOB_ID_SCHEMA = {"type": "string", "pattern": "^bull-[0-9]{1,19}$", "examples": [JOB_ID]}


def add_schemas(spec: APISpec, plugin: MarshmallowPlugin) -> None:
    """Add all schemas to the components of a document."""
    plugin.converter.add_attribute_function(_properties)  # type: ignore[union-attr]  # made with the spec
    for kind in event_kinds().values():
        name = kind.component
        spec.components.schema(name, schema=kind.schema)
        schema = spec.components.schemas[name]
        schema["additionalProperties"] = kind.schema().unknown != marshmallow.RAISE
        if schema["additionalProperties"]:
            schema["maxProperties"] = MAX_MEMBERS
        schema["examples"] = [kind.example]
        if kind.is_posted:
            spec.components.schema(f"{name}Item", _item(schema, kind))
    for name, schema in _response_schemas().items():
        spec.components.schema(name, schema)


def _properties(_converter: Any, field: fields.Field[Any], **_options: Any) -> Mapping[str, Any]:
    """Return the JSON Schema keywords of an EventField."""
    schema: Json = {}
    if isinstance(field, Text):
        schema["type"] = "string"
        if not field.allow_empty:
            schema["minLength"] = 1
        if field.max_length is not None:
            schema["maxLength"] = field.max_length
    elif isinstance(field, Severity):
        schema = {"type": "string", "enum": list(SEVERITIES)}
    elif isinstance(field, Object):
        schema["type"] = "object"
        if isinstance(field, Correlation):
            schema["maxProperties"] = MAX_CORRELATIONS
            schema["propertyNames"] = {"maxLength": MAX_NAME_LENGTH}
    elif isinstance(field, StatusCode):
        schema = {"type": "integer", "minimum": 100, "maximum": 599}
    if field.allow_none:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _item(schema: Json, kind: EventKind) -> Json:
    """Return the schema of a kind's items in a batch: its own schema with the envelope fields."""
    item = deepcopy(schema)
    properties = item["properties"]
    envelope: Json = {
        "kind": {"type": "string", "const": kind.name},
        "idempotencyKey": KEY | {"type": ["string", "null"]},
    }
    if kind.name == DEFAULT_KIND:
        # Items without a kind are of this kind.
        envelope["kind"] = {"type": ["string", "null"], "enum": [kind.name, None]}
    else:
        item["required"] = ["kind", *item["required"]]
    item["properties"] = envelope | properties
    item["examples"] = [{"kind": kind.name} | kind.example]
    return item


def _object(required: list[str], **properties: Any) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def _response_schemas() -> dict[str, Json]:
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
        "Challenge": _object(["challenge"], challenge=text),
        "SentryAccepted": _object(
            [], id=text, errors={"type": "array", "items": {"$ref": "#/components/schemas/Fault"}}
        ),
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
            reason=text | {"examples": list(FailureClass)},
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
        "Health": _object(
            ["status"],
            status=text,
            checks={"type": "object", "additionalProperties": text},
            reasons={"type": "object", "additionalProperties": text},
        ),
        "Problem": _object(
            ["type", "title", "status", "detail", "instance", "code", "retryable", "requestId"],
            type=text,
            title=text,
            status={"type": "integer"},
            detail=text,
            instance=text,
            code=text
            | {
                "description": "The error code. New codes may be added: handle an unknown code by `status` "
                "and `retryable`.",
                "examples": list(PROBLEM_TYPES),
            },
            retryable={"type": "boolean"},
            requestId=text | {"examples": [REQUEST_ID]},
            errors={"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
            results={"type": "array", "items": {"$ref": "#/components/schemas/BatchResult"}},
        )
        | {"description": "An error response (RFC 9457); its `type` is the URL of a page that explains it."},
    }
