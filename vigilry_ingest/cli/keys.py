"""``flask keys``: mint, list, rotate and revoke API keys."""

from collections.abc import Sequence
from datetime import timedelta

import click
from rich.text import Text

from vigilry_ingest.administration.protocols import KeySettings
from vigilry_ingest.administration.records import KeyRecord, to_object
from vigilry_ingest.administration.request_fields import label_fault
from vigilry_ingest.api_keys.restrictions import READ, SCOPES
from vigilry_ingest.cli.administration import administration, every, server_option
from vigilry_ingest.cli.base import FiniteRange, Group
from vigilry_ingest.cli.key_output import show_minted, show_rotated
from vigilry_ingest.cli.options import environment_option, expiry_option
from vigilry_ingest.cli.output import (
    check_name,
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.config.parsers import origins

_COLUMNS = [
    "PROJECT",
    "KEY ID",
    "KEY",
    "ENVIRONMENT",
    "SCOPES",
    "STATE",
    "CREATED",
    "EXPIRES",
    "LAST USED",
    "NAME",
]

keys_group = Group("keys", help="Manage API keys.")


@keys_group.command("mint")
@click.argument("project")
@environment_option("Production keys begin with vig_live_, the others with vig_test_.")
@click.option("--name", help="A name for the key, shown in the list.")
@expiry_option("never")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    default=SCOPES,
    show_default="all",
    help="What the key may do: send events, read the status of jobs. May be repeated.",
)
@click.option(
    "--allow-origin",
    "allowed_origins",
    metavar="ORIGIN",
    multiple=True,
    help="An origin whose web pages may use the key, such as https://shop.example, or * for any; needs "
    "--scope send. May be repeated.",
)
@server_option
@json_option
@records("project.create", "key.mint")
@failures_in_one_line
def mint_command(
    project: str,
    environment: str,
    name: str | None,
    lifetime: timedelta | None,
    scopes: tuple[str, ...],
    allowed_origins: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make an API key for PROJECT.

    The project is created if it does not exist; its name may not start or end with a space. A project may
    have several keys. The key is shown only once.
    """
    check_name(project, "PROJECT")
    if name is not None and (fault := label_fault(name)):
        raise click.BadParameter(fault, param_hint="--name")
    if READ in scopes and allowed_origins:
        raise click.BadParameter(
            "a key in a web page must not read: add --scope send.", param_hint="--allow-origin"
        )
    pages = _checked_origins(allowed_origins)
    settings = KeySettings(project, environment, name, lifetime, scopes, pages)
    show_minted(administration().keys.mint(settings), as_json=as_json)


@keys_group.command("list")
@server_option
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all keys, each by its visible start."""
    print_list(
        every(administration().keys.page, lambda key: (key.project, key.created_at, key.key_id)),
        as_json=as_json,
        to_object=to_object,
        columns=_COLUMNS,
        to_cells=_as_row,
        if_none="There are no keys: make one with `flask keys mint PROJECT`.",
    )


@keys_group.command("rotate")
@click.argument("key_id")
@click.option(
    "--grace-hours", type=FiniteRange(0, 8760), default=24.0, show_default=True,
    help="How long the old key keeps working.",
)  # fmt: skip
@expiry_option("the lifetime of the old key")
@server_option
@json_option
@records("key.rotate", "key.mint")
@failures_in_one_line
def rotate_command(key_id: str, grace_hours: float, lifetime: timedelta | None, as_json: bool) -> None:
    """Replace the key KEY_ID with a new one.

    The new key has the same project, environment, name, scopes and origins. The old one expires after the
    grace period, or earlier if it was due to. A key may be rotated more than once; all of its successors
    work.
    """
    grace = timedelta(hours=grace_hours)
    show_rotated(administration().keys.rotate(key_id, grace=grace, lifetime=lifetime), as_json=as_json)


@keys_group.command("revoke")
@click.argument("key_id")
@server_option
@json_option
@records("key.revoke")
@failures_in_one_line
def revoke_command(key_id: str, as_json: bool) -> None:
    """Revoke the key KEY_ID.

    Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S.
    """
    key = administration().keys.revoke(key_id)
    if as_json:
        print_json(to_object(key))
    else:
        click.echo(f"Revoked {key.hint}… of {key.project} ({key.key_id}).")


def _checked_origins(texts: Sequence[str]) -> list[str]:
    try:
        return [each for text in texts for each in origins(text).split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--allow-origin") from None


def _as_row(key: KeyRecord) -> tuple[str | Text, ...]:
    return (
        key.project,
        key.key_id,
        f"{key.hint}…",
        key.environment,
        ", ".join(key.scopes),
        coloured(key.state),
        minute(key.created_at),
        minute(key.expires_at),
        minute(key.last_used_at),
        key.name or "",
    )
