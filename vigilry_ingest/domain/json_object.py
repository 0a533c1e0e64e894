"""Lossless records of JSON values."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class JsonNumber(NamedTuple):
    """The text of a JSON number, which may exceed the size or precision of Python's types."""

    text: str


class JsonObject(msgspec.Struct, frozen=True):
    """The exact text of a JSON object, and its members by name.

    A member is a str, bool, None, JsonNumber, or ``msgspec.Raw`` (the text of an object or array).
    """

    text: bytes
    members: Mapping[str, Any]
