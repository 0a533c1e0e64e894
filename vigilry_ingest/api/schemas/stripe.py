"""``POST /ingest/stripe``: a Stripe event, kept whole."""

import marshmallow
import msgspec

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import Object, Text
from vigilry_ingest.domain.event import Event, EventMetadata
from vigilry_ingest.domain.event_kinds import EventKind
from vigilry_ingest.domain.json_object import JsonObject


class StripeSchema(EventSchema):
    """The contract's table for ``/ingest/stripe``; Stripe's other fields are kept, so none is unknown."""

    class Meta:
        """Let every other field of Stripe's pass."""

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
    """Make the event that a body describes: the payload is the whole of it.

    Raises InvalidEvent with every fault of the body.
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
    """Find what Stripe says of the failure: in a payment intent's last error, or on the charge itself."""
    try:
        failed = _read_data(data).object
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
