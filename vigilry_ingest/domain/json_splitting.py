"""Splitting of JSON objects and arrays into the texts of their values, at a bounded cost."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from vigilry_ingest.domain.bounded_array import bounded_array, present
from vigilry_ingest.domain.json_object import replace_lone_surrogates


class TooMany(Exception):
    """An object has more members, or an array more elements, than its reader takes."""


class Name(str):
    """A member's name that equals only itself, so that a repeated member is detected."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


# With plain str names the decoder would silently keep the last of two members with the same name. It checks
# the syntax at every depth, and converts no values.
_Members = dict[Name, msgspec.Raw]
_decode_members = msgspec.json.Decoder(_Members, dec_hook=lambda _type, name: Name(name)).decode
# What precedes a member's value, and what precedes an element.
_BEFORE_MEMBER = re.compile(rb'[\s{,]*"(?:[^"\\]++|\\.)*+"\s*:\s*')
_BEFORE_ELEMENT = re.compile(rb"[\s,]*")


def split_members(text: bytes, limit: int) -> dict[Name, msgspec.Raw]:
    """Return the members of an object in their order, also repeated ones.

    Values keep their bytes. Raises TooMany before it has made more than ``limit`` members, RecursionError for
    nesting that is too deep to check, and msgspec.DecodeError; it is a ValidationError for another type of
    value.
    """
    masked = text
    try:
        return _decode_bounded(text, limit)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # The decoder refuses lone surrogates wherever they are.
        masked = replace_lone_surrogates(text)
        if masked == text:
            raise
    members = _decode_bounded(masked, limit)
    values = _original_values(text, members.values(), _BEFORE_MEMBER, 0)
    return dict(zip(members, values, strict=True))


def split_elements(text: bytes, limit: int) -> list[msgspec.Raw]:
    """Return the elements of a valid array, which keep their bytes.

    Raises TooMany before it has made more than ``limit`` elements.
    """
    masked = text
    try:
        return _decode_elements(text, limit)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        masked = replace_lone_surrogates(text)
    return list(_original_values(text, _decode_elements(masked, limit), _BEFORE_ELEMENT, 1))


def _decode_bounded(text: bytes, limit: int) -> dict[Name, msgspec.Raw]:
    # A member has a colon, so few objects need the slower decoder that counts.
    if text.count(b":") <= limit:
        return _decode_members(text)
    remaining = limit

    def count(_type: type, name: str) -> Name:
        nonlocal remaining
        remaining -= 1
        if remaining < 0:
            raise TooMany
        return Name(name)

    return msgspec.json.decode(text, type=_Members, dec_hook=count)


def _decode_elements(text: bytes, limit: int) -> list[msgspec.Raw]:
    try:
        array = _array_decoder(limit).decode(text)
    except msgspec.ValidationError:
        # Any value is a valid element, so there are too many.
        raise TooMany from None
    return present(array)


@lru_cache(maxsize=8)
def _array_decoder(limit: int) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(bounded_array(limit, refuses_more=True))


def _original_values(
    text: bytes, masked: Iterable[msgspec.Raw], before: re.Pattern[bytes], start: int
) -> Iterator[msgspec.Raw]:
    """Yield the values of a text that has the same positions as the one that they were decoded from."""
    for raw in masked:
        found = before.match(text, start)
        start = found.end() if found else start
        yield msgspec.Raw(text[start : start + len(raw)])
        start += len(raw)
