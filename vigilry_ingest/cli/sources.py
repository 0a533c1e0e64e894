"""``flask sources``: add, list, rotate and remove sources of webhooks, and test them."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import click

from vigilry_ingest.cli.base import FiniteRange, Group
from vigilry_ingest.cli.options import environment_option
from vigilry_ingest.cli.output import (
    MAX_NAME_LENGTH,
    failures_in_one_line,
    json_option,
    print_json,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.cli.source_options import provider_options, severity_option
from vigilry_ingest.cli.source_output import as_object, print_added, print_source, print_sources, show_source
from vigilry_ingest.cli.source_secret import read_secret, secret_option
from vigilry_ingest.cli.source_test import send_example
from vigilry_ingest.services import services
from vigilry_ingest.webhooks.encryption import CannotDecrypt, NoSecretsKey
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES, provider_of
from vigilry_ingest.webhooks.source_settings import InvalidSecret, SourceSettings, UnknownSource
from vigilry_ingest.webhooks.sources import SourceRegistry

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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
        except (NoSecretsKey, CannotDecrypt, InvalidSecret) as error:
            raise click.ClickException(str(error)) from error

    return guarded


def _registry() -> SourceRegistry:
    return SourceRegistry(services().engine, services().secrets)


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
@environment_option("The environment of its events.")
@secret_option
@severity_option
@provider_options
@json_option
@records("source.add")
@_failures_of_sources
def add_command(
    project: str,
    provider_name: str,
    name: str | None,
    environment: str,
    secret_file: str | None,
    severities: dict[str, str],
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
    secret = read_secret(provider, secret_file)
    settings = SourceSettings(project, environment, provider_name, name, given, severities)
    print_added(_registry().add(settings, secret), provider, as_json=as_json)


@sources_group.command("list")
@json_option
@_failures_of_sources
def list_command(as_json: bool) -> None:
    """List all sources."""
    print_sources(_registry().sources(), as_json=as_json)


@sources_group.command("show")
@click.argument("source_id")
@json_option
@_failures_of_sources
def show_command(source_id: str, as_json: bool) -> None:
    """Show the source SOURCE_ID.

    Prints its URL and options, and until when its secrets are valid.
    """
    show_source(_registry().get(source_id), as_json=as_json)


@sources_group.command("rotate")
@click.argument("source_id")
@secret_option
@click.option(
    "--grace-hours", type=FiniteRange(0, 8760), default=24.0, show_default=True,
    help="How long the old secret remains valid.",
)  # fmt: skip
@json_option
@records("source.rotate")
@_failures_of_sources
def rotate_command(source_id: str, secret_file: str | None, grace_hours: float, as_json: bool) -> None:
    """Add a new secret to the source SOURCE_ID.

    The old one remains valid for the grace period, because a provider signs with it until it has the new one,
    and many sign with both meanwhile.
    """
    registry = _registry()
    source = registry.get(source_id)
    secret = read_secret(provider_of(source.provider, source.options), secret_file)
    source = registry.rotate(source_id, secret, grace=timedelta(hours=grace_hours))
    if as_json:
        print_json(as_object(source))
    else:
        click.echo(f"{source.id} has a new secret; the old one is valid for {grace_hours:g} hours.")


@sources_group.command("disable")
@click.argument("source_id")
@json_option
@records("source.disable")
@_failures_of_sources
def disable_command(source_id: str, as_json: bool) -> None:
    """Refuse the deliveries of the source SOURCE_ID."""
    print_source(_registry().disable(source_id, is_disabled=True), as_json=as_json)


@sources_group.command("enable")
@click.argument("source_id")
@json_option
@records("source.enable")
@_failures_of_sources
def enable_command(source_id: str, as_json: bool) -> None:
    """Accept the deliveries of the source SOURCE_ID again."""
    print_source(_registry().disable(source_id, is_disabled=False), as_json=as_json)


@sources_group.command("remove")
@click.argument("source_id")
@json_option
@records("source.remove")
@_failures_of_sources
def remove_command(source_id: str, as_json: bool) -> None:
    """Remove the source SOURCE_ID and its secrets.

    Its events are kept. Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S.
    """
    source = _registry().remove(source_id)
    if as_json:
        print_json(as_object(source) | {"state": "removed"})
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
