"""Reading the streams without consuming them: what ``flask events tail`` shows."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from vigilry_ingest.domain.event import Event, InvalidEntry
from vigilry_ingest.domain.ids import made_at_ms
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.pagination import Entry, entries_of
from vigilry_ingest.stream.redis_keys import entry_id_of, events_key, job_id_of, order_of

_AT_ONCE = 500
_LOOK_EVERY_S = 0.2
_CLOCKS_APART_MS = 60_000


class Reader:
    """Follows every partition's stream."""

    def __init__(self, url: str, *, partitions: int, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._keys = _keys(partitions)

    def follow(self, last: int) -> Iterator[tuple[str, Event]]:
        """Yield jobId and event of the ``last`` entries, oldest first, and then of each new one, for ever.

        An entry that is not an event of ours is passed over. Raises BrokerError when the broker fails.
        """
        with open_client(self._url, timeout_s=self._timeout_s) as client:
            newest = {key: client.xrevrange(key, count=max(last, 1)) for key in self._keys}
            positions = {key: entries[0][0] if entries else b"0-0" for key, entries in newest.items()}
            recent = sorted((entry for entries in newest.values() for entry in entries), key=_order)
            yield from _events(recent[-last:] if last else [])
            while True:
                news = [entry for key in self._keys for entry in _read_on(client, key, positions)]
                yield from _events(sorted(news, key=_order))
                if not news:
                    time.sleep(_LOOK_EVERY_S)


def _read_on(client: Any, key: str, positions: dict[str, bytes]) -> list[Entry]:
    """Read what came to one stream. One at a time: in a cluster they stand on different servers."""
    entries: list[Entry] = client.xrange(key, b"(" + positions[key], count=_AT_ONCE)
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
    """Find the events on the streams that have a jobId or an event id, each with its jobId.

    Partitions may share a jobId. An event id is looked for around the time that its ULID tells. Raises
    redis.RedisError.
    """
    entry_id = entry_id_of(id_)
    if entry_id is not None:
        return [
            found for key in _keys(partitions) for found in _events(client.xrange(key, entry_id, entry_id))
        ]
    made_at = made_at_ms(id_)
    if made_at is None:
        return []
    around = (str(max(made_at - _CLOCKS_APART_MS, 0)), str(made_at + _CLOCKS_APART_MS))
    return [
        (job_id, event)
        for key in _keys(partitions)
        for job_id, event in _events(entries_of(client, key, *around))
        if event.id == id_
    ]


def _keys(partitions: int) -> list[str]:
    return [events_key(partition) for partition in range(partitions)]
