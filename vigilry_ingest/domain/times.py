"""The format of times in entries, answers and output."""

from datetime import datetime


def rfc3339(moment: datetime) -> str:
    """Return a time in UTC as RFC 3339 with milliseconds, such as ``2026-11-27T09:00:00.000Z``."""
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"
