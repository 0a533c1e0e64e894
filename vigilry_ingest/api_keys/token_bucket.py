"""Token bucket rate limiter."""

import time


class TokenBucket:
    """Allows bursts of ``burst``, and ``rate`` per second on average; not thread-safe."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = time.monotonic()

    def take(self, now: float) -> bool:
        """Take a token if there is one, and return whether there was."""
        self._fill(now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def charge(self, now: float, cost: float) -> None:
        """Take tokens that are already spent; there may be fewer than none afterwards."""
        self._fill(now)
        self._tokens -= cost

    def wait_s(self, now: float) -> float:
        """Return the seconds until there is a token, 0 if there is one."""
        self._fill(now)
        return max(1 - self._tokens, 0) / self._rate

    def give_back(self) -> None:
        """Return a token that should not have counted."""
        self._tokens = min(self._burst, self._tokens + 1)

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
