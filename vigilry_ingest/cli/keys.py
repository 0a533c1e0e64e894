"""``flask keys``: minting, listing and revoking API keys."""

from datetime import UTC, datetime

import click
from flask.cli import AppGroup

from vigilry_ingest.cli.people import failures_in_one_line, json_option, print_json, print_table
from vigilry_ingest.db.models import ApiKey
from vigilry_ingest.keys.format import ENVIRONMENTS
from vigilry_ingest.keys.registry import Minted, UnknownKey, list_keys, mint, revoke
from vigilry_ingest.services import services

_LONGEST_NAME = 200

keys_group = AppGroup("keys", help="API keys: mint, list, revoke.")


@keys_group.command("mint")
@click.argument("project")
@click.option(
    "--environment",
    type=click.Choice(ENVIRONMENTS),
    default="production",
    show_default=True,
    help="Production keys begin with vig_live_, the others with vig_test_.",
)
@click.option("--name", help="What the key is for, to know it by in the list.")
@json_option
@failures_in_one_line
def mint_command(project: str, environment: str, name: str | None, as_json: bool) -> None:
    """Make an API key for PROJECT.

    Makes the project too when it is new. The key is shown this once.
    """
    if not project.strip() or len(project) > _LONGEST_NAME or not project.isprintable():
        raise click.BadParameter(f"must be 1 to {_LONGEST_NAME} printable characters.", param_hint="PROJECT")
    if name is not None and (len(name) > _LONGEST_NAME or not name.isprintable()):
        raise click.BadParameter(
            f"must be at most {_LONGEST_NAME} printable characters.", param_hint="--name"
        )
    minted = mint(services().engine, project, environment, name)
    if as_json:
        print_json(minted._asdict())
    else:
        click.echo(_announcement(minted))


def _announcement(minted: Minted) -> str:
    bind = services().config.bind
    where = f"http://{bind}" if ":" in bind and not bind.startswith("unix:") else "http://127.0.0.1:4100"
    return f"""\
{click.style(minted.api_key, bold=True)}
is the {minted.environment} key of {minted.project} ({minted.key_id}). It is not shown again. Try it:

curl -i {where}/ingest/events -H 'X-Api-Key: {minted.api_key}' -H 'Content-Type: application/json' \
-d '{{"type":"hello","severity":"INFO","message":"My first event"}}'"""


@keys_group.command("list")
@json_option
@failures_in_one_line
def list_command(as_json: bool) -> None:
    """List every key by its hint."""
    rows = list_keys(services().engine)
    if as_json:
        for row in rows:
            print_json(_as_object(row))
    elif rows:
        columns = ("PROJECT", "KEY ID", "KEY", "ENVIRONMENT", "STATE", "CREATED", "NAME")
        print_table("", columns, [_as_row(row) for row in rows])
    else:
        click.echo("No keys yet: make one with `flask keys mint PROJECT`.")


@keys_group.command("revoke")
@click.argument("key_id")
@json_option
@failures_in_one_line
def revoke_command(key_id: str, as_json: bool) -> None:
    """Refuse the key KEY_ID from now on.

    Holds on every worker within VIGILRY_KEY_CACHE_TTL_S.
    """
    try:
        row = revoke(services().engine, key_id)
    except UnknownKey as error:
        raise click.ClickException(f"No key has the id {key_id}: see `flask keys list`.") from error
    if as_json:
        print_json(_as_object(row))
    else:
        click.echo(f"Revoked {row.hint}… of {row.project.name} ({row.id}).")


def _state(row: ApiKey) -> str:
    if row.revoked_at:
        return "revoked"
    return "expired" if row.expires_at and row.expires_at <= datetime.now(UTC) else "live"


def _as_row(row: ApiKey) -> tuple[str, ...]:
    created = row.created_at.strftime("%Y-%m-%d %H:%M")
    return row.project.name, row.id, f"{row.hint}…", row.environment, _state(row), created, row.name or ""


def _as_object(row: ApiKey) -> dict[str, str | None]:
    return {
        "key_id": row.id,
        "hint": row.hint,
        "project_id": row.project_id,
        "project": row.project.name,
        "environment": row.environment,
        "name": row.name,
        "state": _state(row),
        "created_at": row.created_at.isoformat(),
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }
