"""The periods that partitions are made for: months and weeks, in UTC."""

from datetime import UTC, datetime, timedelta

PERIODS = ("month", "week")
# How many periods after the present one have a partition.
AHEAD = 2


def start_of(period: str, moment: datetime) -> datetime:
    """Return the start of the period that a moment is in; a week starts on Monday."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if period == "month" else day - timedelta(days=day.weekday())


def next_start(period: str, moment: datetime) -> datetime:
    """Return the start of the period after the one that a moment is in."""
    # Every month is at most 31 days long, and the next one is longer than the rest.
    start = start_of(period, moment)
    return start_of(period, start + timedelta(days=31)) if period == "month" else start + timedelta(days=7)


def starts_ahead(period: str, now: datetime) -> datetime:
    """Return the end of the last period that should have a partition."""
    end = next_start(period, now)
    for _ in range(AHEAD):
        end = next_start(period, end)
    return end
