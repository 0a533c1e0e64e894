"""A JSON object whose parts stay as they were sent."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec


class JsonNumber(NamedTuple):
    """A JSON number as it was written: it may be longer or larger than Python's types take."""

    text: str


class JsonObject(msgspec.Struct, frozen=True):
    """A JSON object: its exact text, and its members by name.

    A member is str, bool, None, JsonNumber, or ``msgspec.Raw`` (the text of an object or array).
    """

    text: bytes
    members: Mapping[str, Any]
