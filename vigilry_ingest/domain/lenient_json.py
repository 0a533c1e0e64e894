"""Lenient reading of JSON values: senders differ, and an event is kept whatever its members are."""

from typing import TypeVar

import msgspec

Value = TypeVar("Value")

ABSENT = msgspec.Raw()


def read(text: msgspec.Raw | bytes, type_: type[Value], default: Value) -> Value:
    """Return a value of a type, or the default for an absent value or one of another type."""
    if not len(text):
        return default
    try:
        return msgspec.json.decode(text, type=type_)
    except (msgspec.DecodeError, RecursionError):
        return default
