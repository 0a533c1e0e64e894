"""Dead letters: entries that a group could not process, kept with the reason until somebody decides."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, NamedTuple

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.stream.pagination import entries_of
from vigilry_ingest.stream.redis_keys import (
    dead_index_key,
    dead_key,
    entry_id_of,
    events_key,
    is_entry_id,
    job_id_of,
)

# What the index says of a dead letter that was deleted.
DROPPED = "dropped"

_DEAD_LETTER = files("vigilry_ingest.stream.consuming").joinpath("dead_letter.lua").read_text()
_REQUEUE = files("vigilry_ingest.stream.consuming").joinpath("requeue.lua").read_text()
_DROP = files("vigilry_ingest.stream.consuming").joinpath("drop.lua").read_text()
_LONGEST_REASON = 500
_MAX_ARGUMENTS = 4000
_OWN = (b"dead_group", b"dead_entry", b"dead_reason", b"dead_deliveries", b"dead_at")


class DeadLetter(NamedTuple):
    """One dead letter; ``id`` is ``<partition>:<its own id>``, ``entry`` is what stood on the stream."""

    id: str
    job_id: str
    group: str
    reason: str
    deliveries: int
    died_at: str
    entry: Mapping[bytes, bytes]

    def event(self) -> Event | None:
        """Read the event in it, or None when it is none of ours."""
        try:
            return Event.from_entry(self.entry)
        except InvalidEntry:
            return None


def dead_letter(
    client: Any, partition: int, group: str, entry_id: bytes, entry: Mapping[bytes, bytes], *, reason: str,
    deliveries: int,
) -> None:  # fmt: skip
    """Move an entry to the dead letters and acknowledge it for its group, in one step.

    Raises redis.RedisError.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    # An entry that was revived before is filed under the id that its sender knows.
    first = entry.get(b"first_entry", entry_id)
    first = first if is_entry_id(first) else entry_id
    own = {name: value for name, value in entry.items() if name not in (b"first_entry", b"for_group")}
    fields = [part for pair in own.items() for part in pair]
    if len(fields) > _MAX_ARGUMENTS:
        # No event has so many, and a script cannot pass so many on. Without the index its job cannot be asked
        # for, and garbage has none.
        with client.pipeline(transaction=True) as step:
            step.xack(events_key(partition), group, entry_id)
            marks = zip(_OWN, (group, first, reason[:_LONGEST_REASON], deliveries, now), strict=True)
            step.xadd(dead_key(partition), dict(marks) | own)
            step.execute()
        return
    client.eval(
        _DEAD_LETTER, 3, events_key(partition), dead_key(partition), dead_index_key(partition),
        group, entry_id, first, reason[:_LONGEST_REASON], deliveries, now, *fields,
    )  # fmt: skip


def dead_letters(client: Any, partitions: int) -> Iterator[DeadLetter]:
    """Yield every dead letter, partition by partition, oldest first.

    Raises redis.RedisError.
    """
    for partition in range(partitions):
        for letter_id, fields in entries_of(client, dead_key(partition)):
            yield _read(partition, letter_id, fields)


def find_dead_letter(client: Any, letter_id: str) -> DeadLetter | None:
    """Find one dead letter.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter_id.partition(":")
    if not (partition.isascii() and partition.isdecimal() and is_entry_id(own_id.encode())):
        return None
    found = client.xrange(dead_key(int(partition)), own_id, own_id)
    return _read(int(partition), *found[0]) if found else None


def requeue(client: Any, letter: DeadLetter) -> bool:
    """Put a dead letter back on its stream, for its own group alone; False when it was gone.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter.id.partition(":")
    keys = (events_key(int(partition)), dead_key(int(partition)), dead_index_key(int(partition)))
    fields = [part for pair in letter.entry.items() for part in pair]
    first = _entry_id(letter)
    return client.eval(_REQUEUE, 3, *keys, own_id, letter.group, first, *fields) is not None


def drop(client: Any, letter: DeadLetter) -> bool:
    """Delete a dead letter for good; False when it was gone.

    Raises redis.RedisError.
    """
    partition, _, own_id = letter.id.partition(":")
    keys = (dead_key(int(partition)), dead_index_key(int(partition)))
    return bool(client.eval(_DROP, 2, *keys, own_id, f"{letter.group} {_entry_id(letter)}", DROPPED))


def _entry_id(letter: DeadLetter) -> str:
    return entry_id_of(letter.job_id) or ""


def _read(partition: int, letter_id: bytes, fields: Mapping[bytes, bytes]) -> DeadLetter:
    text = {name: fields.get(name, b"").decode("utf-8", "replace") for name in _OWN}
    return DeadLetter(
        id=f"{partition}:{letter_id.decode()}",
        job_id=job_id_of(fields.get(b"dead_entry", letter_id)),
        group=text[b"dead_group"],
        reason=text[b"dead_reason"],
        deliveries=int(text[b"dead_deliveries"] or 0),
        died_at=text[b"dead_at"],
        entry={name: value for name, value in fields.items() if name not in _OWN},
    )
