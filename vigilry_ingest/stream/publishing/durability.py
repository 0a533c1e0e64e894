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
    """``fsync``: the primary's append-only file is on its disk; ``replicas``: so many have the entry too."""

    fsync: bool
    replicas: int

    def command(self, remaining_s: float) -> Command | None:
        """Give the command that waits for it, after the group, for all of the group at once.

        See https://valkey.io/commands/waitaof/ and https://valkey.io/commands/wait/.
        """
        timeout_ms = max(int(remaining_s * 1000) - _MARGIN_MS, 1)
        if self.fsync:
            return ("WAITAOF", 1, self.replicas, timeout_ms)
        if self.replicas:
            return ("WAIT", self.replicas, timeout_ms)
        return None

    def shortfall(self, reply: Any) -> BrokerError | None:
        """Say what is missing according to the answer to ``command``."""
        if isinstance(reply, RedisError):
            return _not_durable(f"The broker cannot promise what is asked of it: {reply}.")
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
