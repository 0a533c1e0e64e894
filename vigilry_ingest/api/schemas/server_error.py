"""Unhandled server errors, with a parsed stack trace: ``POST /ingest/server-error``."""

import msgspec

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import Correlation, StatusCode, Text
from vigilry_ingest.api.schemas.stack import ParsedException, parse_stack
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject


class ServerErrorSchema(EventSchema):
    """Fields of a server error."""

    status_code = StatusCode(required=True)
    path = Text(required=True)
    method = Text(required=True)
    error_message = Text(required=True)
    stack = Text(load_default=None, allow_none=True)
    correlation = Correlation(load_default=None, allow_none=True)


class ServerErrorPayload(msgspec.Struct, omit_defaults=True):
    """Payload of a server error: the reported fields, and the exception parsed from the stack."""

    status_code: int
    method: str
    path: str
    stack: str | None = None
    exception: ParsedException | None = None


_schema = ServerErrorSchema()


def to_event(body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event from its body; the payload keeps the raw stack, parsed or not.

    Raises InvalidEvent with all validation errors.
    """
    fields = _schema.read(body)
    stack = fields["stack"]
    payload = ServerErrorPayload(
        status_code=fields["status_code"],
        method=fields["method"],
        path=fields["path"],
        stack=stack,
        exception=parse_stack(stack) if stack else None,
    )
    return metadata.event(
        kind="server_error",
        type="server_error",
        severity="ERROR",
        message=fields["error_message"],
        correlation=fields["correlation"],
        payload=msgspec.json.encode(payload),
    )


KIND = EventKind(
    name="server_error",
    path="/ingest/server-error",
    schema=ServerErrorSchema,
    build=to_event,
    label="Report an unhandled error",
    operation="sendServerError",
    component="ServerError",
    example={
        "status_code": 500,
        "path": "/api/orders",
        "method": "POST",
        "error_message": "Cannot read properties of undefined",
        "stack": "TypeError: Cannot read properties of undefined\n  at processOrder (/app/orders.js:42:15)",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
    },
)
