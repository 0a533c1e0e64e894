"""Output of webhook sources."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.text import Text

from vigilry_ingest.cli.output import coloured, minute, print_json, print_list
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import Source
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import provider_of

_COLUMNS = ["PROJECT", "SOURCE ID", "PROVIDER", "ENVIRONMENT", "STATE", "CREATED", "NAME"]


def source_url(source: Source, origin: str | None = None) -> str:
    """Return the URL of a source: at the public origin, or else where the service listens."""
    config = services().config
    local = "http://localhost" if config.bind.startswith("unix:") else f"http://{config.bind}"
    return f"{origin or config.public_url or local}/hooks/{source.id}"


def print_sources(sources: Sequence[Source], *, as_json: bool) -> None:
    """Print sources as lines of JSON or as a table."""
    print_list(
        sources,
        as_json=as_json,
        to_object=as_object,
        columns=_COLUMNS,
        to_cells=_as_row,
        if_none="There are no sources: add one with `flask sources add PROJECT --provider NAME`.",
    )


def print_added(source: Source, provider: Provider, *, as_json: bool) -> None:
    """Print a new source, and where its URL goes."""
    if as_json:
        print_json(as_object(source) | {"where": provider.where})
        return
    click.echo(click.style(source_url(source), bold=True))
    click.echo(
        f"This is the URL of {source.id}: {provider.title} to {source.project.name}, {source.environment}."
    )
    click.echo(f"Enter it at {provider.title}: {provider.where}")
    click.echo(f"Test it: flask sources test {source.id}")


def print_source(source: Source, *, as_json: bool) -> None:
    """Print the state of a source."""
    if as_json:
        print_json(as_object(source))
    else:
        click.echo(f"{source.id} of {source.project.name} is {_state(source)}.")


def show_source(source: Source, *, as_json: bool) -> None:
    """Print all that there is to know of a source, apart from its secrets."""
    if as_json:
        print_json(as_object(source))
        return
    provider = provider_of(source.provider, source.options)
    lines = {
        "url": source_url(source),
        "project": source.project.name,
        "environment": source.environment,
        "provider": f"{provider.title} ({source.provider})",
        "name": source.name or source.provider,
        "state": _state(source),
        "created": f"{minute(source.created_at)} UTC",
        "options": ", ".join(f"{name}={value}" for name, value in source.options.items()),
        "severities": ", ".join(f"{event}={value}" for event, value in source.severities.items()),
        "secrets": ", ".join(_lifetime(expires_at) for expires_at in _expiries(source)),
        "where": provider.where,
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<12} {value}")


def _state(source: Source) -> str:
    if source.project.archived_at:
        return "archived"
    return "disabled" if source.disabled_at else "live"


def _expiries(source: Source) -> list[datetime | None]:
    now = datetime.now(UTC)
    return [each.expires_at for each in source.secrets if each.is_valid(now)]


def _lifetime(expires_at: datetime | None) -> str:
    return "current" if expires_at is None else f"old, until {minute(expires_at)} UTC"


def _as_row(source: Source) -> tuple[str | Text, ...]:
    return (
        source.project.name,
        source.id,
        source.provider,
        source.environment,
        coloured(_state(source)),
        minute(source.created_at),
        source.name or "",
    )


def as_object(source: Source) -> dict[str, Any]:
    """Return a source as an object for JSON."""
    return {
        "source_id": source.id,
        "url": source_url(source),
        "provider": source.provider,
        "project_id": source.project_id,
        "project": source.project.name,
        "environment": source.environment,
        "name": source.name or source.provider,
        "state": _state(source),
        "options": source.options,
        "severities": source.severities,
        "secrets": [
            {"expires_at": expires_at.isoformat() if expires_at else None} for expires_at in _expiries(source)
        ],
        "created_at": source.created_at.isoformat(),
    }
