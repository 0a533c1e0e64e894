"""Twilio's webhooks, by https://www.twilio.com/docs/usage/webhooks/webhooks-security (read in November 2026).

Twilio signs the URL, so VIGILRY_PUBLIC_URL must be the origin that is set there.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import msgspec

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Draft, Reading, Unverified
from vigilry_ingest.webhooks.forms import CONTENT_TYPE, InvalidForm, parse_form
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import comparable, matches_any
from vigilry_ingest.webhooks.tokens import Token

_HEADER = "X-Twilio-Signature"
_BODY_DIGEST = "bodySHA256"


class _UrlSignature:
    """HMAC-SHA1 of the URL and the sorted fields of a form, or of a URL that has the digest of the body."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:  # noqa: ARG002  a scheme's
        """Return if a delivery was signed with one of the secrets."""
        given = delivery.required_header(_HEADER)
        query = str(delivery.environ.get("QUERY_STRING") or "")
        url = f"{delivery.url}?{query}" if query else delivery.url
        is_form = (delivery.header("Content-Type") or "").startswith(CONTENT_TYPE)
        digest = dict(parse_qsl(query)).get(_BODY_DIGEST)
        if not is_form:
            expected_digest = hashlib.sha256(delivery.body).hexdigest()
            if digest is None or not hmac.compare_digest(digest.encode(), expected_digest.encode()):
                raise Unverified("wrong_signature")
        signed = url + _sorted_fields(delivery.body) if is_form else url
        expected = [_sign(secret, signed) for secret in secrets]
        if not matches_any([comparable(given)], expected):
            raise Unverified("wrong_signature")

    def sign(self, draft: Draft, secret: str) -> dict[str, str]:
        """Return the header that signs a form."""
        return {_HEADER: _sign(secret, draft.url + _sorted_fields(draft.body)).decode()}

    def check_secret(self, secret: str) -> None:
        """Return if a secret may be an auth token."""
        Token(header=_HEADER).check_secret(secret)


def _sorted_fields(body: bytes) -> str:
    try:
        fields = parse_form(body)
    except InvalidForm:
        raise Unverified("malformed_body") from None
    # Twilio's libraries sign a repeated value of a field once.
    return "".join(name + value for name, value in sorted(set(fields)))


def _sign(secret: str, signed: str) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), comparable(signed), "sha1"))


class _Body(msgspec.Struct):
    status: str | None = msgspec.field(default=None, name="MessageStatus")
    call_status: str | None = msgspec.field(default=None, name="CallStatus")
    sms_status: str | None = msgspec.field(default=None, name="SmsStatus")
    message_sid: str | None = msgspec.field(default=None, name="MessageSid")
    call_sid: str | None = msgspec.field(default=None, name="CallSid")
    error_code: str | None = msgspec.field(default=None, name="ErrorCode")


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    if body.call_status:
        event = f"call.{body.call_status}"
    elif status := body.status or body.sms_status:
        event = f"message.{status}"
    else:
        event = "webhook"
    sid = body.call_sid or body.message_sid
    return Reading(
        event,
        delivery.optional_name("I-Twilio-Idempotency-Token"),
        subject=sid,
        severity="WARN" if body.error_code or event.endswith((".failed", ".undelivered")) else "INFO",
        correlation={} if sid is None else {"sid": sid},
    )


PROVIDER = Provider(
    name="twilio",
    title="Twilio",
    scheme=_UrlSignature(),
    read=_read,
    example=Example(
        body=lambda id_, _now: urlencode({"MessageSid": f"SM{id_}", "MessageStatus": "delivered"}).encode(),
        headers={"Content-Type": CONTENT_TYPE, "I-Twilio-Idempotency-Token": "{id}"},
    ),
    where="The webhook or status callback of a number, a service or a request. The secret is the account's "
    "auth token.",
)
