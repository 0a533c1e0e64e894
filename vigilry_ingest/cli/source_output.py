"""Output of webhook sources."""

from collections.abc import Sequence
from datetime import datetime

import click
from rich.text import Text

from vigilry_ingest.administration.records import SourceRecord, to_object
from vigilry_ingest.cli.output import coloured, minute, print_json, print_list
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import provider_of

_COLUMNS = ["PROJECT", "SOURCE ID", "PROVIDER", "ENVIRONMENT", "STATE", "CREATED", "NAME"]


def print_sources(sources: Sequence[SourceRecord], *, as_json: bool) -> None:
    """Print sources as lines of JSON or as a table."""
    print_list(
        sources,
        as_json=as_json,
        to_object=to_object,
        columns=_COLUMNS,
        to_cells=_as_row,
        if_none="There are no sources: add one with `flask sources add PROJECT --provider NAME`.",
    )


def print_added(source: SourceRecord, provider: Provider, *, as_json: bool) -> None:
    """Print a new source, and where its URL goes."""
    if as_json:
        print_json(to_object(source) | {"where": provider.where})
        return
    click.echo(click.style(source.url, bold=True))
    click.echo(
        f"This is the URL of {source.source_id}: {provider.title} to {source.project}, {source.environment}."
    )
    click.echo(f"Enter it at {provider.title}: {provider.where}")
    click.echo(f"Test it: flask sources test {source.source_id}")


def print_source(source: SourceRecord, *, as_json: bool) -> None:
    """Print the state of a source."""
    if as_json:
        print_json(to_object(source))
    else:
        click.echo(f"{source.source_id} of {source.project} is {source.state}.")


def show_source(source: SourceRecord, *, as_json: bool) -> None:
    """Print all that there is to know of a source, apart from its secrets."""
    if as_json:
        print_json(to_object(source))
        return
    provider = provider_of(source.provider, source.options)
    lines = {
        "url": source.url,
        "project": source.project,
        "environment": source.environment,
        "provider": f"{provider.title} ({source.provider})",
        "name": source.name,
        "state": source.state,
        "created": f"{minute(source.created_at)} UTC",
        "options": ", ".join(f"{name}={value}" for name, value in source.options.items()),
        "severities": ", ".join(f"{event}={value}" for event, value in source.severities.items()),
        "secrets": ", ".join(_lifetime(secret.expires_at) for secret in source.secrets),
        "where": provider.where,
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<12} {value}")


def _lifetime(expires_at: datetime | None) -> str:
    return "current" if expires_at is None else f"old, until {minute(expires_at)} UTC"


def _as_row(source: SourceRecord) -> tuple[str | Text, ...]:
    return (
        source.project,
        source.source_id,
        source.provider,
        source.environment,
        coloured(source.state),
        minute(source.created_at),
        source.name,
    )
