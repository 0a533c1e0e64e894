"""Schemes by which providers sign their deliveries."""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vigilry_ingest.webhooks.delivery import Delivery, Draft, Unverified

# A provider signs with few secrets at once.
_MAX_PARTS = 16
_MAX_TIMESTAMP_DIGITS = 15


class Scheme(Protocol):
    """A way of signing deliveries."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Return if a delivery was signed with one of the secrets; ``now`` is Unix time.

        Raises Unverified.
        """

    def sign(self, draft: Draft, secret: str) -> Mapping[str, str]:
        """Return the headers that sign a delivery.

        Raises ValueError if the secret cannot sign.
        """

    def check_secret(self, secret: str) -> None:
        """Return if a secret has the form that the provider gives it.

        Raises ValueError with what is expected.
        """


def matches_any(given: Iterable[bytes], expected: Iterable[bytes]) -> bool:
    """Return whether any of some texts is one of the expected, in time that depends on their sizes only."""
    expected = list(expected)
    found = False
    for each in given:
        for other in expected:
            found |= hmac.compare_digest(each, other)
    return found


def comparable(text: str) -> bytes:
    """Return the bytes of a header's value, as they are compared."""
    return text.encode("utf-8", "surrogateescape")


def utf8(secret: str) -> bytes:
    """Return a secret that is the key itself."""
    return secret.encode()


def base64_key(secret: str) -> bytes:
    """Return the key of a secret in base64, which may begin with ``whsec_``.

    Raises ValueError.
    """
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("The secret is not base64 after whsec_.") from None


@dataclass(frozen=True, kw_only=True)
class Hmac:
    """HMAC of the body, perhaps with an id and a timestamp before it.

    Parameters:
        header: the header of the signature
        label: precedes each signature, as in ``v1=``; other parts of the header are ignored
        separator: between several signatures
        signed: precedes the body in what is signed, such as ``{timestamp}.``
        algorithm: the name of the hash function
        encoding: ``hex`` or ``base64``
        id_header: the header of the id in ``signed``
        timestamp_header: the header of the timestamp, in seconds
        timestamp_label: precedes the timestamp in the signature's header, as in ``t=``
        body_timestamp: reads a signed timestamp in seconds from the body
        tolerance_s: the largest difference of the clocks, where there is a timestamp
        key: converts a secret to the key
        secret_prefix: with which every secret begins
    """

    header: str
    label: str = ""
    separator: str | None = None
    signed: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    id_header: str | None = None
    timestamp_header: str | None = None
    timestamp_label: str | None = None
    body_timestamp: Callable[[bytes], float | None] | None = None
    tolerance_s: int = 300
    key: Callable[[str], bytes] = utf8
    secret_prefix: str = ""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:
        """Return if a delivery was signed with one of the secrets, at about this time."""
        given = delivery.required_header(self.header)
        parts = given.split(self.separator, _MAX_PARTS) if self.separator else [given]
        if len(parts) > _MAX_PARTS:
            raise Unverified("malformed_header")
        signatures = [part[len(self.label) :] for part in parts if part.startswith(self.label)]
        # A repeated header is joined by commas; no provider sends the same signature twice.
        if any("," in each for each in signatures) or len(set(signatures)) < len(signatures):
            raise Unverified("malformed_header")
        timestamp = self._timestamp(delivery, parts)
        id_ = delivery.name(self.id_header) if self.id_header else ""
        prefix = self.signed.format(id=id_, timestamp=timestamp).encode() if self.signed else b""
        expected = [self._signature(secret, prefix, delivery.body) for secret in secrets]
        if not matches_any(map(comparable, signatures), expected):
            raise Unverified("wrong_signature")
        # Checked last, so that no one learns from the time taken which of both was wrong.
        self._check_time(timestamp, delivery.body, now)

    def sign(self, draft: Draft, secret: str) -> dict[str, str]:
        """Return the headers that sign a delivery."""
        timestamp = str(int(draft.now))
        prefix = self.signed.format(id=draft.delivery_id, timestamp=timestamp).encode()
        parts = [self.label + self._signature(secret, prefix, draft.body).decode()]
        if self.timestamp_label is not None:
            parts.insert(0, self.timestamp_label + timestamp)
        headers = {self.header: (self.separator or "").join(parts)}
        if self.timestamp_header is not None:
            headers[self.timestamp_header] = timestamp
        if self.id_header is not None:
            headers[self.id_header] = draft.delivery_id
        return headers

    def check_secret(self, secret: str) -> None:
        """Return if a secret has the prefix and can be converted to a key."""
        if not secret.startswith(self.secret_prefix):
            raise ValueError(f"The secret begins with {self.secret_prefix}.")
        if not self.key(secret):
            raise ValueError("The secret is empty.")

    def _signature(self, secret: str, prefix: bytes, body: bytes) -> bytes:
        digest = hmac.digest(self.key(secret), prefix + body if prefix else body, self.algorithm)
        return base64.b64encode(digest) if self.encoding == "base64" else digest.hex().encode()

    def _timestamp(self, delivery: Delivery, parts: Sequence[str]) -> str:
        if self.timestamp_header is not None:
            return _digits(delivery.required_header(self.timestamp_header))
        if self.timestamp_label is None:
            return ""
        label = self.timestamp_label
        timestamps = [part[len(label) :] for part in parts if part.startswith(label)]
        if len(timestamps) != 1:
            raise Unverified("malformed_header")
        return _digits(timestamps[0])

    def _check_time(self, timestamp: str, body: bytes, now: float) -> None:
        signed_at = float(timestamp) if timestamp else None
        if self.body_timestamp is not None:
            signed_at = self.body_timestamp(body)
            if signed_at is None:
                raise Unverified("missing_timestamp")
        if signed_at is not None and abs(now - signed_at) > self.tolerance_s:
            raise Unverified("stale_timestamp")


def _digits(text: str) -> str:
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_TIMESTAMP_DIGITS:
        raise Unverified("malformed_header")
    return text
