"""Lossless records of JSON values."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class JsonNumber(NamedTuple):
    """The text of a JSON number, which may exceed the size or precision of Python's types."""

    text: str


class JsonObject:
    """The exact text of a JSON object, and its members by name.

    A member is a str, bool, None, JsonNumber, or ``msgspec.Raw`` (the text of an object or array). Most
    bodies are read without them, so they may be given as a function, which is called when they are first
    used.
    """

    __slots__ = ("_members", "text")

    def __init__(self, text: bytes, members: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        self.text = text
        self._members = members

    @property
    def members(self) -> Mapping[str, Any]:
        """The members by name; raises what the function raises."""
        if not isinstance(self._members, Mapping):
            self._members = self._members()
        return self._members
