"""Which partitions this worker has: one worker has a partition at a time, so that its order holds."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from redis.exceptions import RedisClusterException, RedisError

from vigilry_ingest.stream.consuming.process import end_process
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import lease_key, members_key

_log = logging.getLogger(__name__)

# Take a lease that is free or one's own, and prolong it.
_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# By the broker's clock, so that the workers' own may differ.
_REPORT = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""


class Leases:
    """Takes, prolongs and gives back partitions, in a thread of its own while the worker works.

    Each worker aims at its fair share; where the partitions do not divide evenly, the older workers have one
    more. A worker's name ends in a ULID, so the names tell who is older.
    """

    def __init__(
        self, client: Any, *, group: str, name: str, partitions: int, timing: Timing,
        on_tick: Callable[[], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._group = group
        self._name = name
        self._partitions = partitions
        self._timing = timing
        self._lease_ms = round(timing.lease_s * 1000)
        self._on_tick = on_tick
        self._ticking = threading.Lock()
        self._mutex = threading.Lock()
        # Until when each partition is held, on the monotonic clock.
        self._until: dict[int, float] = {}
        self._surplus: set[int] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._tick()
        self._thread.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_details: object) -> None:
        self._stopping.set()
        self._thread.join()
        if failure is None:
            self._leave()

    def held(self) -> set[int]:
        """Give the partitions that this worker has now; what it has too many of is given back here.

        Call it between two batches, because a partition that is given back is another's at once. What was not
        prolonged in time counts as lost: this process may have slept.
        """
        if self._surplus:
            # Not while a tick is under way: it could prolong what is just being given back.
            with self._ticking:
                surplus, self._surplus = self._surplus, set()
                with self._mutex:
                    for partition in surplus:
                        self._until.pop(partition, None)
                for partition in surplus:
                    self._give_back(partition)
        return self.still_held()

    def still_held(self) -> set[int]:
        """Give the partitions that this worker has now, in the middle of a turn."""
        now = time.monotonic()
        with self._mutex:
            return {partition for partition, until in self._until.items() if now < until}

    def _leave(self) -> None:
        """Give everything back, so that the others need not wait."""
        try:
            for partition in self._until:
                self._give_back(partition)
            self._client.zrem(members_key(self._group), self._name)
        except (RedisError, RedisClusterException) as error:
            _log.warning("leases were not given back, and run out in %s s: %s", self._timing.lease_s, error)

    def _keep(self) -> None:
        try:
            while not self._stopping.wait(self._timing.renewal_interval_s):
                self._on_tick()
                self._tick()
        except Exception:
            # Without this thread the leases expire, and nothing notices a handler that hangs.
            _log.critical("the lease renewal failed; this worker ends", exc_info=True)
            end_process()

    def _tick(self) -> None:
        with self._ticking:
            self._prolong()

    def _prolong(self) -> None:
        try:
            share = self._share()
            with self._mutex:
                mine = sorted(set(self._until) - self._surplus)
            kept = [partition for partition in mine if self._take(partition)]
            with self._mutex:
                self._surplus |= set(kept[share:])
            for partition in range(self._partitions):
                if len(kept) >= share:
                    return
                if partition not in mine and self._take(partition):
                    kept.append(partition)
        except (RedisError, RedisClusterException) as error:
            _log.warning("the broker does not prolong the leases: %s", str(error)[:200])

    def _share(self) -> int:
        members = self._client.eval(_REPORT, 1, members_key(self._group), self._name, self._lease_ms)
        by_age = sorted(members, key=lambda member: member.rpartition(b"_")[2])
        even, rest = divmod(self._partitions, len(by_age))
        return even + (by_age.index(self._name.encode()) < rest)

    def _take(self, partition: int) -> bool:
        """Take or prolong a lease; counted from before the question, so never longer than the broker's."""
        until = time.monotonic() + self._timing.lease_s
        key = lease_key(partition, self._group)
        is_taken = bool(self._client.eval(_TAKE, 1, key, self._name, self._lease_ms))
        with self._mutex:
            if is_taken:
                self._until[partition] = until
            else:
                self._until.pop(partition, None)
        return is_taken

    def _give_back(self, partition: int) -> None:
        self._client.eval(_GIVE_BACK, 1, lease_key(partition, self._group), self._name)
