"""The options ``--from``, ``--since`` and ``--to`` of a time range."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import click

# RFC 3339, except that the time, its seconds and the offset are optional, and a space may replace the T.
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII | re.IGNORECASE
)
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Time(click.ParamType[datetime]):
    """A time in RFC 3339, by default in UTC; with ``is_relative`` also a duration before now."""

    name = "time"

    def __init__(self, *, is_relative: bool = False) -> None:
        self._is_relative = is_relative

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Convert to a time in UTC."""
        try:
            return self._parse(value)
        except (ValueError, OverflowError) as error:
            self.fail(f"{value!r} is not a valid time: {error}.", param, ctx)

    def _parse(self, text: str) -> datetime:
        if self._is_relative and (duration := _DURATION.fullmatch(text)):
            return datetime.now(UTC) - timedelta(**{_UNITS[duration[2]]: int(duration[1])})
        if _TIME.fullmatch(text):
            time = datetime.fromisoformat(text.upper())
            return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        durations = "15m, 2h, 7d, " if self._is_relative else ""
        raise ValueError(f"use a form such as {durations}2026-01-31 or 2026-01-31T23:59:59.123Z")


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a time range; the command receives ``since`` and ``until`` in UTC."""

    @wraps(command)
    def with_range(*args: Any, from_: datetime | None, since: datetime | None, **options: Any) -> Any:
        if from_ is not None and since is not None:
            raise click.UsageError("--from and --since are alternatives: specify one of them.")
        return command(*args, since=since if from_ is None else from_, **options)

    for option in (
        click.option(
            "--to", "until", type=Time(), metavar="TIME",
            help="Only events received before this time, as in --from.",
        ),
        click.option(
            "--since", type=Time(is_relative=True), metavar="TIME|DURATION",
            help="Like --from, or within the last 30s, 15m, 2h or 7d.",
        ),
        click.option(
            "--from", "from_", type=Time(), metavar="TIME",
            help="Only events received at this time or later: 2026-01-31, 2026-01-31T23:59, "
            "2026-01-31T23:59:59.123Z or 2026-01-31T23:59:59+01:00; in UTC unless it has an offset.",
        ),
    ):  # fmt: skip
        with_range = option(with_range)
    return with_range
