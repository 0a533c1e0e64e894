"""Following and searching the streams without a consumer group."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.domain.ids import made_at_ms
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.pagination import Entry, iter_entries
from vigilry_ingest.stream.redis_keys import entry_id_of, events_key, job_id_of, order_of

_PAGE_SIZE = 500
_POLL_INTERVAL_S = 0.2
_MAX_CLOCK_SKEW_MS = 60_000


class EventTail:
    """Follows the streams of all partitions."""

    def __init__(self, url: str, *, partitions: int, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._keys = _keys(partitions)

    def follow(self, last: int) -> Iterator[tuple[str, Event]]:
        """Yield jobId and event of the ``last`` entries, oldest first, then of each new entry, forever.

        Skips entries that are not events. Raises BrokerError.
        """
        with open_client(self._url, timeout_s=self._timeout_s) as client:
            newest = {key: client.xrevrange(key, count=max(last, 1)) for key in self._keys}
            positions = {key: entries[0][0] if entries else b"0-0" for key, entries in newest.items()}
            recent = sorted((entry for entries in newest.values() for entry in entries), key=_order)
            yield from _events(recent[-last:] if last else [])
            while True:
                new = [entry for key in self._keys for entry in _read_new(client, key, positions)]
                yield from _events(sorted(new, key=_order))
                if not new:
                    time.sleep(_POLL_INTERVAL_S)


def _read_new(client: Any, key: str, positions: dict[str, bytes]) -> list[Entry]:
    """Read the new entries of one stream; in a cluster one command cannot read several."""
    entries: list[Entry] = client.xrange(key, b"(" + positions[key], count=_PAGE_SIZE)
    if entries:
        positions[key] = entries[-1][0]
    return entries


def _order(entry: Entry) -> tuple[int, int]:
    return order_of(entry[0])


def _events(entries: Iterable[Entry]) -> Iterator[tuple[str, Event]]:
    for entry_id, fields in entries:
        try:
            yield job_id_of(entry_id), Event.from_entry(fields)
        except InvalidEntry:
            continue


def events_with(client: Any, id_: str, partitions: int) -> list[tuple[str, Event]]:
    """Return the events with a given jobId or event id, each with its jobId.

    Several partitions may have the same jobId. An event id is searched for around the time in its ULID.
    Raises redis.RedisError.
    """
    entry_id = entry_id_of(id_)
    if entry_id is not None:
        return [
            found for key in _keys(partitions) for found in _events(client.xrange(key, entry_id, entry_id))
        ]
    made_at = made_at_ms(id_)
    if made_at is None:
        return []
    around = (str(max(made_at - _MAX_CLOCK_SKEW_MS, 0)), str(made_at + _MAX_CLOCK_SKEW_MS))
    return [
        (job_id, event)
        for key in _keys(partitions)
        for job_id, event in _events(iter_entries(client, key, *around))
        if event.id == id_
    ]


def _keys(partitions: int) -> list[str]:
    return [events_key(partition) for partition in range(partitions)]
