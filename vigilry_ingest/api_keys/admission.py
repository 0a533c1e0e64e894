"""Refusal of requests before their body is read, for projects that are over a limit."""

import threading
import time
from math import ceil
from typing import NamedTuple

from vigilry_ingest.api_keys.lookup import Caller
from vigilry_ingest.api_keys.token_bucket import TokenBucket
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited

# So many seconds' worth of invalid requests may come at once.
_BURST_S = 10
# A large body costs as many small ones as it has parts of this size.
_BYTES_PER_TOKEN = 64 * 1024
_MAX_PROJECTS = 10_000


class TooManyInvalidRequests(Exception):
    """The project's recent requests were invalid too often; ``retry_after_s`` is when one more is read."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.retry_after_s = max(ceil(wait_s), 1)


class _Limited(NamedTuple):
    """When a project's quota allows the next event, on the monotonic clock."""

    quota: Quota | None
    until: float
    unit: str


class Admission:
    """Remembers in a process which projects are over a limit; safe to share between threads or greenlets.

    ``invalid_per_s`` is how many small invalid requests of a project are read per second; 0 means any number.
    """

    def __init__(self, *, invalid_per_s: int) -> None:
        self._invalid_per_s = invalid_per_s
        self._limited: dict[str, _Limited] = {}
        self._invalid: dict[str, TokenBucket] = {}
        self._mutex = threading.Lock()

    def check(self, caller: Caller) -> None:
        """Return if a request's body may be read.

        Raises RateLimited and TooManyInvalidRequests.
        """
        if self._limited and (limited := self._limited.get(caller.project_id)) is not None:
            self._check_quota(caller, limited)
        if self._invalid and (bucket := self._invalid.get(caller.project_id)) is not None:
            with self._mutex:
                wait_s = bucket.wait_s(time.monotonic())
            if wait_s > 0:
                raise TooManyInvalidRequests(wait_s)

    def note_limited(self, caller: Caller, error: RateLimited) -> None:
        """Note that the broker refused an event of a caller because of its quota."""
        until = time.monotonic() + error.wait_us / 1e6
        if len(self._limited) >= _MAX_PROJECTS:
            self._limited.clear()
        self._limited[caller.project_id] = _Limited(caller.quota, until, error.unit)

    def note_invalid(self, caller: Caller, body_bytes: int) -> None:
        """Note that a request was refused after its body of this size was read."""
        if not self._invalid_per_s:
            return
        with self._mutex:
            if len(self._invalid) >= _MAX_PROJECTS:
                self._invalid.clear()
            bucket = self._invalid.get(caller.project_id)
            if bucket is None:
                bucket = TokenBucket(rate=self._invalid_per_s, burst=_BURST_S * self._invalid_per_s)
                self._invalid[caller.project_id] = bucket
            bucket.charge(time.monotonic(), 1 + body_bytes / _BYTES_PER_TOKEN)

    def _check_quota(self, caller: Caller, limited: _Limited) -> None:
        wait_s = limited.until - time.monotonic()
        if wait_s > 0 and limited.quota == caller.quota:
            raise RateLimited(round(wait_s * 1e6), limited.unit)
        self._limited.pop(caller.project_id, None)
