"""A delivery as a provider sends it, and what a provider's declaration reads from one."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

# Values of headers that name an event or a delivery. A repeated header is joined by commas, so none has one.
_NAME = re.compile(r"[!-+.-~\-](?:[ -+.-~\-]{0,253}[!-+.-~\-])?")


class Unverified(Exception):
    """A delivery is not from its provider; ``reason`` is one of a few words, for metrics and logs only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Delivery(NamedTuple):
    """A request to the URL of a source.

    Parameters:
        environ: the WSGI environ, for the headers
        body: the body as received
        url: the URL that the provider sent it to
    """

    environ: Mapping[str, object]
    body: bytes
    url: str

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""
        value = self.environ.get(_variable(name))
        return value if isinstance(value, str) else None

    def required_header(self, name: str) -> str:
        """Return the value of a header that each delivery has.

        Raises Unverified.
        """
        value = self.header(name)
        if not value:
            raise Unverified("missing_header")
        return value

    def name(self, header: str) -> str:
        """Return the name of an event or a delivery in a header.

        Raises Unverified if it is missing, repeated, or not printable ASCII.
        """
        value = self.required_header(header)
        if not _NAME.fullmatch(value):
            raise Unverified("malformed_header")
        return value

    def optional_name(self, header: str) -> str | None:
        """Return the name in a header, or None if there is none.

        Raises Unverified like ``name``.
        """
        return self.name(header) if self.header(header) else None


class Reading(NamedTuple):
    """What a provider's declaration reads from a delivery.

    Parameters:
        event: the name of the event
        delivery_id: identifies the delivery, so that a repeat is stored once
        action: what happened, where the name of the event does not say it
        subject: what it happened to, for the message
        severity: by the provider's rule
        correlation: what else identifies the delivery or its sender
    """

    event: str
    delivery_id: str | None
    action: str | None = None
    subject: str | None = None
    severity: str = "INFO"
    correlation: Mapping[str, str] = {}


class Draft(NamedTuple):
    """A delivery to be signed: an example of a provider's.

    Parameters:
        body: the body
        url: the URL of the source
        delivery_id: a new id
        now: Unix time in seconds
    """

    body: bytes
    url: str
    delivery_id: str
    now: float


@cache
def _variable(name: str) -> str:
    variable = name.upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"
