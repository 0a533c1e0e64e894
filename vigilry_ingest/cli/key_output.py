"""Output of new keys, with a command that sends a first event."""

from shlex import quote

import click

from vigilry_ingest.administration.records import MintedKey, RotatedKey, to_object
from vigilry_ingest.api_keys.restrictions import SEND
from vigilry_ingest.cli.administration import server
from vigilry_ingest.cli.output import minute, print_json
from vigilry_ingest.services import services

_EVENT = '{"type":"hello","severity":"INFO","message":"My first event"}'


def show_minted(minted: MintedKey, *, as_json: bool) -> None:
    """Print a new key."""
    if as_json:
        print_json(to_object(minted))
    else:
        click.echo(_announcement(minted))


def show_rotated(rotated: RotatedKey, *, as_json: bool) -> None:
    """Print the successor of a key, and when the key itself expires."""
    if as_json:
        print_json(to_object(rotated))
        return
    remarks = [f"The old key ({rotated.old_key_id}) expires at {minute(rotated.old_expires_at)} UTC."]
    if rotated.younger_key_id is not None:
        remarks.append(
            f"It may have been rotated before: {rotated.younger_key_id} is newer, has the same name and "
            "environment, and is live too. Revoke it if it is not needed."
        )
    click.echo(_announcement(rotated, *remarks))


def _address(minted: MintedKey) -> str:
    """Return where the service listens: as the settings say, or as those of the admin API do."""
    if not server():
        return services().config.bind
    scheme, _, rest = minted.dsn.partition("://")
    return f"{scheme}://{rest.partition('@')[2].removesuffix('/1')}"


def first_event(bind: str, api_key: str) -> str:
    """Return a shell command that sends an event to a service listening on ``bind``, or at an origin."""
    where = bind if "://" in bind else f"http://{bind}"
    if bind.startswith("unix:"):
        path = bind.removeprefix("unix:").removeprefix("//")
        where = f"--unix-socket {quote(path)} http://localhost"
    return (
        f"curl -i {where}/ingest/events -H 'X-Api-Key: {api_key}' -H 'Content-Type: application/json' "
        f"-d '{_EVENT}'"
    )


def _uses(minted: MintedKey) -> list[str]:
    """Return how the key is used, as far as its scopes and origins allow it."""
    if SEND not in minted.scopes:
        return ["It can only get the status of jobs."]
    uses = [f"Try it:\n\n{first_event(_address(minted), minted.api_key)}\n"]
    if minted.origins:
        uses = [f"Web pages of {', '.join(minted.origins)} may use it."]
    return [*uses, f"The DSN for a Sentry SDK:\n\n{minted.dsn}"]


def _announcement(minted: MintedKey, *remarks: str) -> str:
    until = f" It expires at {minute(minted.expires_at)} UTC." if minted.expires_at else ""
    lines = (
        f"This is the {minted.environment} key of {minted.project} ({minted.key_id}).",
        f"It will not be shown again.{until}",
        *remarks,
        *_uses(minted),
    )
    return "\n".join((click.style(minted.api_key, bold=True), *lines))
