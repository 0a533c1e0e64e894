"""Ids that outsiders see: a prefix that says of what, and a ULID, which sorts by time."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """Make an id such as ``evt_01KB…``."""
    return f"{prefix}_{ULID()}"
