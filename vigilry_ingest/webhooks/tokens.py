"""Schemes by which deliveries are authenticated without a signature: tokens and passwords in headers."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from vigilry_ingest.webhooks.delivery import Delivery, Draft, Unverified
from vigilry_ingest.webhooks.signatures import comparable, matches_any, utf8


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token in a header of each delivery; it says who sent a delivery, not that it is unchanged."""

    header: str

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:  # noqa: ARG002  a scheme's
        """Return if a delivery carries one of the tokens."""
        given = delivery.required_header(self.header)
        if not matches_any([comparable(given)], map(utf8, secrets)):
            raise Unverified("wrong_token")

    def sign(self, draft: Draft, secret: str) -> dict[str, str]:  # noqa: ARG002  a scheme's
        """Return the header with the token."""
        return {self.header: secret}

    def check_secret(self, secret: str) -> None:
        """Return if a secret can be the value of a header."""
        if not secret.isascii() or not secret.isprintable() or not secret.strip():
            raise ValueError("The secret must be printable ASCII, because it is the value of a header.")


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """Basic authentication for a secret ``user:password``, else a bearer token (RFC 7617, RFC 6750)."""

    takes_bearer: bool = True

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:  # noqa: ARG002  a scheme's
        """Return if a delivery is authorized by one of the secrets."""
        scheme, _, credentials = delivery.required_header("Authorization").partition(" ")
        expected = [utf8(self._value(secret)) for secret in secrets]
        # The name of the scheme is case-insensitive.
        given = f"{scheme.capitalize()} {credentials.strip(' ')}"
        if not matches_any([comparable(given)], expected):
            raise Unverified("wrong_token")

    def sign(self, draft: Draft, secret: str) -> dict[str, str]:  # noqa: ARG002  a scheme's
        """Return the Authorization header."""
        return {"Authorization": self._value(secret)}

    def check_secret(self, secret: str) -> None:
        """Return if a secret is a user and a password, or a token where that is taken."""
        if ":" not in secret and not self.takes_bearer:
            raise ValueError("The secret is user:password.")
        Token(header="Authorization").check_secret(secret)

    def _value(self, secret: str) -> str:
        if ":" not in secret:
            return f"Bearer {secret}"
        return f"Basic {base64.b64encode(secret.encode()).decode()}"
