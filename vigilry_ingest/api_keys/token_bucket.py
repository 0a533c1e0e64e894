"""A token bucket, for what may be done only so often."""

import time


class TokenBucket:
    """Gives `burst` at once, and `rate` a second in the long run; whoever shares it holds a lock."""

    def __init__(self, *, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._left = float(burst)
        self._filled_at = time.monotonic()

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def give_back(self) -> None:
        """Give one back that was taken for a good reason."""
        self._left = min(self._burst, self._left + 1)
