"""``flask secrets``: keys that encrypt the secrets of webhook sources."""

import click

from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.webhooks.encryption import CannotDecrypt, NoSecretsKey, new_key
from vigilry_ingest.webhooks.sources import SourceRegistry

secrets_group = Group("secrets", help="Manage the keys that encrypt the secrets of webhook sources.")


@secrets_group.command("new-key")
def new_key_command() -> None:
    """Print a new key.

    Put it first in VIGILRY_SECRETS_KEYS or in VIGILRY_SECRETS_KEYS_FILE, restart the service, and run `flask
    secrets rotate`.
    """
    click.echo(new_key())


@secrets_group.command("rotate")
@json_option
@records("secret.reencrypt")
@failures_in_one_line
def rotate_command(as_json: bool) -> None:
    """Encrypt all secrets with the newest key.

    The older keys can be removed afterwards. May be stopped and run again.
    """
    registry = SourceRegistry(services().engine, services().secrets)
    total = changed = 0
    try:
        services().secrets.require_key()
        for was_old in registry.reencrypt():
            total += 1
            changed += was_old
    except (NoSecretsKey, CannotDecrypt) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        print_json({"secrets": total, "encrypted_again": changed})
    else:
        click.echo(f"{changed} of {total} secrets were encrypted again; all have the newest key now.")
