"""Standard Webhooks, and Svix' names of its headers.

By https://www.standardwebhooks.com (read in November 2026).
"""

import base64
import json
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vigilry_ingest.domain.lenient_json import read
from vigilry_ingest.webhooks.delivery import Delivery, Draft, Reading, Unverified
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac, base64_key

_PUBLIC_KEY = "whpk_"
_MAX_SIGNATURES = 16


def _hmac(names: str) -> Hmac:
    return Hmac(
        header=f"{names}-signature",
        separator=" ",
        label="v1,",
        signed="{id}.{timestamp}.",
        encoding="base64",
        id_header=f"{names}-id",
        timestamp_header=f"{names}-timestamp",
        key=base64_key,
    )


_BY_NAMES = {names: _hmac(names) for names in ("webhook", "svix")}


class StandardSignature:
    """The scheme of Standard Webhooks: HMAC-SHA256 (v1), or Ed25519 (v1a) for a public key."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Return if a delivery was signed with one of the secrets, at about this time."""
        names = names_of(delivery)
        shared = [secret for secret in secrets if not secret.startswith(_PUBLIC_KEY)]
        public = [secret for secret in secrets if secret.startswith(_PUBLIC_KEY)]
        try:
            _BY_NAMES[names].verify(delivery, shared, now)
        except Unverified as error:
            if error.reason != "wrong_signature" or not public:
                raise
            _verify_ed25519(delivery, names, public, now)

    def sign(self, draft: Draft, secret: str) -> Mapping[str, str]:
        """Return the headers that sign a delivery; only a shared secret can."""
        if secret.startswith(_PUBLIC_KEY):
            raise ValueError("A public key cannot sign an example: send one from the provider.")
        return _BY_NAMES["webhook"].sign(draft, secret)

    def check_secret(self, secret: str) -> None:
        """Return if a secret is whsec_ or whpk_ and base64."""
        if secret.startswith(_PUBLIC_KEY):
            try:
                _public_key(secret)
            except ValueError:
                raise ValueError("A public key is whpk_ and 32 bytes in base64.") from None
        elif not base64_key(secret):
            raise ValueError("The secret is whsec_ and base64.")


def names_of(delivery: Delivery) -> str:
    """Return how a delivery's headers begin."""
    return "svix" if delivery.header("webhook-id") is None and delivery.header("svix-id") else "webhook"


def _public_key(secret: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(
        base64.b64decode(secret.removeprefix(_PUBLIC_KEY), validate=True)
    )


def _verify_ed25519(delivery: Delivery, names: str, keys: Sequence[str], now: float) -> None:
    timestamp = delivery.required_header(f"{names}-timestamp")
    signed = f"{delivery.name(f'{names}-id')}.{timestamp}.".encode() + delivery.body
    signatures = delivery.required_header(f"{names}-signature").split(" ")[:_MAX_SIGNATURES]
    given = [each.removeprefix("v1a,") for each in signatures if each.startswith("v1a,")]
    if not any(_is_signed(key, signature, signed) for key in keys for signature in given):
        raise Unverified("wrong_signature")
    # The timestamp is digits, as the other form has checked.
    if abs(now - int(timestamp)) > _BY_NAMES[names].tolerance_s:
        raise Unverified("stale_timestamp")


def _is_signed(key: str, signature: str, signed: bytes) -> bool:
    try:
        _public_key(key).verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, ValueError):
        # ValueError for what is not base64.
        return False
    return True


class _Body(msgspec.Struct):
    type: str | None = None


def _read(delivery: Delivery, text: bytes) -> Reading:
    body = read(text, _Body, _Body())
    return Reading(body.type or "webhook", delivery.name(f"{names_of(delivery)}-id"))


def _example(_id: str, now: float) -> bytes:
    event = {"type": "contact.created", "timestamp": int(now), "data": {"id": "1f81eb52"}}
    return json.dumps(event).encode()


PROVIDER = Provider(
    name="standard",
    title="Standard Webhooks",
    scheme=StandardSignature(),
    read=_read,
    example=Example(body=_example, headers={"Content-Type": "application/json"}),
    where="Add an endpoint in the provider's webhook settings. Its secret begins with whsec_, or is a public "
    "key that begins with whpk_.",
)
