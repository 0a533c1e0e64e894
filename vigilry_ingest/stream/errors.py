"""Errors of the broker, with the codes and details that callers receive."""

import re
from math import ceil
from typing import Self

from redis import exceptions

from vigilry_ingest.stream.broker_url import Host

RETRY_AFTER_S = 1


class BrokerError(Exception):
    """The broker is unavailable or rejected a command.

    ``code`` is that of the problem type; ``retry_after`` is in seconds, or None if a retry cannot succeed.
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
    """The broker works but did not store this event: key reused, quota exceeded, or partition moved."""


class RateLimited(PublishError):
    """The project's quota of a unit is exceeded; the next event is accepted after ``retry_after_s``."""

    def __init__(self, wait_us: int, unit: str = "events") -> None:
        self.wait_us = wait_us
        self.unit = unit
        self.retry_after_s = max(ceil(wait_us / 1e6), 1)
        detail = f"The project has sent more {unit} than its quota allows; nothing of this was stored."
        super().__init__("rate_limited", detail, retry_after=self.retry_after_s)


class Moved(PublishError):
    """The server redirected to the one that serves the partition; nothing was appended.

    ``is_asking``: only for the next command, while the slot is being migrated (ASK in the cluster protocol).
    """

    def __init__(self, host: Host, *, is_asking: bool) -> None:
        super().__init__("broker_cluster_down", "The partition is being moved to another server.")
        self.host = host
        self.is_asking = is_asking

    @classmethod
    def read(cls, error: Exception) -> Self | None:
        """Convert redis-py's MovedError or AskError, or return None for any other error."""
        if not isinstance(error, exceptions.AskError):
            return None
        # In redis-py MovedError is a subclass of AskError.
        return cls((error.host, error.port), is_asking=not isinstance(error, exceptions.MovedError))


# redis-py has classes for some of the server's error codes and leaves the others in the message.
_BY_CLASS: dict[type[Exception], tuple[str, str]] = {
    exceptions.OutOfMemoryError: ("broker_out_of_memory", "The broker's memory is full."),
    exceptions.ReadOnlyError: ("broker_read_only", "The broker is a read-only replica."),
    exceptions.BusyLoadingError: ("broker_loading", "The broker is loading its data."),
    exceptions.MasterDownError: ("broker_primary_down", "The broker has lost its primary."),
    exceptions.ClusterDownError: (
        "broker_cluster_down",
        "The broker's cluster does not serve this partition.",
    ),
    exceptions.NoPermissionError: (
        "broker_refused",
        "The broker's user lacks a permission; the operator's `flask doctor` names it.",
    ),
    exceptions.TryAgainError: ("broker_cluster_down", "The partition is being moved to another server."),
}
_BY_PREFIX = {
    "MISCONF": ("broker_cannot_persist", "The broker cannot write to its disk and accepts no events."),
    "NOREPLICAS": ("broker_not_durable", "The broker has fewer replicas than it requires."),
}


def explain(error: exceptions.RedisError) -> BrokerError:
    """Translate an error reply of the broker to a BrokerError."""
    for known, (code, detail) in _BY_CLASS.items():
        if isinstance(error, known):
            return _broker_error(error, code, detail)
    prefix = str(error).partition(" ")[0]
    if prefix == "KEYREUSED":
        detail = "This Idempotency-Key was already used with a different body; use a new key for a new event."
        return PublishError("idempotency_key_reused", detail, retry_after=None)
    if prefix == "RATELIMITED":
        _, wait_us, unit = str(error).split()
        return RateLimited(int(wait_us), unit)
    if prefix == "STREAMFULL":
        return _stream_full(error)
    return _broker_error(error, *_BY_PREFIX.get(prefix, ("broker_refused", "The broker rejected the event.")))


def _stream_full(error: exceptions.RedisError) -> BrokerError:
    maximum = str(error).partition(" ")[2]
    detail = (
        f"The project's stream has its maximum of {maximum} (VIGILRY_STREAM_MAX_{maximum.upper()}) until its "
        "workers have caught up."
    )
    return _broker_error(error, "stream_full", detail)


def _broker_error(error: exceptions.RedisError, code: str, detail: str) -> BrokerError:
    broker_error = BrokerError(code, detail)
    # The broker's own message is for the log.
    broker_error.__cause__ = error
    return broker_error


def not_sent(detail: str = "The broker cannot be reached; the event was not sent.") -> BrokerError:
    """Return the error for an event that did not reach the broker."""
    return BrokerError("broker_unavailable", detail)


def not_answered() -> BrokerError:
    """Return the error for an event that the broker may or may not have stored."""
    return BrokerError(
        "broker_timeout", "The broker did not answer in time; the event may or may not have been stored."
    )


def reason_of(error: BaseException) -> str:
    """Return the driver's message for operators, without secrets and without its full stop."""
    while isinstance(error, BrokerError) and error.__cause__ is not None:
        error = error.__cause__
    # redis-py's messages about sentinels list all of their settings after the reason.
    return re.split(r" : <|[\n{]", str(error), maxsplit=1)[0].rstrip(" .")
