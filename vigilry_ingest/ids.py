"""Ids that outsiders see: a prefix that says of what, and a ULID, which sorts by time."""

from ulid import ULID


def new_id(prefix: str) -> str:
    """Make an id such as ``evt_01KB…``."""
    return f"{prefix}_{ULID()}"


def made_at_ms(id_: str) -> int | None:
    """Tell when an id was made, in milliseconds of Unix time, or None when it is no id of ours."""
    try:
        return int(ULID.from_str(id_.rpartition("_")[2]).milliseconds)
    except ValueError:
        return None
