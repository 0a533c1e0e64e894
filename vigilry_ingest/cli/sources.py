"""``flask sources``: add, list, rotate and remove sources of webhooks, and test them."""

from datetime import timedelta
from typing import Any

import click

from vigilry_ingest.administration.records import to_object
from vigilry_ingest.administration.request_fields import label_fault
from vigilry_ingest.cli.administration import administration, every, server_option
from vigilry_ingest.cli.base import FiniteRange, Group
from vigilry_ingest.cli.options import environment_option
from vigilry_ingest.cli.output import (
    failures_in_one_line,
    json_option,
    print_json,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.cli.source_options import provider_options, severity_option
from vigilry_ingest.cli.source_output import print_added, print_source, print_sources, show_source
from vigilry_ingest.cli.source_secret import read_secret, secret_option
from vigilry_ingest.cli.source_test import send_example
from vigilry_ingest.services import services
from vigilry_ingest.webhooks.providers import PROVIDER_NAMES, provider_of
from vigilry_ingest.webhooks.source_settings import SourceSettings
from vigilry_ingest.webhooks.sources import SourceRegistry

sources_group = Group("sources", help="Manage sources of webhooks.")


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
@server_option
@json_option
@records("source.add")
@failures_in_one_line
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
    if name is not None and (fault := label_fault(name)):
        raise click.BadParameter(fault, param_hint="--name")
    given = {option: value for option, value in options.items() if value is not None}
    try:
        provider = provider_of(provider_name, given)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    sources = administration().sources
    sources.check_secrets_key()
    secret = read_secret(provider, secret_file)
    settings = SourceSettings(project, environment, provider_name, name, given, severities)
    print_added(sources.add(settings, secret), provider, as_json=as_json)


@sources_group.command("list")
@server_option
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all sources."""
    found = every(
        administration().sources.page, lambda source: (source.project, source.created_at, source.source_id)
    )
    print_sources(found, as_json=as_json)


@sources_group.command("show")
@click.argument("source_id")
@server_option
@json_option
@failures_in_one_line
def show_command(source_id: str, as_json: bool) -> None:
    """Show the source SOURCE_ID.

    Prints its URL and options, and until when its secrets are valid.
    """
    show_source(administration().sources.get(source_id), as_json=as_json)


@sources_group.command("rotate")
@click.argument("source_id")
@secret_option
@click.option(
    "--grace-hours", type=FiniteRange(0, 8760), default=24.0, show_default=True,
    help="How long the old secret remains valid.",
)  # fmt: skip
@server_option
@json_option
@records("source.rotate")
@failures_in_one_line
def rotate_command(source_id: str, secret_file: str | None, grace_hours: float, as_json: bool) -> None:
    """Add a new secret to the source SOURCE_ID.

    The old one remains valid for the grace period, because a provider signs with it until it has the new one,
    and many sign with both meanwhile.
    """
    sources = administration().sources
    source = sources.get(source_id)
    secret = read_secret(provider_of(source.provider, source.options), secret_file)
    source = sources.rotate(source_id, secret, grace=timedelta(hours=grace_hours))
    if as_json:
        print_json(to_object(source))
    else:
        click.echo(f"{source.source_id} has a new secret; the old one is valid for {grace_hours:g} hours.")


@sources_group.command("disable")
@click.argument("source_id")
@server_option
@json_option
@records("source.disable")
@failures_in_one_line
def disable_command(source_id: str, as_json: bool) -> None:
    """Refuse the deliveries of the source SOURCE_ID."""
    print_source(administration().sources.disable(source_id, is_disabled=True), as_json=as_json)


@sources_group.command("enable")
@click.argument("source_id")
@server_option
@json_option
@records("source.enable")
@failures_in_one_line
def enable_command(source_id: str, as_json: bool) -> None:
    """Accept the deliveries of the source SOURCE_ID again."""
    print_source(administration().sources.disable(source_id, is_disabled=False), as_json=as_json)


@sources_group.command("remove")
@click.argument("source_id")
@server_option
@json_option
@records("source.remove")
@failures_in_one_line
def remove_command(source_id: str, as_json: bool) -> None:
    """Remove the source SOURCE_ID and its secrets.

    Its events are kept. Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S.
    """
    source = administration().sources.remove(source_id)
    if as_json:
        print_json(to_object(source) | {"state": "removed"})
    else:
        click.echo(f"Removed {source.source_id}: {source.provider} to {source.project}.")


@sources_group.command("test")
@click.argument("source_id")
@click.option("--url", help="The origin to send to.  [default: VIGILRY_PUBLIC_URL, else VIGILRY_BIND]")
@json_option
@click.pass_context
@failures_in_one_line
def test_command(context: click.Context, source_id: str, url: str | None, as_json: bool) -> None:
    """Send a signed example to the source SOURCE_ID.

    Prints whether it was accepted and processed. The exit code is 1 if it was refused, or was not processed
    within ten seconds.
    """
    registry = SourceRegistry(services().engine, services().secrets)
    source = registry.get(source_id)
    outcome = send_example(source, registry.secret_of(source), url)
    if as_json:
        print_json(outcome._asdict())
    else:
        click.echo(outcome.describe())
    if outcome.state != "processed":
        context.exit(1)
