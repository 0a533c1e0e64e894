"""Dead letters: entries that a group could not process, kept with the reason for an operator to decide."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.domain.times import rfc3339
from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.entry_size import COUNTING
from vigilry_ingest.stream.pagination import iter_entries
from vigilry_ingest.stream.redis_keys import (
    dead_index_key,
    dead_key,
    entry_id_of,
    events_key,
    is_entry_id,
    job_id_of,
)

# Marks a deleted dead letter in the index.
DROPPED = "dropped"

_DEAD_LETTER = Script.from_file("dead_letter.lua")
_REQUEUE = Script.from_file("requeue.lua", COUNTING)
_DROP = Script.from_file("drop.lua")
_FORGET = Script("""
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], ARGV[2])
return 1
""")
_MAX_REASON_LENGTH = 500
# Lua's unpack is limited to about 8000 values.
_MAX_SCRIPT_ARGUMENTS = 4000
_MARKERS = (b"dead_group", b"dead_entry", b"dead_reason", b"dead_deliveries", b"dead_at", b"dead_class")


class FailureClass(StrEnum):
    """What a sender may learn of a failure: its class, and not the handler's message."""

    HANDLER_FAILED = "handler_failed"
    HANDLER_UNAVAILABLE = "handler_unavailable"
    WORKER_DIED = "worker_died"
    NOT_AN_EVENT = "not_an_event"
    DELETED = "deleted"

    @classmethod
    def read(cls, text: bytes) -> "FailureClass":
        """Parse a class; dead letters of earlier versions have none."""
        try:
            return cls(text.decode())
        except ValueError:
            return cls.HANDLER_FAILED


class DeadLetter(NamedTuple):
    """A dead letter; ``id`` is ``<partition>:<id in the dead-letter stream>``, ``entry`` the original one."""

    id: str
    job_id: str
    group: str
    reason: str
    deliveries: int
    died_at: str
    entry: Mapping[bytes, bytes]

    def event(self) -> Event | None:
        """Parse the event, or return None when the entry is not one."""
        try:
            return Event.from_entry(self.entry)
        except InvalidEntry:
            return None


def dead_letter(
    client: Any, partition: int, group: str, entry_id: bytes, entry: Mapping[bytes, bytes], *,
    failure_class: FailureClass, reason: str, deliveries: int,
) -> None:  # fmt: skip
    """Move an entry to the dead letters and acknowledge it for its group, atomically.

    Raises redis.RedisError.
    """
    now = rfc3339(datetime.now(UTC))
    # A requeued entry is indexed by its original id, which is that of the jobId.
    original_id = entry.get(b"first_entry", entry_id)
    if not is_entry_id(original_id):
        original_id = entry_id
    own = {name: value for name, value in entry.items() if name not in (b"first_entry", b"for_group")}
    fields = [part for pair in own.items() for part in pair]
    if len(fields) > _MAX_SCRIPT_ARGUMENTS:
        # No event has this many fields, so no job needs the index. A full server has to be emptied first.
        with client.pipeline(transaction=True) as step:
            step.xack(events_key(partition), group, entry_id)
            values = (group, original_id, reason[:_MAX_REASON_LENGTH], deliveries, now, failure_class)
            step.xadd(dead_key(partition), dict(zip(_MARKERS, values, strict=True)) | own)
            step.execute()
        return
    _DEAD_LETTER.run(
        client, (events_key(partition), dead_key(partition), dead_index_key(partition)),
        group, entry_id, original_id, reason[:_MAX_REASON_LENGTH], deliveries, now, failure_class, *fields,
    )  # fmt: skip


def dead_letters(client: Any, partitions: int) -> Iterator[DeadLetter]:
    """Yield all dead letters, partition by partition, oldest first.

    Raises redis.RedisError.
    """
    for partition in range(partitions):
        yield from dead_letters_of(client, partition)


def dead_letters_of(client: Any, partition: int) -> Iterator[DeadLetter]:
    """Yield the dead letters of a partition, oldest first.

    Raises redis.RedisError.
    """
    for letter_id, fields in iter_entries(client, dead_key(partition)):
        yield _parse(partition, letter_id, fields)


def find_dead_letter(client: Any, letter_id: str) -> DeadLetter | None:
    """Find a dead letter by its id.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter_id.partition(":")
    if not (partition.isascii() and partition.isdecimal() and is_entry_id(own_id.encode())):
        return None
    found = client.xrange(dead_key(int(partition)), own_id, own_id)
    return _parse(int(partition), *found[0]) if found else None


def requeue(client: Any, letter: DeadLetter) -> bool:
    """Append a dead letter to its stream again, for its own group only; False when it no longer exists.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter.id.partition(":")
    number = int(partition)
    keys = (events_key(number), dead_key(number), dead_index_key(number))
    fields = [part for pair in letter.entry.items() for part in pair]
    return _REQUEUE.run(client, keys, own_id, letter.group, _original_id(letter), *fields) is not None


def drop(client: Any, letter: DeadLetter) -> bool:
    """Delete a dead letter permanently; False when it no longer exists.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter.id.partition(":")
    keys = (dead_key(int(partition)), dead_index_key(int(partition)))
    return bool(_DROP.run(client, keys, own_id, f"{letter.group} {_original_id(letter)}", DROPPED))


def forget(client: Any, letter: DeadLetter) -> bool:
    """Delete a dead letter and the index's memory of it, so that its job is unknown; False when it is gone.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter.id.partition(":")
    keys = (dead_key(int(partition)), dead_index_key(int(partition)))
    return bool(_FORGET.run(client, keys, own_id, f"{letter.group} {_original_id(letter)}"))


def _original_id(letter: DeadLetter) -> str:
    return entry_id_of(letter.job_id) or ""


def _parse(partition: int, letter_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    # An operator may have added an entry by hand.
    entry_id = fields.get(b"dead_entry", letter_id)
    text = {name: fields.get(name, b"").decode("utf-8", "replace") for name in _MARKERS}
    return DeadLetter(
        id=f"{partition}:{letter_id.decode()}",
        job_id=job_id_of(entry_id if is_entry_id(entry_id) else letter_id),
        group=text[b"dead_group"],
        reason=text[b"dead_reason"],
        deliveries=int(text[b"dead_deliveries"]) if text[b"dead_deliveries"].isdecimal() else 0,
        died_at=text[b"dead_at"],
        entry={name: value for name, value in fields.items() if name not in _MARKERS},
    )
