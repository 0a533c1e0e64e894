"""The correlation of a Sentry event: its attributes and tags, as many as fit into the limits."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from vigilry_ingest.api.schemas.fields import MAX_CORRELATIONS, MAX_NAME_LENGTH, MAX_VALUE_BYTES
from vigilry_ingest.api.schemas.sentry_values import is_scalar
from vigilry_ingest.domain.json_splitting import TooMany, split_elements, split_members
from vigilry_ingest.domain.lenient_json import ABSENT, read

# Tags beyond the limits of a correlation are dropped, but so many are not even read.
_MAX_TAGS = 1000

Pair = tuple[str, msgspec.Raw]


class Attributes(NamedTuple):
    """The members of an event that its correlation is made of, as JSON."""

    user: msgspec.Raw
    release: msgspec.Raw
    environment: msgspec.Raw
    transaction: msgspec.Raw
    contexts: msgspec.Raw
    tags: msgspec.Raw


class _User(msgspec.Struct):
    id: msgspec.Raw = ABSENT


class _Trace(msgspec.Struct):
    trace_id: msgspec.Raw = ABSENT
    span_id: msgspec.Raw = ABSENT


class _Contexts(msgspec.Struct):
    trace: _Trace | None = None


class _Tag(msgspec.Struct):
    key: str
    value: msgspec.Raw = ABSENT


def correlation_of(attributes: Attributes) -> bytes | None:
    """Return a JSON object, or None if nothing fits into it.

    The attributes come first, and a tag does not replace one.
    """
    members: dict[str, msgspec.Raw] = {}
    for name, raw in _pairs(attributes):
        if len(members) == MAX_CORRELATIONS:
            break
        if is_scalar(raw) and name and len(name) <= MAX_NAME_LENGTH and len(raw) <= MAX_VALUE_BYTES:
            members.setdefault(name, raw)
    return msgspec.json.encode(members) if members else None


def _pairs(attributes: Attributes) -> Iterator[Pair]:
    yield "user_id", read(attributes.user, _User, _User()).id
    yield "release", attributes.release
    yield "environment", attributes.environment
    yield "transaction", attributes.transaction
    trace = read(attributes.contexts, _Contexts, _Contexts()).trace or _Trace()
    yield "trace_id", trace.trace_id
    yield "span_id", trace.span_id
    tags = bytes(attributes.tags)
    try:
        if tags.startswith(b"{"):
            yield from ((str(name), raw) for name, raw in split_members(tags, _MAX_TAGS).items())
        elif tags.startswith(b"["):
            yield from filter(None, map(_pair, split_elements(tags, _MAX_TAGS)))
    except TooMany:
        return


def _pair(element: msgspec.Raw) -> Pair | None:
    """Return a tag of a list: ``["name", value]`` or ``{"key": "name", "value": value}``."""
    pair = read(element, tuple[str, msgspec.Raw], ("", ABSENT))
    if pair[0]:
        return pair
    tag = read(element, _Tag, _Tag(""))
    return (tag.key, tag.value) if tag.key else None
