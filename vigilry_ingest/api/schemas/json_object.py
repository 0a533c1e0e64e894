"""Lossless parsing of JSON objects: nested values keep the bytes that were sent."""

import codecs
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec

from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.domain.json_object import JsonNumber, JsonObject, replace_lone_surrogates
from vigilry_ingest.domain.json_splitting import Name, TooMany, split_members

MAX_MEMBERS = 256
"""Upper bound on the members at the top level of an object, which bounds the cost of splitting it."""

_MAX_NAME_LENGTH = 100


class MalformedJson(ValueError):
    """The text is not valid JSON in UTF-8, or repeats a member; the message says what is wrong and where."""


_check_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_decode_text = msgspec.json.Decoder(str).decode
_LITERALS = {b"true": True, b"false": False, b"null": None}


def parse_object(text: bytes) -> JsonObject:
    """Split a JSON object (RFC 8259) into its members.

    Raises MalformedJson for what cannot be kept unchanged: invalid syntax, invalid UTF-8, a repeated member
    at the top level, or nesting that is too deep to check; a lone surrogate at the top level is found when
    the members are used. Raises InvalidEvent for any other JSON value, and for more than MAX_MEMBERS members.
    """
    _check_encoding(text, "body")
    raws = _split(text, "body")
    return JsonObject(text, lambda: _members(raws, text, "body"))


class MemberBudget:
    """The members that several objects may still have together."""

    def __init__(self, members: int) -> None:
        self.remaining = members


def parse_enveloped(
    text: bytes, envelope: Collection[str], budget: MemberBudget
) -> tuple[Mapping[str, Any], JsonObject]:
    """Split a JSON object into the members named by an envelope, and an object of the remaining members.

    The remaining values keep their bytes. Raises like parse_object, also for a budget that is used up.
    """
    _check_encoding(text, "item")
    limit = min(MAX_MEMBERS, budget.remaining)
    # What is refused has cost as much as it may have members.
    budget.remaining -= limit
    raws = _split(text, "item", limit)
    budget.remaining += limit - len(raws)
    named = {name: raws.pop(name) for name in envelope if name in raws}
    if named:
        inner = [msgspec.json.encode(name) + b":" + bytes(raw) for name, raw in raws.items()]
        text = b"{" + b",".join(inner) + b"}"
    return _members(named, text, "item"), JsonObject(text, lambda: _members(raws, text, "item"))


def parse_container(text: bytes) -> Mapping[str, Any]:
    """Split a JSON object whose values may have errors of their own, such as invalid UTF-8.

    Raises like parse_object otherwise.
    """
    try:
        return _members(_split(text, "body"), text, "body")
    except UnicodeDecodeError:
        _check_encoding(text, "body")
        raise


def _check_encoding(text: bytes, what: str) -> None:
    # The decoder detects invalid UTF-8 only in values that it converts.
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The {what} is not valid UTF-8 at byte {error.start}.") from error


def _split(text: bytes, what: str, limit: int = MAX_MEMBERS) -> dict[str, msgspec.Raw]:
    try:
        pairs = _split_pairs(text, what, limit)
    except RecursionError as error:
        raise MalformedJson(f"The {what} is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise MalformedJson(_explain(text, what, error)) from error
    raws = {str(name): raw for name, raw in pairs.items()}
    if len(raws) != len(pairs):
        repeated = _repeated(pairs)[:_MAX_NAME_LENGTH]
        raise MalformedJson(f"The {what} has the member {repeated!r} more than once.")
    return raws


def _split_pairs(text: bytes, what: str, limit: int) -> dict[Name, msgspec.Raw]:
    try:
        return split_members(text, limit)
    except TooMany:
        detail = f"The {what} may have at most {MAX_MEMBERS} members."
        if limit < MAX_MEMBERS:
            detail = (
                "The items before this one have nearly all members that a batch may have; split the batch."
            )
        raise InvalidEvent([Fault("", "too_many_members", detail)]) from None
    except msgspec.ValidationError:
        # The decoder stops at the first byte that begins another type, so the rest is not checked yet.
        _check_syntax(replace_lone_surrogates(text))
        raise InvalidEvent([Fault("", "wrong_type", f"The {what} must be a JSON object.")]) from None


def _members(raws: Mapping[str, msgspec.Raw], text: bytes, what: str) -> dict[str, Any]:
    members = {}
    for name, raw in raws.items():
        try:
            members[name] = _member(raw)
        except msgspec.DecodeError as error:
            if replace_lone_surrogates(raw_bytes := bytes(raw)) != raw_bytes:
                raise MalformedJson(_surrogate_in(what, name)) from error
            raise MalformedJson(_explain(text, what, error)) from error
    return members


def _surrogate_in(what: str, name: str) -> str:
    return (
        f"The string {name[:_MAX_NAME_LENGTH]!r} of the {what} has half of a surrogate pair, "
        "as of a text that was cut inside a character; UTF-8 cannot hold it."
    )


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
        return f"The {what} is truncated."
    return f"{str(error).rstrip('.')}."
