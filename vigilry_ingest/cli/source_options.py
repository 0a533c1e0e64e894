"""Options of ``flask sources add``: severities, and what describes a provider without a declaration."""

from collections.abc import Callable
from typing import Any

import click

from vigilry_ingest.api.schemas.fields import SEVERITIES


def _severities(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for each in given:
        event, sign, severity = each.rpartition("=")
        if not sign or not event or severity not in SEVERITIES:
            raise click.BadParameter(f"{each} is not EVENT=SEVERITY with one of {', '.join(SEVERITIES)}.")
        pairs[event] = severity
    return pairs


severity_option = click.option(
    "--severity", "severities", metavar="EVENT=SEVERITY", multiple=True, callback=_severities,
    help="The severity of an event, or of one with an action, such as issues.opened=WARN; may be repeated.",
)  # fmt: skip


def provider_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options; each is None unless it is given."""
    for option in (
        click.option(
            "--delivery-id",
            metavar="WHERE",
            help="The header or the JSON pointer of the delivery's id; a repeated id is stored once.",
        ),
        click.option(
            "--event",
            metavar="WHERE",
            help="The header, or the JSON pointer such as /data/type, of the event's name.",
        ),
        click.option(
            "--tolerance-s", type=click.IntRange(1, 86_400), help="Seconds that the clocks may differ."
        ),
        click.option("--id-header", help="The header of {id}."),
        click.option("--timestamp-header", help="The header of {timestamp}, in seconds."),
        click.option(
            "--key-encoding", type=click.Choice(("text", "base64")), help="How the secret is written."
        ),
        click.option(
            "--signed-text",
            help="What is signed: {body}, perhaps after {timestamp} or {id}, as in {timestamp}.{body}",
        ),
        click.option("--prefix", help="What precedes the signature in its header, such as sha256="),
        click.option(
            "--encoding", type=click.Choice(("hex", "base64")), help="How the signature is written."
        ),
        click.option(
            "--algorithm",
            type=click.Choice(("sha1", "sha256", "sha384", "sha512")),
            help="The hash function of the HMAC.",
        ),
        click.option("--header", help="The header of the signature, or of the token."),
    ):
        command = option(command)
    return command
