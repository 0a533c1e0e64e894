"""Stripe events, stored unchanged: ``POST /ingest/stripe``."""

import marshmallow
import msgspec

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import Object, Text
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject, replace_lone_surrogates


class StripeSchema(EventSchema):
    """Required fields of a Stripe event; all other fields are accepted and kept."""

    class Meta:
        """Accept unknown fields."""

        unknown = marshmallow.EXCLUDE

    type = Text(required=True)
    data = Object(required=True)
    id = Text(load_default=None, allow_none=True, allow_empty=False, max_length=255)


class _Error(msgspec.Struct):
    message: str | None = None


class _Object(msgspec.Struct):
    last_payment_error: _Error | None = None
    failure_message: str | None = None


class _Data(msgspec.Struct):
    object: _Object


_schema = StripeSchema()
_read_data = msgspec.json.Decoder(_Data).decode


def to_event(body: JsonObject, metadata: EventMetadata) -> Event:
    """Build the event from its body, which becomes the payload unchanged.

    Raises InvalidEvent with all validation errors.
    """
    fields = _schema.read(body)
    failure = _failure_message(fields["data"])
    return metadata.event(
        kind="stripe",
        type=fields["type"],
        severity="ERROR" if _is_failure(fields["type"]) else "INFO",
        source="stripe",
        message=f"{fields['type']}: {failure}" if failure else fields["type"],
        payload=body.text,
    )


def _is_failure(stripe_type: str) -> bool:
    return stripe_type == "charge.failed" or stripe_type.endswith("payment_failed")


def _failure_message(data: bytes) -> str | None:
    """Return the failure message of a payment intent's last error or of a charge, if there is one."""
    try:
        failed = _read_data(replace_lone_surrogates(data)).object
    except msgspec.ValidationError:
        return None
    return (failed.last_payment_error and failed.last_payment_error.message) or failed.failure_message


KIND = EventKind(
    name="stripe",
    path="/ingest/stripe",
    schema=StripeSchema,
    build=to_event,
    label="Forward a Stripe event",
    operation="sendStripeEvent",
    component="StripeEvent",
    id_member="id",
    example={
        "id": "evt_1ABC...",
        "type": "payment_intent.payment_failed",
        "data": {
            "object": {
                "id": "pi_1ABC...",
                "amount": 2999,
                "currency": "usd",
                "last_payment_error": {"code": "card_declined"},
            }
        },
    },
)
