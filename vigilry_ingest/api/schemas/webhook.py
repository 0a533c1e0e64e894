"""``POST /ingest/webhook``: a third party's webhook, forwarded."""

from vigilry_ingest.api.schemas.fields import EventSchema, Object, Severity, Text
from vigilry_ingest.api.schemas.json_object import JsonObject
from vigilry_ingest.domain.event import Event, Receipt


class WebhookSchema(EventSchema):
    """The contract's table for ``/ingest/webhook``."""

    source = Text(required=True)
    event = Text(required=True)
    payload = Object(required=True)
    severity = Severity(load_default=None, allow_none=True)


_schema = WebhookSchema()


def to_event(body: JsonObject, receipt: Receipt) -> Event:
    """Make the event that a body describes: its type is the provider's event name.

    Raises InvalidEvent with every fault of the body.
    """
    fields = _schema.read(body)
    return receipt.event(
        kind="webhook",
        type=fields["event"],
        severity=fields["severity"] or "INFO",
        source=fields["source"],
        message=f"{fields['source']} {fields['event']}",
        payload=fields["payload"],
    )
