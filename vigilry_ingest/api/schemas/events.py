"""``POST /ingest/events``: a custom event, as sent."""

from vigilry_ingest.api.schemas.fields import EventSchema, Object, Severity, Text
from vigilry_ingest.api.schemas.json_object import JsonObject
from vigilry_ingest.domain.event import Event, Receipt


class CustomEventSchema(EventSchema):
    """The contract's table for ``/ingest/events``."""

    type = Text(required=True)
    severity = Severity(required=True)
    message = Text(required=True)
    source = Text(load_default=None, allow_none=True)
    correlation = Object(load_default=None, allow_none=True)
    payload = Object(load_default=None, allow_none=True)


_schema = CustomEventSchema()


def to_event(body: JsonObject, receipt: Receipt) -> Event:
    """Make the event that a body describes.

    Raises InvalidEvent with every fault of the body.
    """
    return receipt.event(kind="event", **_schema.read(body))
