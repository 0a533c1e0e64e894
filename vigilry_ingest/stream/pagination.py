"""Paginated reading of streams, with bounded memory."""

from collections.abc import Iterator
from typing import Any

Entry = tuple[bytes, dict[bytes, bytes]]

_PAGE_SIZE = 100


def iter_entries(
    client: Any, key: str, first: str | bytes = b"-", last: str | bytes = b"+"
) -> Iterator[Entry]:
    """Yield the entries of a stream between two ids, oldest first; a ``(`` before an id excludes it.

    Raises redis.RedisError.
    """
    while page := client.xrange(key, first, last, count=_PAGE_SIZE):
        yield from page
        first = b"(" + page[-1][0]
