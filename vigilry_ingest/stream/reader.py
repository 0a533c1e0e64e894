"""Reading the streams without consuming them: what ``flask events tail`` shows."""

from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from vigilry_ingest.event import Event, InvalidEntry
from vigilry_ingest.stream.connection import client
from vigilry_ingest.stream.errors import PublishError
from vigilry_ingest.stream.names import events_key, job_id_of

_BLOCK_MS = 1000
_AT_ONCE = 500

Entry = tuple[bytes, dict[bytes, bytes]]


class Reader:
    """Follows every partition's stream."""

    def __init__(self, url: str, *, partitions: int, timeout_s: float) -> None:
        self._client: Any = client(url, timeout_s=timeout_s + _BLOCK_MS / 1000)
        self._keys = [events_key(partition) for partition in range(partitions)]

    def follow(self, last: int) -> Iterator[tuple[str, Event]]:
        """Yield jobId and event of the ``last`` entries, oldest first, and then of each new one, for ever.

        An entry that is not an event of ours is passed over. Raises PublishError when the broker fails.
        """
        try:
            newest = {key: self._client.xrevrange(key, count=max(last, 1)) for key in self._keys}
            positions = {key: entries[0][0] if entries else b"0-0" for key, entries in newest.items()}
            recent = sorted((entry for entries in newest.values() for entry in entries), key=_order)
            yield from _events(recent[-last:] if last else [])
            while True:
                for key, entries in self._client.xread(positions, count=_AT_ONCE, block=_BLOCK_MS):
                    positions[key.decode()] = entries[-1][0]
                    yield from _events(entries)
        except RedisError as error:
            raise PublishError("broker_unavailable", f"The broker cannot be read: {error}") from error


def _order(entry: Entry) -> tuple[int, int]:
    milliseconds, _, sequence = entry[0].partition(b"-")
    return int(milliseconds), int(sequence)


def _events(entries: list[Entry]) -> Iterator[tuple[str, Event]]:
    for entry_id, fields in entries:
        try:
            yield job_id_of(entry_id), Event.from_entry(fields)
        except InvalidEntry:
            continue
