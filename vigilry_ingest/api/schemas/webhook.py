"""Forwarded third-party webhooks: ``POST /ingest/webhook``."""

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import Object, Severity, Text
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject


class WebhookSchema(EventSchema):
    """Fields of a forwarded webhook."""

    source = Text(required=True)
    event = Text(required=True)
    payload = Object(required=True)
    severity = Severity(load_default=None, allow_none=True)


_schema = WebhookSchema()


def to_event(body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event from its body; its type is the name that the provider gave the event.

    Raises InvalidEvent with all validation errors.
    """
    fields = _schema.read(body)
    return metadata.event(
        kind="webhook",
        type=fields["event"],
        severity=fields["severity"] or "INFO",
        source=fields["source"],
        message=f"{fields['source']} {fields['event']}",
        payload=fields["payload"],
    )


KIND = EventKind(
    name="webhook",
    path="/ingest/webhook",
    schema=WebhookSchema,
    build=to_event,
    label="Forward a webhook",
    operation="sendWebhook",
    component="Webhook",
    example={
        "source": "github",
        "event": "push",
        "severity": "INFO",
        "payload": {"ref": "refs/heads/main", "pusher": {"name": "alice"}},
    },
)
