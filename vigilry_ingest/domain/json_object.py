"""Lossless records of JSON values."""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

_BACKSLASH = 0x5C


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


_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_REPLACEMENT = rb"\ufffd"
# Upper bound on the surrogates that are looked at, because each takes a step of the interpreter.
_MAX_SURROGATES = 10_000


def replace_lone_surrogates(text: bytes) -> bytes:
    """Replace each escaped half of a surrogate pair in a JSON text by U+FFFD, escaped at the same length.

    JSON allows such escapes (RFC 8259, section 8.2), and JavaScript writes them for a string that was cut
    inside a pair, but UTF-8 cannot hold what they denote. A text of very many surrogates may keep some.
    """
    if _SURROGATE.search(text) is None:
        return text
    replaced = bytearray(text)
    end_of_pair = 0
    for found in islice(_SURROGATE.finditer(text), _MAX_SURROGATES):
        start = found.start()
        if start < end_of_pair or _is_escaped(text, start):
            continue
        if _PAIR.match(text, start):
            end_of_pair = start + 2 * len(_REPLACEMENT)
        else:
            replaced[start : found.end()] = _REPLACEMENT
    return bytes(replaced)


def _is_escaped(text: bytes, position: int) -> bool:
    """Return whether an odd number of backslashes precedes a position."""
    first = position
    while first and text[first - 1] == _BACKSLASH:
        first -= 1
    return (position - first) % 2 == 1
