"""The options that several commands share: those that narrow events down, and a key's expiry."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.domain.event_kinds import event_kinds


def _pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for each in given:
        if "=" not in each:
            raise click.BadParameter(f"{each} is not NAME=VALUE.")
    return dict(each.split("=", 1) for each in given)


_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"])

correlation_option = click.option(
    "--correlation", metavar="NAME=VALUE", multiple=True, callback=_pairs,
    help="Only events with this in their correlation; may be repeated.",
)  # fmt: skip


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow events down."""
    for option in (
        click.option("--type", "type_", help="Only events of this type."),
        click.option("--kind", type=click.Choice(list(event_kinds())), help="Only events of this kind."),
        click.option("--severity", type=click.Choice(SEVERITIES), help="Only events of this severity."),
        click.option("--project", help="Only this project's events, by its name or id."),
    ):
        command = option(command)
    return command


def time_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a time range, in UTC."""
    command = click.option("--to", "until", type=_MOMENT, help="Received before this moment, in UTC.")(
        command
    )
    return click.option("--from", "since", type=_MOMENT, help="Received at this moment or later, in UTC.")(
        command
    )


def utc(moment: datetime | None) -> datetime | None:
    """Take a moment that was typed without a zone for one in UTC."""
    return None if moment is None else moment.replace(tzinfo=UTC)


def expiry_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option of a key's lifetime; `default` is told."""
    return click.option(
        "--expires-in-days", "lifetime", type=click.IntRange(1, 36_500), callback=_days,
        help=f"Let the key expire; in its last two weeks answers say when (Sunset).  [default: {default}]",
    )  # fmt: skip


def _days(_context: click.Context, _option: click.Parameter, given: int | None) -> timedelta | None:
    return None if given is None else timedelta(days=given)
