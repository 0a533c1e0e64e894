"""Providers without a declaration: HMAC by options, basic authentication, or a token in a header."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

import msgspec

from vigilry_ingest.domain.json_splitting import TooMany, split_members
from vigilry_ingest.webhooks.delivery import Delivery, Reading
from vigilry_ingest.webhooks.provider import Example, Provider
from vigilry_ingest.webhooks.signatures import Hmac, Scheme, base64_key, utf8
from vigilry_ingest.webhooks.tokens import Authorization, Token

_KEYS = {"text": utf8, "base64": base64_key}
_MAX_NAME_LENGTH = 255
# Of each object on the way to what a JSON pointer refers to.
_MAX_MEMBERS = 1000


@dataclass(frozen=True, kw_only=True)
class GenericOptions:
    """What the options of a source say about a provider that has no declaration.

    Parameters:
        header: the header of the signature or the token
        algorithm: the hash function of the HMAC
        encoding: of the signature: ``hex`` or ``base64``
        prefix: precedes the signature in its header
        signed_text: what is signed, with ``{body}`` at its end, and perhaps ``{timestamp}`` and ``{id}``
        key_encoding: of the secret: ``text`` or ``base64``
        timestamp_header: the header of the signed timestamp, in seconds
        id_header: the header of the signed id
        tolerance_s: the largest difference of the clocks, where there is a timestamp
        event: where the name of the event is: a header, or a JSON pointer (RFC 6901)
        delivery_id: where the id of the delivery is, likewise
    """

    header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    signed_text: str = "{body}"
    key_encoding: str = "text"
    timestamp_header: str | None = None
    id_header: str | None = None
    tolerance_s: int = 300
    event: str = ""
    delivery_id: str = ""

    def __post_init__(self) -> None:
        """Check what the options' own types do not.

        Raises ValueError.
        """
        if self.algorithm not in ("sha1", "sha256", "sha384", "sha512"):
            raise ValueError(f"The algorithm {self.algorithm} is not one of sha1, sha256, sha384, sha512.")
        if not self.signed_text.endswith("{body}"):
            raise ValueError("The signed text ends with {body}.")
        try:
            names = {name for _, name, _, _ in Formatter().parse(self.signed_text) if name is not None}
        except ValueError as error:
            raise ValueError(f"The signed text is not valid: {error}.") from None
        if names - {"body", "timestamp", "id"}:
            raise ValueError("The signed text may have {id}, {timestamp} and {body}.")
        if ("timestamp" in names) != (self.timestamp_header is not None):
            raise ValueError("A timestamp is signed if it has a header: give both or neither.")
        if ("id" in names) != (self.id_header is not None):
            raise ValueError("An id is signed if it has a header: give both or neither.")


def hmac_provider(options: Mapping[str, Any]) -> Provider:
    """Return a provider that signs by HMAC.

    Raises ValueError for options that do not fit each other.
    """
    given = GenericOptions(**options)
    if not given.header:
        raise ValueError("--header names the header of the signature.")
    scheme = Hmac(
        header=given.header,
        label=given.prefix,
        signed=given.signed_text.removesuffix("{body}"),
        algorithm=given.algorithm,
        encoding=given.encoding,
        id_header=given.id_header,
        timestamp_header=given.timestamp_header,
        tolerance_s=given.tolerance_s,
        key=_KEYS[given.key_encoding],
    )
    return _provider("hmac", "HMAC", scheme, given)


def token_provider(options: Mapping[str, Any]) -> Provider:
    """Return a provider that sends a token in a header."""
    given = GenericOptions(**({"header": "X-Webhook-Token"} | dict(options)))
    return _provider("token", "Token", Token(header=given.header), given)


def basic_provider(options: Mapping[str, Any]) -> Provider:
    """Return a provider that uses basic authentication."""
    scheme = Authorization(takes_bearer=False)
    return _provider("basic", "Basic authentication", scheme, GenericOptions(**options))


def _provider(name: str, title: str, scheme: Scheme, options: GenericOptions) -> Provider:
    def read(delivery: Delivery, text: bytes) -> Reading:
        return Reading(
            _value(options.event, delivery, text) or "webhook", _value(options.delivery_id, delivery, text)
        )

    return Provider(
        name=name,
        title=title,
        scheme=scheme,
        read=read,
        secret_is_chosen=name != "basic",
        example=_example(options),
        where="The URL and the secret go into the sender's own settings.",
    )


def _value(where: str, delivery: Delivery, text: bytes) -> str | None:
    """Return the text at a JSON pointer or in a header, or None."""
    if not where:
        return None
    if not where.startswith("/"):
        return delivery.name(where)
    value = text
    for part in _names(where):
        try:
            # One level at a time, so that only the members on the way become objects.
            members = {str(name): raw for name, raw in split_members(value, _MAX_MEMBERS).items()}
            value = bytes(members[part])
        except (msgspec.DecodeError, TooMany, RecursionError, KeyError):
            return None
    return _scalar(value)


def _names(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]


def _scalar(raw: bytes) -> str | None:
    """Return a string, or a number as its text, that is short enough for a name."""
    if len(raw) > _MAX_NAME_LENGTH or raw[:1] in (b"{", b"[") or raw == b"null":
        return None
    return str(json.loads(raw)) if raw.startswith(b'"') else raw.decode()


def _example(options: GenericOptions) -> Example:
    def body(id_: str, now: float) -> bytes:
        event: dict[str, Any] = {"message": "An example", "sent_at": int(now)}
        for where, value in ((options.event, "example"), (options.delivery_id, id_)):
            if where.startswith("/"):
                _set(event, where, value)
        return json.dumps(event).encode()

    headers = {"Content-Type": "application/json"}
    for where, value in ((options.event, "example"), (options.delivery_id, "{id}")):
        if where and not where.startswith("/"):
            headers[where] = value
    return Example(body=body, headers=headers)


def _set(event: dict[str, Any], pointer: str, value: str) -> None:
    *path, last = _names(pointer)
    for name in path:
        event = event.setdefault(name, {})
    event[last] = value
