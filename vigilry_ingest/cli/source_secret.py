"""The secret of a webhook source: in a file, from standard input, or asked for without echo."""

import secrets
import sys
from pathlib import Path

import click

from vigilry_ingest.webhooks.provider import Provider

_SECRET_BYTES = 32

secret_option = click.option(
    "--secret-file", type=click.Path(dir_okay=False, allow_dash=True),
    help="File with the secret, or - for standard input; without it the secret is asked for.",
)  # fmt: skip


def read_secret(provider: Provider, path: str | None) -> str:
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
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        click.echo(f"The secret is {secret}\nIt will not be shown again.", err=True)
    return secret
