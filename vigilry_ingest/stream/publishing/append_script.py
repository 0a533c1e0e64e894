"""The scripts that append events on the server, and the calls of them."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any, NamedTuple

import msgspec.structs
from redis.exceptions import RedisError, ResponseError

from vigilry_ingest.domain.event import ENTRY_VERSION, Event, Quota
from vigilry_ingest.stream.connection.node import Command
from vigilry_ingest.stream.entry_size import COUNTING
from vigilry_ingest.stream.errors import BrokerError, Moved, explain
from vigilry_ingest.stream.redis_keys import events_key, marker_key, quota_key

# Upper bound on the events of one call, because nothing else runs on the server meanwhile.
_MAX_IN_CALL = 100
_ABSENT = b"\xff"


# What the script for many events returns in place of an id.
_FULL = {reason: explain(ResponseError(f"STREAMFULL {reason.decode()}")) for reason in (b"entries", b"bytes")}


class IdempotencyKey(NamedTuple):
    """A key under which an event is appended at most once.

    ``scope`` keeps the keys of different endpoints apart; with an empty ``fingerprint`` the key alone
    decides, otherwise another fingerprint under the same key is refused.
    """

    scope: str
    key: str
    fingerprint: str


class Appended(NamedTuple):
    """An entry on the stream; ``is_replay`` when an earlier request had appended it.

    For a project with a quota: how many events remain at once, and the microseconds until all of them do.
    """

    entry_id: bytes
    is_replay: bool
    remaining: int | None = None
    reset_us: int = 0


class Script(NamedTuple):
    """A script: its source, and the SHA-1 by which the server keeps it."""

    source: str
    digest: str


def _read_script(name: str, head: str = "") -> Script:
    source = COUNTING + head + files("vigilry_ingest.stream.publishing").joinpath(name).read_text()
    return Script(source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_APPEND = _read_script("append.lua")
_APPEND_MANY = _read_script(
    "append_many.lua",
    f"local names = {{{', '.join(map(repr, Event.__struct_fields__))}}}\nlocal version = '{ENTRY_VERSION}'\n",
)

# A connection begins with these, so that calls need only the digest.
LOAD_SCRIPTS: Sequence[Command] = [("SCRIPT", "LOAD", each.source) for each in (_APPEND, _APPEND_MANY)]


class Append(NamedTuple):
    """A call that appends ``event_count`` events; ``is_asking`` follows an ASK redirection of a cluster."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[str | bytes | int, ...]
    event_count: int = 1
    is_asking: bool = False

    def command(self, *, by_digest: bool) -> Command:
        """Return the command: by the script's digest, or with its source for a server that lacks it."""
        name, script = ("EVALSHA", self.script.digest) if by_digest else ("EVAL", self.script.source)
        return (name, script, len(self.keys), *self.keys, *self.arguments)

    def read(self, reply: Any) -> "Outcome":
        """Return the outcome of each event, or the error of all."""
        if isinstance(reply, bytes):
            return [Appended(reply, False)]
        if isinstance(reply, BrokerError):
            return reply
        if isinstance(reply, RedisError):
            return Moved.read(reply) or explain(reply)
        if self.script is _APPEND:
            return [Appended(reply[0], bool(reply[1]), *reply[2:])]
        return [_FULL[each].copy() if each in _FULL else Appended(each, False) for each in reply]


Outcome = list[Appended | BrokerError] | BrokerError
KeyedEvent = tuple[Event, Sequence[IdempotencyKey]]


class StreamLimits(NamedTuple):
    """The maximum numbers of entries and of bytes in a stream; 0 bytes for any number."""

    entries: int
    bytes: int

    def __str__(self) -> str:
        return f"{self.entries} {self.bytes}"


def appends_of(
    events: Sequence[KeyedEvent],
    *,
    partition: int,
    limits: StreamLimits,
    ttl_s: int,
    quota: Quota | None = None,
) -> list[Append]:
    """Return the calls that append events to their partition, in order."""
    if quota is not None or len(events) == 1:
        return [_append_one(*each, partition, limits, ttl_s, quota) for each in events]
    appends: list[Append] = []
    for has_keys, run in groupby(events, lambda each: bool(each[1])):
        if has_keys:
            appends += [_append_one(*each, partition, limits, ttl_s, None) for each in run]
        else:
            appends += _append_many([event for event, _ in run], partition, limits)
    return appends


def _append_one(
    event: Event,
    keys: Sequence[IdempotencyKey],
    partition: int,
    limits: StreamLimits,
    ttl_s: int,
    quota: Quota | None,
) -> Append:
    names = [events_key(partition)]
    arguments: list[str | bytes | int] = [str(limits)]
    for key in keys:
        names.append(marker_key(partition, event.project_id, event.environment, key.scope, key.key))
        arguments.append(f"{ttl_s} {key.fingerprint}")
    if quota is not None:
        names.append(quota_key(partition, event.project_id))
        arguments.append("GCRA {} {} {}".format(*quota))
    return Append(_APPEND, tuple(names), (*arguments, *event.to_entry()))


def _append_many(events: Sequence[Event], partition: int, limits: StreamLimits) -> Iterator[Append]:
    for first in range(0, len(events), _MAX_IN_CALL):
        some = events[first : first + _MAX_IN_CALL]
        arguments: list[str | bytes | int] = [str(limits)]
        for event in some:
            arguments += [_ABSENT if value is None else value for value in msgspec.structs.astuple(event)]
        yield Append(_APPEND_MANY, (events_key(partition),), tuple(arguments), len(some))
