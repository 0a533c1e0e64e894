"""What can go wrong on the way to the broker, in words that a caller can act on."""

import re
from math import ceil
from typing import Self

from redis import exceptions

from vigilry_ingest.stream.broker_url import Host

RETRY_AFTER_S = 1


class BrokerError(Exception):
    """The broker cannot be used, or refuses a command.

    ``code`` is the problem type's; ``retry_after`` is in seconds, or None when a retry would fail again.
    """

    def __init__(self, code: str, detail: str, *, retry_after: int | None = RETRY_AFTER_S) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    def copy(self) -> "BrokerError":
        """Return the same error with a traceback of its own, for one more caller."""
        error = BrokerError(self.code, self.detail, retry_after=self.retry_after)
        error.__cause__ = self.__cause__
        return error


class PublishError(BrokerError):
    """The broker works and refuses this one event: its key was reused, its quota is used up, it has moved."""


class RateLimited(PublishError):
    """A project has sent more than its quota; one more event is let through after ``retry_after_s``."""

    def __init__(self, wait_us: int) -> None:
        self.retry_after_s = max(ceil(wait_us / 1e6), 1)
        detail = "The project has sent more events than its quota allows; this one was not stored."
        super().__init__("rate_limited", detail, retry_after=self.retry_after_s)


class Moved(PublishError):
    """The server asked does not serve the partition, and named the one that does; nothing was appended.

    ``is_asking``: only for this once, while the partition is on its way (ASK in the cluster's protocol).
    """

    def __init__(self, host: Host, *, is_asking: bool) -> None:
        super().__init__("broker_cluster_down", "The partition is being moved to another server.")
        self.host = host
        self.is_asking = is_asking

    @classmethod
    def read(cls, error: Exception) -> Self | None:
        """Read redis-py's MovedError and AskError, or give None for any other error."""
        if not isinstance(error, exceptions.AskError):
            return None
        # To redis-py a MovedError is an AskError too.
        return cls((error.host, error.port), is_asking=not isinstance(error, exceptions.MovedError))


# redis-py gives some of the server's error words a class of their own and leaves the others in the text.
_BY_CLASS: dict[type[Exception], tuple[str, str]] = {
    exceptions.OutOfMemoryError: ("broker_out_of_memory", "The broker's memory is full."),
    exceptions.ReadOnlyError: ("broker_read_only", "The broker is a read-only replica."),
    exceptions.BusyLoadingError: ("broker_loading", "The broker is loading its data."),
    exceptions.MasterDownError: ("broker_primary_down", "The broker has lost its primary."),
    exceptions.ClusterDownError: (
        "broker_cluster_down",
        "The broker's cluster does not serve this partition.",
    ),
    exceptions.TryAgainError: ("broker_cluster_down", "The partition is being moved to another server."),
}
_BY_WORD = {
    "STREAMFULL": ("stream_full", "The project's stream is full until its workers have caught up."),
    "MISCONF": ("broker_cannot_persist", "The broker cannot write to its disk and takes no events."),
    "NOREPLICAS": ("broker_not_durable", "The broker has fewer replicas than it demands."),
}


def explain(error: exceptions.RedisError) -> BrokerError:
    """Turn the broker's own refusal into ours."""
    for known, (code, detail) in _BY_CLASS.items():
        if isinstance(error, known):
            return _refusal(error, code, detail)
    word = str(error).partition(" ")[0]
    if word == "KEYREUSED":
        detail = "This Idempotency-Key came before with another body: use a new key for a new event."
        return PublishError("idempotency_key_reused", detail, retry_after=None)
    if word == "RATELIMITED":
        return RateLimited(int(str(error).split()[1]))
    return _refusal(error, *_BY_WORD.get(word, ("broker_refused", "The broker refused the event.")))


def _refusal(error: exceptions.RedisError, code: str, detail: str) -> BrokerError:
    refusal = BrokerError(code, detail)
    # What the broker said is for the operator's log.
    refusal.__cause__ = error
    return refusal


def not_sent(detail: str = "The broker cannot be reached; the event was not sent.") -> BrokerError:
    """Say that nothing reached the broker."""
    return BrokerError("broker_unavailable", detail)


def not_answered() -> BrokerError:
    """Say that the broker may or may not have stored the event."""
    return BrokerError(
        "broker_timeout", "The broker did not answer in time; the event may or may not have been stored."
    )


def reason_of(error: BaseException) -> str:
    """Give what the driver said of a failure, for operators, without its full stop and without secrets."""
    while isinstance(error, BrokerError) and error.__cause__ is not None:
        error = error.__cause__
    # What redis-py says of the sentinels goes on for pages with their settings; the reason comes first.
    return re.split(r" : <|[\n{]", str(error), maxsplit=1)[0].rstrip(" .")
