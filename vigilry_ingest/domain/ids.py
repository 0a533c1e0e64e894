"""Public ids: a prefix for the type, and a ULID, which sorts by time."""

import os
import re
import time

from ulid_transform import bytes_to_ulid, ulid_to_timestamp

_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)


# The system's random source is read for many ids at once. Threads share the list: each part is popped by one.
_RANDOM_BYTES = 10
_PARTS_AT_ONCE = 256
_random_parts: list[bytes] = []
# Parent and child of a fork must not make the same ids.
os.register_at_fork(after_in_child=_random_parts.clear)


def new_ulid() -> str:
    """Make a ULID (https://github.com/ulid/spec)."""
    # Not the library's ulid_now(): after a fork, parent and child would generate the same random numbers.
    return bytes_to_ulid(int(time.time() * 1000).to_bytes(6, "big") + _random_part())


def _random_part() -> bytes:
    try:
        return _random_parts.pop()
    except IndexError:
        block = os.urandom(_RANDOM_BYTES * _PARTS_AT_ONCE)
        _random_parts.extend(
            block[start : start + _RANDOM_BYTES] for start in range(_RANDOM_BYTES, len(block), _RANDOM_BYTES)
        )
        return block[:_RANDOM_BYTES]


def new_id(prefix: str) -> str:
    """Make an id such as ``evt_01KB…``."""
    return f"{prefix}_{new_ulid()}"


def is_id(text: str, prefix: str) -> bool:
    """Return whether a text is a well-formed id with a prefix."""
    return text.startswith(f"{prefix}_") and _ULID.fullmatch(text, len(prefix) + 1) is not None


def made_at_ms(id_: str) -> int | None:
    """Return when an id was made, in milliseconds since the Unix epoch, or None if it is malformed."""
    ulid = id_.rpartition("_")[2]
    return ulid_to_timestamp(ulid) if _ULID.fullmatch(ulid) else None
