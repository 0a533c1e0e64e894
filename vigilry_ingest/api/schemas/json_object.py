"""Lossless parsing of JSON objects: nested values keep the bytes that were sent."""

import codecs
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.json_object import JsonNumber, JsonObject

_MAX_NAME_LENGTH = 100


class MalformedJson(ValueError):
    """The text is not valid JSON in UTF-8, or repeats a member; the message says what is wrong and where."""


class _Name(str):
    """A member's name that equals only itself, so that a repeated member is detected."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


# With plain str names the decoder would silently keep the last of two members with the same name. It checks
# the syntax at every depth, and converts no values.
_split_object = msgspec.json.Decoder(
    dict[_Name, msgspec.Raw], dec_hook=lambda _type, name: _Name(name)
).decode
_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text = msgspec.json.Decoder(str).decode
_LITERALS = {b"true": True, b"false": False, b"null": None}


def parse_object(text: bytes) -> JsonObject:
    """Split a JSON object (RFC 8259) into its members.

    Raises MalformedJson for what cannot be kept unchanged: invalid syntax, invalid UTF-8, a repeated member
    at the top level, or nesting that is too deep to check; a lone surrogate is found when the members are
    used. Raises InvalidEvent for any other JSON value.
    """
    raws = _split(text, "body")
    return JsonObject(text, lambda: _members(raws, text, "body"))


def parse_enveloped(text: bytes, envelope: Collection[str]) -> tuple[Mapping[str, Any], JsonObject]:
    """Split a JSON object into the members named by an envelope, and an object of the remaining members.

    The remaining values keep their bytes. Raises like parse_object.
    """
    raws = _split(text, "item")
    named = {name: raws.pop(name) for name in envelope if name in raws}
    if named:
        inner = [msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in raws.items()]
        text = b"{" + b",".join(inner) + b"}"
    return _members(named, text, "item"), JsonObject(text, lambda: _members(raws, text, "item"))


def split_array(text: bytes) -> list[bytes]:
    """Split a valid JSON array into its elements, which keep their bytes."""
    return [bytes(raw) for raw in _split_array(text)]


def _split(text: bytes, what: str) -> dict[str, msgspec.Raw]:
    try:
        # The decoder detects invalid UTF-8 only in values that it converts.
        text.decode()
        pairs = _split_pairs(text, what)
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The {what} is not valid UTF-8 at byte {error.start}.") from error
    except RecursionError as error:
        raise MalformedJson(f"The {what} is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise MalformedJson(_explain(text, what, error)) from error
    raws = {str(name): raw for name, raw in pairs.items()}
    if len(raws) != len(pairs):
        repeated = _repeated(pairs)[:_MAX_NAME_LENGTH]
        raise MalformedJson(f"The {what} has the member {repeated!r} more than once.")
    return raws


def _members(raws: Mapping[str, msgspec.Raw], text: bytes, what: str) -> dict[str, Any]:
    try:
        return {name: _member(raw) for name, raw in raws.items()}
    except msgspec.DecodeError as error:
        raise MalformedJson(_explain(text, what, error)) from error


def _split_pairs(text: bytes, what: str) -> dict[_Name, msgspec.Raw]:
    try:
        return _split_object(text)
    except msgspec.ValidationError:
        # The decoder stops at the first byte that begins another type, so the rest is not checked yet.
        _check_syntax(text)
        raise InvalidEvent([Fault("", "wrong_type", f"The {what} must be a JSON object.")]) from None


def _member(raw: msgspec.Raw) -> object:
    view = memoryview(raw)
    first = view[0]
    if first == 0x22:  # a quotation mark
        return _decode_text(raw)
    if first in b"{[":
        return raw
    literal = bytes(view)
    return _LITERALS[literal] if literal in _LITERALS else JsonNumber(literal.decode())


def _repeated(names: Iterable[str]) -> str:
    seen = set()
    for name in map(str, names):
        if name in seen:
            break
        seen.add(name)
    return name


def _explain(text: bytes, what: str, error: msgspec.DecodeError) -> str:
    if not text.strip():
        return f"The {what} is empty; expected a JSON object."
    if text.startswith(codecs.BOM_UTF8):
        return f"The {what} begins with a byte order mark, which JSON does not allow."
    if "truncated" in str(error):
        return f"The {what} is truncated, or contains a lone surrogate."
    return f"{str(error).rstrip('.')}."
