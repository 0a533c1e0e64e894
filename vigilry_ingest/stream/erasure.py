"""Erasing entries from the streams and the dead letters, for every group."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vigilry_ingest.stream.consuming.dead_letters import dead_letters_of, forget
from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.pagination import iter_entries
from vigilry_ingest.stream.redis_keys import events_key

Matches = Callable[[Mapping[bytes, bytes]], bool]

# The counter of the stream's bytes stays as it is: trimming takes off all bytes between two of its marks.
_ERASE = Script("""
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  for i = 1, #group, 2 do
    if group[i] == 'name' then redis.call('XACK', KEYS[1], group[i + 1], ARGV[1]) end
  end
end
return redis.call('XDEL', KEYS[1], ARGV[1])
""")


def count_entries(client: Any, partition: int, matches: Matches) -> int:
    """Return the number of entries of a stream that match.

    Raises redis.RedisError.
    """
    return sum(matches(entry) for _, entry in iter_entries(client, events_key(partition)))


def erase_entries(client: Any, partition: int, matches: Matches) -> Iterator[int]:
    """Erase the entries of a stream that match, read or unread; yield 1 for each.

    Each is acknowledged for every group, so that none waits for it. Raises redis.RedisError.
    """
    key = events_key(partition)
    for entry_id, entry in iter_entries(client, key):
        if matches(entry):
            yield int(_ERASE.run(client, (key,), entry_id))


def count_dead_letters(client: Any, partition: int, matches: Matches) -> int:
    """Return the number of dead letters of a partition whose entries match.

    Raises redis.RedisError.
    """
    return sum(matches(letter.entry) for letter in dead_letters_of(client, partition))


def erase_dead_letters(client: Any, partition: int, matches: Matches) -> Iterator[int]:
    """Erase the dead letters of a partition whose entries match; yield 1 for each.

    Raises redis.RedisError.
    """
    for letter in dead_letters_of(client, partition):
        if matches(letter.entry):
            yield int(forget(client, letter))
