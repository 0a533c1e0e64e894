"""``flask admin-keys``: mint, list and revoke the keys of the admin API."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from vigilry_ingest.api_keys.admin_keys import (
    ADMIN_SCOPES,
    DEFAULT_LIFETIME,
    AdminKeyNameTaken,
    UnknownAdminKey,
    admin_scopes_of,
    list_admin_keys,
    mint_admin_key,
    revoke_admin_key,
)
from vigilry_ingest.cli.base import Group
from vigilry_ingest.cli.output import (
    coloured,
    failures_in_one_line,
    json_option,
    minute,
    print_json,
    print_list,
)
from vigilry_ingest.cli.recording import records
from vigilry_ingest.services import services
from vigilry_ingest.storage.models import AdminKey

# Short and plain, because it is part of the name in the audit log.
_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,60}")
_SCOPES_HELP = "; ".join(f"{scope}: {meaning}" for scope, meaning in ADMIN_SCOPES.items())

admin_keys_group = Group("admin-keys", help="Manage the keys of the admin API.")


@admin_keys_group.command("mint")
@click.argument("name")
@click.option(
    "--scope", "scopes", type=click.Choice(list(ADMIN_SCOPES)), multiple=True, required=True,
    help=f"What the key may do. {_SCOPES_HELP}. May be repeated.",
)  # fmt: skip
@click.option(
    "--expires-in-days", type=click.IntRange(1, 3650), default=DEFAULT_LIFETIME.days, show_default=True,
    help="Days until the key expires.",
)  # fmt: skip
@json_option
@records("admin_key.mint")
@failures_in_one_line
def mint_command(name: str, scopes: tuple[str, ...], expires_in_days: int, as_json: bool) -> None:
    """Make an admin key with the name NAME.

    The name is in the audit log with each change, so no other live key may have it. The key is shown only
    once. It cannot make other admin keys.
    """
    if not _NAME.fullmatch(name):
        message = "must be 1 to 60 letters, digits and . _ @ + -"
        raise click.BadParameter(message, param_hint="NAME")
    lifetime = timedelta(days=expires_in_days)
    try:
        minted = mint_admin_key(services().engine, name, scopes, lifetime=lifetime)
    except AdminKeyNameTaken as error:
        raise click.ClickException(f"Another live admin key has the name {name}.") from error
    if as_json:
        print_json({"admin_key": minted.admin_key} | _as_object(minted.row))
        return
    click.echo(click.style(minted.admin_key, bold=True))
    click.echo(f"This is the admin key {name} ({minted.row.id}). It will not be shown again.")
    click.echo(f"It expires at {minute(minted.row.expires_at)} UTC.")
    click.echo("Set VIGILRY_ADMIN_KEY to it, and VIGILRY_SERVER to the URL of the admin API.")


@admin_keys_group.command("list")
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List all admin keys, each by its visible start."""
    print_list(
        list_admin_keys(services().engine),
        as_json=as_json,
        to_object=_as_object,
        columns=("NAME", "KEY ID", "KEY", "SCOPES", "STATE", "CREATED", "EXPIRES"),
        to_cells=lambda row: (
            row.name, row.id, f"{row.hint}…", ", ".join(admin_scopes_of(row)), coloured(_state(row)),
            minute(row.created_at), minute(row.expires_at),
        ),
        if_none="There are no admin keys: make one with `flask admin-keys mint NAME --scope SCOPE`.",
    )  # fmt: skip


@admin_keys_group.command("revoke")
@click.argument("key_id")
@json_option
@records("admin_key.revoke")
@failures_in_one_line
def revoke_command(key_id: str, as_json: bool) -> None:
    """Revoke the admin key KEY_ID.

    Takes effect within a second.
    """
    try:
        row = revoke_admin_key(services().engine, key_id)
    except UnknownAdminKey as error:
        raise click.ClickException(
            f"No admin key has the id {key_id}: see `flask admin-keys list`."
        ) from error
    if as_json:
        print_json(_as_object(row))
    else:
        click.echo(f"Revoked {row.hint}… of {row.name} ({row.id}).")


def _state(row: AdminKey) -> str:
    if row.revoked_at:
        return "revoked"
    return "expired" if row.expires_at <= datetime.now(UTC) else "live"


def _as_object(row: AdminKey) -> dict[str, Any]:
    return {
        "key_id": row.id,
        "name": row.name,
        "hint": row.hint,
        "scopes": admin_scopes_of(row),
        "state": _state(row),
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }
