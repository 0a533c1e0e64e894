"""The server-side step of an append, and what goes into it."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from vigilry_ingest.domain.event import Event, Quota
from vigilry_ingest.stream.connection.node import Command
from vigilry_ingest.stream.redis_keys import events_key, marker_key, quota_key

_SOURCE = files("vigilry_ingest.stream.publishing").joinpath("append.lua").read_text()
# The name by which the server keeps the script; it is not a matter of security.
_DIGEST = hashlib.sha1(_SOURCE.encode(), usedforsecurity=False).hexdigest()

LOAD: Command = ("SCRIPT", "LOAD", _SOURCE)


class IdempotencyKey(NamedTuple):
    """A key under which an event is appended at most once.

    ``scope`` keeps the keys of different endpoints apart; with an empty ``fingerprint`` the key alone
    decides, otherwise another fingerprint under the same key is refused.
    """

    scope: str
    key: str
    fingerprint: str


class Append(NamedTuple):
    """One call of the script."""

    keys: tuple[str, ...]
    arguments: tuple[str | bytes | int, ...]
    is_asking: bool = False

    def command(self, *, by_digest: bool) -> Command:
        """Lay out the call: by the script's digest, or with its source for a server that lacks it."""
        name, script = ("EVALSHA", _DIGEST) if by_digest else ("EVAL", _SOURCE)
        return (name, script, len(self.keys), *self.keys, *self.arguments)


def append_of(
    event: Event,
    once: Sequence[IdempotencyKey],
    *,
    partition: int,
    max_entries: int,
    ttl_s: int,
    quota: Quota | None = None,
) -> Append:
    """Make the call that appends an event to its partition."""
    keys = [events_key(partition)]
    arguments: list[str | bytes | int] = [max_entries]
    for each in once:
        keys.append(marker_key(partition, event.project_id, event.environment, each.scope, each.key))
        arguments.append(f"{ttl_s} {each.fingerprint}")
    if quota is not None:
        keys.append(quota_key(partition, event.project_id))
        arguments.append(f"GCRA {quota.per_second} {quota.burst}")
    return Append(tuple(keys), (*arguments, *event.to_entry()))
