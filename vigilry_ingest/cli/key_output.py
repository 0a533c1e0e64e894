"""Output of new keys, with a command that sends a first event."""

from shlex import quote

import click

from vigilry_ingest.api_keys.registry import Minted, Rotated
from vigilry_ingest.api_keys.restrictions import SEND
from vigilry_ingest.cli.output import minute, print_json
from vigilry_ingest.services import services

_EVENT = '{"type":"hello","severity":"INFO","message":"My first event"}'


def show_minted(minted: Minted, *, as_json: bool) -> None:
    """Print a new key."""
    if as_json:
        print_json(_as_object(minted))
    else:
        click.echo(_announcement(minted))


def show_rotated(rotated: Rotated, *, as_json: bool) -> None:
    """Print the successor of a key, and when the key itself expires."""
    successor, old_key_id, old_expires_at, younger_key_id = rotated
    if as_json:
        old = {
            "old_key_id": old_key_id,
            "old_expires_at": old_expires_at.isoformat(),
            "younger_key_id": younger_key_id,
        }
        print_json(_as_object(successor) | old)
        return
    remarks = [f"The old key ({old_key_id}) expires at {minute(old_expires_at)} UTC."]
    if younger_key_id is not None:
        remarks.append(
            f"It may have been rotated before: {younger_key_id} is newer, has the same name and environment, "
            "and is live too. Revoke it if it is not needed."
        )
    click.echo(_announcement(successor, *remarks))


def first_event(bind: str, api_key: str) -> str:
    """Return a shell command that sends an event to a service listening on ``bind``."""
    where = f"http://{bind}"
    if bind.startswith("unix:"):
        path = bind.removeprefix("unix:").removeprefix("//")
        where = f"--unix-socket {quote(path)} http://localhost"
    return (
        f"curl -i {where}/ingest/events -H 'X-Api-Key: {api_key}' -H 'Content-Type: application/json' "
        f"-d '{_EVENT}'"
    )


def dsn_of(public_url: str, bind: str, api_key: str) -> str:
    """Return the DSN of a key for Sentry's SDKs; they require a project id, which the service ignores."""
    origin = public_url or f"http://{'localhost' if bind.startswith('unix:') else bind}"
    scheme, _, host = origin.partition("://")
    return f"{scheme}://{api_key}@{host}/1"


def _dsn(minted: Minted) -> str:
    config = services().config
    return dsn_of(config.public_url, config.bind, minted.api_key)


def _as_object(minted: Minted) -> dict[str, str | tuple[str, ...] | None]:
    expires_at = minted.expires_at.isoformat() if minted.expires_at else None
    return minted._asdict() | {"expires_at": expires_at, "dsn": _dsn(minted)}


def _uses(minted: Minted) -> list[str]:
    """Return how the key is used, as far as its scopes and origins allow it."""
    if SEND not in minted.scopes:
        return ["It can only get the status of jobs."]
    uses = [f"Try it:\n\n{first_event(services().config.bind, minted.api_key)}\n"]
    if minted.origins:
        uses = [f"Web pages of {', '.join(minted.origins)} may use it."]
    return [*uses, f"The DSN for a Sentry SDK:\n\n{_dsn(minted)}"]


def _announcement(minted: Minted, *remarks: str) -> str:
    until = f" It expires at {minute(minted.expires_at)} UTC." if minted.expires_at else ""
    lines = (
        f"This is the {minted.environment} key of {minted.project} ({minted.key_id}).",
        f"It will not be shown again.{until}",
        *remarks,
        *_uses(minted),
    )
    return "\n".join((click.style(minted.api_key, bold=True), *lines))
