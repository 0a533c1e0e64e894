"""Custom events: ``POST /ingest/events``."""

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import Correlation, Object, Severity, Text
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject


class CustomEventSchema(EventSchema):
    """Fields of a custom event."""

    type = Text(required=True)
    severity = Severity(required=True)
    message = Text(required=True)
    source = Text(load_default=None, allow_none=True)
    correlation = Correlation(load_default=None, allow_none=True)
    payload = Object(load_default=None, allow_none=True)


_schema = CustomEventSchema()


def to_event(body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event from its body.

    Raises InvalidEvent with all validation errors.
    """
    return metadata.event(kind="event", **_schema.read(body))


KIND = EventKind(
    name="event",
    path="/ingest/events",
    schema=CustomEventSchema,
    build=to_event,
    label="Send an event",
    operation="sendEvent",
    component="Event",
    example={
        "type": "checkout_failed",
        "severity": "ERROR",
        "message": "Payment gateway returned 402",
        "source": "checkout-service",
        "correlation": {"user_id": "usr_99", "order_id": "ord_4421"},
        "payload": {"gateway": "stripe", "code": "card_declined"},
    },
)
