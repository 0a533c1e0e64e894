"""Lenient reading of JSON values: Sentry's SDKs differ, and an event is kept whatever its members are."""

from typing import TypeVar

import msgspec

Value = TypeVar("Value")

# Of a value that is not a string but stands where one is expected.
_MAX_TEXT_BYTES = 8192

ABSENT = msgspec.Raw()


def read(raw: msgspec.Raw, type_: type[Value], default: Value) -> Value:
    """Return a value of a type, or the default for an absent value or one of another type."""
    if not len(raw):
        return default
    try:
        return msgspec.json.decode(raw, type=type_)
    except msgspec.DecodeError:
        return default


def text_of(raw: msgspec.Raw) -> str:
    """Return a string, the JSON text of another short value, or an empty text for any other."""
    if not len(raw):
        return ""
    text = bytes(raw)
    if text.startswith(b'"'):
        return read(raw, str, "")
    return "" if text == b"null" or len(text) > _MAX_TEXT_BYTES else text.decode()


def is_scalar(raw: msgspec.Raw) -> bool:
    """Return whether a value is a string that is not empty, a number or a boolean."""
    first = bytes(memoryview(raw)[:2])
    return first[:1] not in (b"", b"{", b"[", b"n") and first != b'""'
