"""``flask sources``: add, list, rotate and remove sources of webhooks, and test them."""

import json
import secrets as random_secrets
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from rich.text import Text

from vigilry_ingest.api.schemas.fields import SEVERITIES
from vigilry_ingest.api_keys.format import ENVIRONMENTS
from vigilry_ingest.cli.base import FiniteRange, Group
from vigilry_ingest.cli.output import (
    MAX_NAME_LENGTH,
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.cli.source_options import provider_options
from vigilry_ingest.cli.source_test import send_example, source_url
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import Source
from vigilry_ingest.webhooks.encryption import CannotDecrypt, NoSecretsKey
from vigilry_ingest.webhooks.provider import Provider
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES, provider_of
from vigilry_ingest.webhooks.sources import (
    ArchivedProject,
    InvalidSecret,
    SourceRegistry,
    SourceSettings,
    UnknownSource,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_COLUMNS = ["PROJECT", "SOURCE ID", "PROVIDER", "ENVIRONMENT", "STATE", "CREATED", "NAME"]
_SECRET_BYTES = 32

sources_group = Group("sources", help="Manage sources of webhooks.")


def _failures_of_sources(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Report errors of sources, besides those of the database, in one line."""

    @wraps(command)
    @failures_in_one_line
    def guarded(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*args, **options)
        except UnknownSource as error:
            message = f"No source has the id {error}: see `flask sources list`."
            raise click.ClickException(message) from error
        except ArchivedProject as error:
            message = f"{error} is archived: restore it with `flask projects unarchive`."
            raise click.ClickException(message) from error
        except (NoSecretsKey, CannotDecrypt, InvalidSecret) as error:
            raise click.ClickException(str(error)) from error

    return guarded


def _registry() -> SourceRegistry:
    return SourceRegistry(services().engine, services().secrets)


_secret_option = click.option(
    "--secret-file", type=click.Path(dir_okay=False, allow_dash=True),
    help="File with the secret, or - for standard input; without it the secret is asked for.",
)  # fmt: skip


@sources_group.command("add")
@click.argument("project")
@click.option(
    "--provider",
    "provider_name",
    type=click.Choice(PROVIDER_NAMES),
    required=True,
    metavar="NAME",
    help=f"Who sends: {', '.join(PROVIDER_NAMES)}.",
)
@click.option("--name", help="The source of its events.  [default: the provider's name]")
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default="production",
    show_default=True,
    help="The environment of its events.",
)
@_secret_option
@click.option(
    "--severity", "severities", metavar="EVENT=SEVERITY", multiple=True,
    help="The severity of an event, or of one with an action, such as issues.opened=WARN; may be repeated.",
)  # fmt: skip
@provider_options
@json_option
@_failures_of_sources
def add_command(
    project: str,
    provider_name: str,
    name: str | None,
    environment: str,
    secret_file: str | None,
    severities: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Add a source of webhooks to PROJECT.

    Prints the URL for the provider's settings. The secret is the one that the provider shows, or one that you
    choose and enter there too. It is stored encrypted, with a key from VIGILRY_SECRETS_KEYS or
    VIGILRY_SECRETS_KEYS_FILE.
    """
    if name is not None and (not name.strip() or len(name) > MAX_NAME_LENGTH or not name.isprintable()):
        raise click.BadParameter(f"must be 1 to {MAX_NAME_LENGTH} printable characters.", param_hint="--name")
    given = {option: value for option, value in options.items() if value is not None}
    try:
        provider = provider_of(provider_name, given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    services().secrets.require_key()
    secret = _read_secret(provider, secret_file)
    settings = SourceSettings(project, environment, provider_name, name, given, _severities(severities))
    source = _registry().add(settings, secret)
    url = source_url(source)
    if as_json:
        print_json(_as_object(source) | {"where": provider.where})
        return
    click.echo(click.style(url, bold=True))
    click.echo(f"This is the URL of {source.id}: {provider.title} to {source.project.name}, {environment}.")
    click.echo(f"Enter it at {provider.title}: {provider.where}")
    click.echo(f"Test it: flask sources test {source.id}")


def _read_secret(provider: Provider, path: str | None) -> str:
    """Return the secret in a file or from standard input, or ask for it."""
    if path is not None:
        try:
            text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
        except (OSError, ValueError):
            raise click.BadParameter(f"{path} cannot be read.", param_hint="--secret-file") from None
        return text.removesuffix("\n").removesuffix("\r")
    if not provider.secret_is_chosen:
        secret: str = click.prompt("Secret", hide_input=True, err=True)
        return secret
    secret = click.prompt(
        "Secret (leave empty to make one)", default="", hide_input=True, show_default=False, err=True
    )
    if not secret:
        secret = random_secrets.token_urlsafe(_SECRET_BYTES)
        click.echo(f"The secret is {secret}\nIt will not be shown again.", err=True)
    return secret


def _severities(given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in given:
        event, sign, severity = each.rpartition("=")
        if not sign or not event or severity not in SEVERITIES:
            raise click.BadParameter(
                f"{each} is not EVENT=SEVERITY with one of {', '.join(SEVERITIES)}.", param_hint="--severity"
            )
        pairs[event] = severity
    return pairs


@sources_group.command("list")
@json_option
@_failures_of_sources
def list_command(as_json: bool) -> None:
    """List all sources."""
    print_list(
        _registry().sources(),
        as_json=as_json,
        to_object=_as_object,
        columns=_COLUMNS,
        to_cells=_as_row,
        if_none="There are no sources: add one with `flask sources add PROJECT --provider NAME`.",
    )


@sources_group.command("show")
@click.argument("source_id")
@json_option
@_failures_of_sources
def show_command(source_id: str, as_json: bool) -> None:
    """Show the source SOURCE_ID.

    Prints its URL and options, and until when its secrets are valid.
    """
    source = _registry().get(source_id)
    if as_json:
        print_json(_as_object(source))
        return
    provider = provider_of(source.provider, json.loads(source.options))
    lines = {
        "url": source_url(source),
        "project": source.project.name,
        "environment": source.environment,
        "provider": f"{provider.title} ({source.provider})",
        "name": source.name or source.provider,
        "state": _state(source),
        "created": f"{minute(source.created_at)} UTC",
        "options": ", ".join(f"{name}={value}" for name, value in json.loads(source.options).items()),
        "severities": ", ".join(f"{event}={value}" for event, value in json.loads(source.severities).items()),
        "secrets": ", ".join(_lifetime(expires_at) for expires_at in _expiries(source)),
        "where": provider.where,
    }
    for name, value in lines.items():
        if value:
            click.echo(f"{name:<12} {value}")


@sources_group.command("rotate")
@click.argument("source_id")
@_secret_option
@click.option(
    "--grace-hours", type=FiniteRange(0, 8760), default=24.0, show_default=True,
    help="How long the old secret remains valid.",
)  # fmt: skip
@json_option
@_failures_of_sources
def rotate_command(source_id: str, secret_file: str | None, grace_hours: float, as_json: bool) -> None:
    """Add a new secret to the source SOURCE_ID.

    The old one remains valid for the grace period, because a provider signs with it until it has the new one,
    and many sign with both meanwhile.
    """
    registry = _registry()
    source = registry.get(source_id)
    secret = _read_secret(provider_of(source.provider, json.loads(source.options)), secret_file)
    source = registry.rotate(source_id, secret, grace=timedelta(hours=grace_hours))
    if as_json:
        print_json(_as_object(source))
    else:
        click.echo(f"{source.id} has a new secret; the old one is valid for {grace_hours:g} hours.")


@sources_group.command("disable")
@click.argument("source_id")
@json_option
@_failures_of_sources
def disable_command(source_id: str, as_json: bool) -> None:
    """Refuse the deliveries of the source SOURCE_ID."""
    _print_source(_registry().disable(source_id, is_disabled=True), as_json=as_json)


@sources_group.command("enable")
@click.argument("source_id")
@json_option
@_failures_of_sources
def enable_command(source_id: str, as_json: bool) -> None:
    """Accept the deliveries of the source SOURCE_ID again."""
    _print_source(_registry().disable(source_id, is_disabled=False), as_json=as_json)


@sources_group.command("remove")
@click.argument("source_id")
@json_option
@_failures_of_sources
def remove_command(source_id: str, as_json: bool) -> None:
    """Remove the source SOURCE_ID and its secrets.

    Its events are kept. Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S.
    """
    source = _registry().remove(source_id)
    if as_json:
        print_json(_as_object(source) | {"state": "removed"})
    else:
        click.echo(f"Removed {source.id}: {source.provider} to {source.project.name}.")


@sources_group.command("test")
@click.argument("source_id")
@click.option("--url", help="The origin to send to.  [default: VIGILRY_PUBLIC_URL, else VIGILRY_BIND]")
@json_option
@click.pass_context
@_failures_of_sources
def test_command(context: click.Context, source_id: str, url: str | None, as_json: bool) -> None:
    """Send a signed example to the source SOURCE_ID.

    Prints whether it was accepted and processed. The exit code is 1 if it was refused, or was not processed
    within ten seconds.
    """
    registry = _registry()
    source = registry.get(source_id)
    outcome = send_example(source, registry.secret_of(source), url)
    if as_json:
        print_json(outcome._asdict())
    else:
        click.echo(outcome.describe())
    if outcome.state != "processed":
        context.exit(1)


def _print_source(source: Source, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_object(source))
    else:
        click.echo(f"{source.id} of {source.project.name} is {_state(source)}.")


def _state(source: Source) -> str:
    if source.project.archived_at:
        return "archived"
    return "disabled" if source.disabled_at else "live"


def _expiries(source: Source) -> list[datetime | None]:
    now = datetime.now(UTC)
    return [each.expires_at for each in source.secrets if each.expires_at is None or each.expires_at > now]


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


def _as_object(source: Source) -> dict[str, Any]:
    return {
        "source_id": source.id,
        "url": source_url(source),
        "provider": source.provider,
        "project_id": source.project_id,
        "project": source.project.name,
        "environment": source.environment,
        "name": source.name or source.provider,
        "state": _state(source),
        "options": json.loads(source.options),
        "severities": json.loads(source.severities),
        "secrets": [
            {"expires_at": expires_at.isoformat() if expires_at else None} for expires_at in _expiries(source)
        ],
        "created_at": source.created_at.isoformat(),
    }
