"""Options that several commands share: event filters, environments, and the lifetime of keys."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import click

from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.api_keys.format import ENVIRONMENTS
from vigilry_ingest.domain.event_kinds import event_kinds


def _pairs(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    for each in given:
        if "=" not in each:
            raise click.BadParameter(f"{each} is not NAME=VALUE.")
    return dict(each.split("=", 1) for each in given)


correlation_option = click.option(
    "--correlation", metavar="NAME=VALUE", multiple=True, callback=_pairs,
    help="Only events with this in their correlation; may be repeated.",
)  # fmt: skip


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that filter events."""
    for option in (
        click.option("--type", "type_", help="Only events of this type."),
        click.option("--kind", type=click.Choice(list(event_kinds())), help="Only events of this kind."),
        click.option("--severity", type=click.Choice(SEVERITIES), help="Only events of this severity."),
        click.option("--project", help="Only events of this project, given by name or id."),
    ):
        command = option(command)
    return command


def environment_option(help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for an environment."""
    return click.option(
        "--environment",
        type=click.Choice(ENVIRONMENTS),
        default="production",
        show_default=True,
        help=help_text,
    )


def expiry_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option for the lifetime of a key; ``default`` is shown in its help."""
    return click.option(
        "--expires-in-days", "lifetime", type=click.IntRange(1, 36_500), callback=_days,
        help="Days until the key expires; responses have a Sunset header for the last two weeks.  "
        f"[default: {default}]",
    )  # fmt: skip


def _days(_context: click.Context, _option: click.Parameter, given: int | None) -> timedelta | None:
    return None if given is None else timedelta(days=given)
