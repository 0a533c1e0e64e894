"""Envelopes of Sentry's SDKs: a header line, then items, each a header line and a payload.

https://develop.sentry.dev/sdk/foundations/transport/envelopes/
"""

import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import msgspec

_NEWLINE = b"\n"
_MAX_HEADER_BYTES = 64 * 1024
_MAX_TYPE_LENGTH = 64
_BLANK_LINES = re.compile(rb"[\r\n]*")
# The decoder reports invalid UTF-8 in a string with Python's own exception.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class MalformedEnvelope(ValueError):
    """A text is not an envelope, or ends within an item; the message says why."""


class EnvelopeHeader(msgspec.Struct):
    """The members of an envelope's header that are used."""

    event_id: str | None = None
    dsn: str | None = None


class _ItemHeader(msgspec.Struct):
    type: Annotated[str, msgspec.Meta(max_length=_MAX_TYPE_LENGTH)]
    length: Annotated[int, msgspec.Meta(ge=0)] | None = None


class EnvelopeItem(NamedTuple):
    """An item: its type, and its payload as sent."""

    type: str
    payload: bytes


_decode_header = msgspec.json.Decoder(EnvelopeHeader).decode
_decode_item_header = msgspec.json.Decoder(_ItemHeader).decode


def read_header(envelope: bytes) -> tuple[EnvelopeHeader, int]:
    """Return the header of an envelope, and where the line after it begins.

    Raises MalformedEnvelope.
    """
    line, end = _line(envelope, 0)
    try:
        return _decode_header(line), end
    except _UNREADABLE as error:
        raise MalformedEnvelope(f"The first line is not the header of an envelope: {error}.") from error


def items_of(envelope: bytes, start: int) -> Iterator[EnvelopeItem]:
    """Yield the items that begin at a position; blank lines between them are skipped.

    Raises MalformedEnvelope at the first item that cannot be read, as where the next begins is unknown.
    """
    number = 0
    while (start := _after_blank_lines(envelope, start)) < len(envelope):
        line, start = _line(envelope, start)
        header = _item_header(line, number)
        if header.length is None:
            end = envelope.find(_NEWLINE, start)
            end = len(envelope) if end < 0 else end
        else:
            end = start + header.length
            if end > len(envelope):
                raise MalformedEnvelope(f"Item {number} is shorter than its length.")
            if envelope[end : end + 1] not in (b"", _NEWLINE):
                raise MalformedEnvelope(f"Item {number} is longer than its length.")
        yield EnvelopeItem(header.type, envelope[start:end])
        start = end + 1
        number += 1


def _after_blank_lines(envelope: bytes, start: int) -> int:
    found = _BLANK_LINES.match(envelope, start)
    return found.end() if found else start


def _item_header(line: bytes, number: int) -> _ItemHeader:
    try:
        return _decode_item_header(line)
    except _UNREADABLE as error:
        raise MalformedEnvelope(f"The header of item {number} is invalid: {error}.") from error


def _line(envelope: bytes, start: int) -> tuple[bytes, int]:
    """Return the line at a position without its end, and where the next one begins."""
    end = envelope.find(_NEWLINE, start, start + _MAX_HEADER_BYTES)
    if end < 0:
        end = len(envelope)
        if end - start > _MAX_HEADER_BYTES:
            raise MalformedEnvelope(f"A header has more than {_MAX_HEADER_BYTES:,} bytes.")
    return envelope[start:end].rstrip(b"\r"), end + 1
