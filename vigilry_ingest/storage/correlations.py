"""The members of a correlation by which an event can be found."""

import msgspec

from vigilry_ingest.domain.json_object import replace_lone_surrogates
from vigilry_ingest.domain.json_splitting import TooMany, split_members

MAX_LENGTH = 200
"""The length of the columns: a longer name or value is kept in the event, but it cannot be found by it."""

# Events have fewer correlations, except those from versions without that limit.
_MAX_MEMBERS = 64


def searchable_members(correlation: bytes) -> dict[str, str]:
    """Return the members with scalar values as text, strings without quotes; none of too many.

    Of members with the same name, the last one counts.
    """
    try:
        members = split_members(replace_lone_surrogates(correlation), _MAX_MEMBERS)
    except TooMany:
        return {}
    # A name that becomes equal to another by what can be stored is that of the first.
    found: dict[str, str] = {}
    for raw_name, raw in {str(name): raw for name, raw in members.items()}.items():
        text = bytes(raw)
        value = msgspec.json.decode(text, type=str) if text.startswith(b'"') else text.decode()
        name, value = storable(raw_name), storable(value)
        is_too_long = len(name) > MAX_LENGTH or len(value) > MAX_LENGTH
        if text[:1] not in b"{[" and not is_too_long:
            found.setdefault(name, value)
    return found


def storable(text: str) -> str:
    """Replace U+0000, which PostgreSQL cannot store, with U+FFFD; the stream entry is unchanged."""
    return text.replace("\x00", "\ufffd")
