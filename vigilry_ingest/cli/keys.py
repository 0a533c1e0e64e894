"""``flask keys``: mint, list, rotate and revoke API keys."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click
from rich.text import Text

from vigilry_ingest.api_keys.registry import (
    UnknownKey,
    UnusableKey,
    list_keys,
    mint,
    revoke,
    rotate,
)
from vigilry_ingest.api_keys.restrictions import READ, SCOPES, origins_of, scopes_of
from vigilry_ingest.cli.base import FiniteRange, Group
from vigilry_ingest.cli.key_output import show_minted, show_rotated
from vigilry_ingest.cli.options import environment_option, expiry_option
from vigilry_ingest.cli.output import (
    MAX_NAME_LENGTH,
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
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import ApiKey

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
    if name is not None and (len(name) > MAX_NAME_LENGTH or not name.isprintable()):
        raise click.BadParameter(
            f"must be at most {MAX_NAME_LENGTH} printable characters.", param_hint="--name"
        )
    if READ in scopes and allowed_origins:
        raise click.BadParameter(
            "a key in a web page must not read: add --scope send.", param_hint="--allow-origin"
        )
    expires_at = None if lifetime is None else datetime.now(UTC) + lifetime
    pages = _checked_origins(allowed_origins)
    engine = services().engine
    minted = mint(engine, project, environment, name, expires_at=expires_at, scopes=scopes, origins=pages)
    show_minted(minted, as_json=as_json)


@keys_group.command("list")
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all keys, each by its visible start."""
    print_list(
        list_keys(services().engine),
        as_json=as_json,
        to_object=_as_object,
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
    try:
        rotated = rotate(services().engine, key_id, grace=grace, lifetime=lifetime)
    except UnknownKey as error:
        raise _unknown(key_id) from error
    except UnusableKey as error:
        raise click.ClickException(
            f"{key_id} is revoked or expired, or its project is archived: mint a new key instead."
        ) from error
    show_rotated(rotated, as_json=as_json)


@keys_group.command("revoke")
@click.argument("key_id")
@json_option
@records("key.revoke")
@failures_in_one_line
def revoke_command(key_id: str, as_json: bool) -> None:
    """Revoke the key KEY_ID.

    Takes effect on all web workers within VIGILRY_KEY_CACHE_TTL_S.
    """
    try:
        row = revoke(services().engine, key_id)
    except UnknownKey as error:
        raise _unknown(key_id) from error
    if as_json:
        print_json(_as_object(row))
    else:
        click.echo(f"Revoked {row.hint}… of {row.project.name} ({row.id}).")


def _checked_origins(texts: Sequence[str]) -> list[str]:
    try:
        return [each for text in texts for each in origins(text).split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--allow-origin") from None


def _unknown(key_id: str) -> click.ClickException:
    return click.ClickException(f"No key has the id {key_id}: see `flask keys list`.")


def _state(row: ApiKey) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at and row.expires_at <= datetime.now(UTC):
        return "expired"
    return "archived" if row.project.archived_at else "live"


def _as_row(row: ApiKey) -> tuple[str | Text, ...]:
    return (
        row.project.name,
        row.id,
        f"{row.hint}…",
        row.environment,
        ", ".join(scopes_of(row)),
        coloured(_state(row)),
        minute(row.created_at),
        minute(row.expires_at),
        minute(row.last_used_at),
        row.name or "",
    )


def _as_object(row: ApiKey) -> dict[str, str | list[str] | None]:
    return {
        "key_id": row.id,
        "hint": row.hint,
        "project_id": row.project_id,
        "project": row.project.name,
        "environment": row.environment,
        "name": row.name,
        "scopes": scopes_of(row),
        "origins": origins_of(row),
        "state": _state(row),
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
    }
