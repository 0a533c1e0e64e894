"""Which partitions this worker has: one worker has a partition at a time, so that its order holds."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError

from vigilry_ingest.stream.names import lease_key, members_key

_log = logging.getLogger(__name__)

# A worker that is gone for this long has lost its partitions to the others.
LEASE_S = 3.0
_TICK_S = LEASE_S / 3

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
return redis.call('ZCARD', KEYS[1])
"""


class Leases:
    """Takes, prolongs and gives back partitions, in a thread of its own while the worker works.

    Each worker aims at its fair share: partitions by the number of workers alive, rounded up.
    """

    def __init__(
        self, client: Any, *, group: str, name: str, partitions: int, on_tick: Callable[[], None]
    ) -> None:
        self._client = client
        self._group = group
        self._name = name
        self._partitions = partitions
        self._on_tick = on_tick
        self._mutex = threading.Lock()
        self._held: set[int] = set()
        self._surplus: set[int] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)

    def start(self) -> None:
        """Begin to take partitions."""
        self._tick()
        self._thread.start()

    def held(self) -> set[int]:
        """Give the partitions that this worker has now; what it has too many of is given back here.

        Call it between two batches, because a partition that is given back is another's at once.
        """
        with self._mutex:
            surplus, self._surplus = self._surplus, set()
            self._held -= surplus
        for partition in surplus:
            self._give_back(partition)
        with self._mutex:
            return set(self._held)

    def stop(self) -> None:
        """Give everything back, so that the others need not wait."""
        self._stopping.set()
        self._thread.join()
        try:
            for partition in self._held:
                self._give_back(partition)
            self._client.zrem(members_key(self._group), self._name)
        except RedisError as error:
            _log.warning("leases were not given back, and run out in %s s: %s", LEASE_S, error)
        self._held.clear()

    def _keep(self) -> None:
        while not self._stopping.wait(_TICK_S):
            self._on_tick()
            self._tick()

    def _tick(self) -> None:
        started = time.monotonic()
        try:
            alive = int(
                self._client.eval(_REPORT, 1, members_key(self._group), self._name, int(LEASE_S * 1000))
            )
            share = -(-self._partitions // alive)
            with self._mutex:
                held = sorted(self._held - self._surplus)
            kept = {partition for partition in held if self._take(partition)}
            with self._mutex:
                self._held -= set(held) - kept
                self._surplus |= set(sorted(kept)[share:])
            self._take_more(share)
        except RedisError as error:
            _log.warning("the broker does not prolong the leases: %s", error)
            if time.monotonic() - started > LEASE_S:
                with self._mutex:
                    self._held.clear()

    def _take_more(self, share: int) -> None:
        for partition in range(self._partitions):
            with self._mutex:
                if len(self._held) >= share:
                    return
                if partition in self._held:
                    continue
            if self._take(partition):
                with self._mutex:
                    self._held.add(partition)

    def _take(self, partition: int) -> bool:
        key = lease_key(partition, self._group)
        return bool(self._client.eval(_TAKE, 1, key, self._name, int(LEASE_S * 1000)))

    def _give_back(self, partition: int) -> None:
        self._client.eval(_GIVE_BACK, 1, lease_key(partition, self._group), self._name)
