"""JSON Schemas of the admin API, from its marshmallow schemas and its records."""

from typing import Any

import msgspec
from marshmallow import fields

from vigilry_ingest.administration.admin_schema import AdminSchema
from vigilry_ingest.administration.records import (
    AuditRecord,
    AuditVerification,
    ErasedEvents,
    KeyRecord,
    ListedProject,
    MintedKey,
    ProjectRecord,
    ReencryptedSecrets,
    RotatedKey,
    SourceRecord,
)
from vigilry_ingest.administration.request_fields import (
    MAX_NAME_LENGTH,
    Choice,
    Choices,
    Flag,
    Moment,
    Name,
    Names,
    Nested,
    Number,
    Origins,
    Severities,
    Text,
)
from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import SEVERITIES

Json = dict[str, Any]

_RECORDS = (
    ListedProject, ProjectRecord, KeyRecord, MintedKey, RotatedKey, SourceRecord, AuditRecord,
    AuditVerification, ErasedEvents, ReencryptedSecrets,
)  # fmt: skip
_LISTED = (ListedProject, KeyRecord, SourceRecord, AuditRecord)
_TEMPLATE = "#/components/schemas/{name}"


def reference(name: str) -> Json:
    """Return a reference to a schema of the components."""
    return {"$ref": _TEMPLATE.format(name=name)}


def record_schemas() -> dict[str, Json]:
    """Return the schemas of all records, and of the pages of those that are listed."""
    _, schemas = msgspec.json.schema_components(_RECORDS, ref_template=_TEMPLATE)
    pages = {f"{record.__name__}Page": _page_of(record.__name__) for record in _LISTED}
    return dict(schemas) | pages


def body_schema(schema: type[EventSchema]) -> Json:
    """Return the schema of a request body."""
    members = {field.data_key or name: field for name, field in schema().load_fields.items()}
    required = [name for name, field in members.items() if field.required]
    body: Json = {"type": "object", "properties": {name: _value(field) for name, field in members.items()}}
    return body | ({"required": required} if required else {}) | {"additionalProperties": False}


def query_parameters(schema: type[AdminSchema]) -> list[Json]:
    """Return the parameters of a query."""
    return [
        {"name": name, "in": "query", "required": field.required, "schema": _value(field)}
        for name, field in schema().load_fields.items()
    ]


def _page_of(name: str) -> Json:
    members = {
        "items": {"type": "array", "items": reference(name)},
        "next": {
            "type": ["string", "null"],
            "description": "What the next request has as `after`; null at the end.",
        },
    }
    return {"type": "object", "required": list(members), "properties": members}


def _value(field: fields.Field[Any]) -> Json:
    schema = _schema_of(field)
    if (field.allow_none and field.load_default is not None) or (field.allow_none and not field.required):
        schema["type"] = [schema["type"], "null"]
    return schema


def _schema_of(field: fields.Field[Any]) -> Json:
    match field:
        case Name():
            return {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH}
        case Text():
            return {"type": "string", "maxLength": field.max_length}
        case Number():
            kind = "integer" if field.is_whole else "number"
            return {"type": kind, "minimum": field.low, "maximum": field.high}
        case Flag():
            return {"type": "boolean"}
        case Choice():
            return {"type": "string", "enum": list(field.choices)}
        case Choices():
            items = {"type": "string", "enum": list(field.choices)}
            return _array(items) | ({} if field.may_be_empty else {"minItems": 1})
        case Names():
            return _array({"type": "string", "minLength": 1, "maxLength": 60})
        case Origins():
            return _array({"type": "string", "examples": ["https://shop.example"]})
        case Severities():
            return _members_of({"type": "string", "enum": list(SEVERITIES)})
        case Nested():
            return body_schema(field.schema)
        case Moment():
            return {"type": "string", "format": "date-time"}
    raise TypeError(type(field))


def _array(items: Json) -> Json:
    return {"type": "array", "items": items, "maxItems": 100}


def _members_of(value: Json) -> Json:
    return {"type": "object", "additionalProperties": value, "maxProperties": 100}
