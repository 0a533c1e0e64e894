"""``flask secrets``: keys that encrypt the secrets of webhook sources."""

import click

from vigilry_ingest.administration.records import to_object
from vigilry_ingest.cli.administration import administration, server_option
from vigilry_ingest.cli.base import Group, offline
from vigilry_ingest.cli.output import failures_in_one_line, json_option, print_json
from vigilry_ingest.cli.recording import records
from vigilry_ingest.webhooks.encryption import new_key

secrets_group = Group("secrets", help="Manage the keys that encrypt the secrets of webhook sources.")


@secrets_group.command("new-key")
@offline
def new_key_command() -> None:
    """Print a new key.

    Put it first in VIGILRY_SECRETS_KEYS or in VIGILRY_SECRETS_KEYS_FILE, restart the service, and run `flask
    secrets rotate`.
    """
    click.echo(new_key())


@secrets_group.command("rotate")
@server_option
@json_option
@records("secret.reencrypt")
@failures_in_one_line
def rotate_command(as_json: bool) -> None:
    """Encrypt all secrets with the newest key.

    The older keys can be removed afterwards. May be stopped and run again.
    """
    done = administration().sources.reencrypt()
    if as_json:
        print_json(to_object(done))
    else:
        changed = f"{done.encrypted_again} of {done.secrets} secrets were encrypted again"
        click.echo(f"{changed}; all have the newest key now.")
