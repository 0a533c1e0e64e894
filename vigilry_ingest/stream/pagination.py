"""Reading a stream a page at a time, so that neither the broker nor the reader has much of it in hand."""

from collections.abc import Iterator
from typing import Any

Entry = tuple[bytes, dict[bytes, bytes]]

_AT_ONCE = 100


def entries_of(client: Any, key: str, first: str | bytes = b"-", last: str | bytes = b"+") -> Iterator[Entry]:
    """Yield a stream's entries between two ids, oldest first; one after ``(`` is not among them.

    Raises redis.RedisError.
    """
    while page := client.xrange(key, first, last, count=_AT_ONCE):
        yield from page
        first = b"(" + page[-1][0]
