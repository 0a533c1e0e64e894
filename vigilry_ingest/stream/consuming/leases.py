"""Leases: each partition belongs to one worker of a group at a time, which keeps its events in order."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from redis.exceptions import RedisClusterException, RedisError

from vigilry_ingest.stream.consuming.process import end_process
from vigilry_ingest.stream.consuming.scripts import Script
from vigilry_ingest.stream.consuming.timing import Timing
from vigilry_ingest.stream.redis_keys import lease_key, members_key

_log = logging.getLogger(__name__)

# Acquire a lease that is free, or renew one's own.
_ACQUIRE = Script("""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""")
_RELEASE = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")
# Uses the broker's clock, because those of the workers may differ.
_JOIN = Script("""
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZRANGE', KEYS[1], 0, -1)
""")


class Leases:
    """Acquires, renews and releases partitions in a background thread.

    Each worker aims for an equal share; where the partitions do not divide evenly, older workers hold one
    more. The age of a worker is that of the ULID at the end of its name.

    The thread also calls ``on_renewal`` before each renewal. It ends the process when anything but the broker
    fails, because a worker without it would lose its partitions and idle.
    """

    def __init__(
        self, client: Any, *, group: str, name: str, partitions: int, timing: Timing,
        on_renewal: Callable[[], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._group = group
        self._name = name
        self._partitions = partitions
        self._timing = timing
        self._lease_ms = round(timing.lease_s * 1000)
        self._on_renewal = on_renewal
        self._renewal_lock = threading.Lock()
        self._mutex = threading.Lock()
        # When the lease of each partition expires, on the monotonic clock.
        self._expires_at: dict[int, float] = {}
        self._surplus: set[int] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_stopped, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._renew()
        self._thread.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_details: object) -> None:
        self._stopping.set()
        self._thread.join()
        if failure is None:
            self._release_all()

    def held(self) -> set[int]:
        """Return the partitions whose leases have not expired, as they may while the process is suspended."""
        now = time.monotonic()
        with self._mutex:
            return {partition for partition, expires_at in self._expires_at.items() if now < expires_at}

    def release_surplus(self) -> None:
        """Release the partitions in excess of this worker's share.

        Only between two batches, because another worker acquires them at once. Raises redis.RedisError.
        """
        if not self._surplus:
            return
        # A renewal at the same time could acquire them again.
        with self._renewal_lock:
            surplus, self._surplus = self._surplus, set()
            with self._mutex:
                for partition in surplus:
                    self._expires_at.pop(partition, None)
            for partition in surplus:
                self._release(partition)

    def _release_all(self) -> None:
        """Release everything, so that other workers need not wait for the leases to expire."""
        try:
            for partition in self._expires_at:
                self._release(partition)
            self._client.zrem(members_key(self._group), self._name)
        except (RedisError, RedisClusterException) as error:
            _log.warning("cannot release the leases, which expire in %s s: %s", self._timing.lease_s, error)

    def _renew_until_stopped(self) -> None:
        try:
            while not self._stopping.wait(self._timing.renewal_interval_s):
                self._on_renewal()
                self._renew()
        except Exception:
            # Without this thread the leases expire, and nothing notices a hung handler.
            _log.critical("the lease renewal failed; this worker ends", exc_info=True)
            end_process()

    def _renew(self) -> None:
        """Renew the leases, acquire free partitions up to the fair share, and mark a surplus for release."""
        try:
            with self._renewal_lock:
                share = self._share()
                with self._mutex:
                    own = sorted(set(self._expires_at) - self._surplus)
                kept = [partition for partition in own if self._acquire(partition)]
                with self._mutex:
                    self._surplus |= set(kept[share:])
                for partition in range(self._partitions):
                    if len(kept) >= share:
                        return
                    if partition not in own and self._acquire(partition):
                        kept.append(partition)
        except (RedisError, RedisClusterException) as error:
            _log.warning("the leases cannot be renewed: %s", str(error)[:200])

    def _share(self) -> int:
        members = _JOIN.run(self._client, (members_key(self._group),), self._name, self._lease_ms)
        by_age = sorted(members, key=lambda member: member.rpartition(b"_")[2])
        share, remainder = divmod(self._partitions, len(by_age))
        return share + (by_age.index(self._name.encode()) < remainder)

    def _acquire(self, partition: int) -> bool:
        """Acquire or renew a lease.

        Its time runs from before the command, so that it expires here no later than on the broker.
        """
        expires_at = time.monotonic() + self._timing.lease_s
        key = lease_key(partition, self._group)
        is_acquired = bool(_ACQUIRE.run(self._client, (key,), self._name, self._lease_ms))
        with self._mutex:
            if is_acquired:
                self._expires_at[partition] = expires_at
            else:
                self._expires_at.pop(partition, None)
        return is_acquired

    def _release(self, partition: int) -> None:
        _RELEASE.run(self._client, (lease_key(partition, self._group),), self._name)
