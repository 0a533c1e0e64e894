"""What must hold before an append is acknowledged: in memory, on the disk, or on replicas too."""

import re
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from vigilry_ingest.stream.connection.node import Command
from vigilry_ingest.stream.errors import BrokerError

_FORM = re.compile(r"memory|fsync|replicas:([1-9][0-9]?)", re.ASCII)
# The wait ends this much before the deadline, so that its answer still arrives within it: the server looks
# ten times a second for waits that are over, and was measured to end them up to 96 ms late.
_MARGIN_MS = 150


class Durability(NamedTuple):
    """``fsync``: the entry is in the primary's append-only file on disk; ``replicas``: in how many more."""

    fsync: bool
    replicas: int

    def command(self, remaining_s: float) -> Command | None:
        """Return the command that waits for the durability of all that was sent before it.

        See https://valkey.io/commands/waitaof/ and https://valkey.io/commands/wait/.
        """
        timeout_ms = max(int(remaining_s * 1000) - _MARGIN_MS, 1)
        if self.fsync:
            return ("WAITAOF", 1, self.replicas, timeout_ms)
        if self.replicas:
            return ("WAIT", self.replicas, timeout_ms)
        return None

    def confirmed(self, replies: list[Any], wait_reply: Any) -> list[Any]:
        """Return the replies to appends, with an error in place of each that is not durable."""
        error = self._shortfall(wait_reply)
        if error is None:
            return replies
        return [reply if isinstance(reply, RedisError) else error for reply in replies]

    def _shortfall(self, reply: Any) -> BrokerError | None:
        if isinstance(reply, RedisError):
            return _not_durable(f"The broker cannot provide the configured durability: {reply}.")
        if self.fsync:
            local, _ = reply
            return None if local >= 1 else _not_durable("The broker has not written to its disk in time.")
        if reply < self.replicas:
            return _not_durable(f"{reply} of {self.replicas} replicas have acknowledged in time.")
        return None


def read_durability(text: str) -> Durability:
    """Read VIGILRY_DURABILITY: ``memory``, ``fsync`` or ``replicas:N``.

    Raises ValueError.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("must be memory, fsync, or replicas:N")
    return Durability(fsync=text == "fsync", replicas=int(match[1] or 0))


def _not_durable(reason: str) -> BrokerError:
    return BrokerError(
        "broker_not_durable",
        f"{reason} The event may have been stored; a retry with the same Idempotency-Key is safe.",
    )
