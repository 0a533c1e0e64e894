"""One broker server, and the one connection that a process keeps to it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import pack_command
from redis import exceptions

from vigilry_ingest.stream.connection.bounded import BoundedConnection
from vigilry_ingest.stream.errors import explain, not_answered, not_sent

Command = Sequence[str | bytes | int]

# A connection that was in use this short a while ago is taken to be alive; an older one is looked at first,
# so that a broker restarted in a quiet hour costs no sender a 503.
_TRUSTED_S = 0.5


class Node:
    """A server that commands can be exchanged with; connects when first used, and again after a break.

    Not to be used by two callers at once: GroupCommit sees to that.
    """

    def __init__(self, connect: Callable[[], BoundedConnection]) -> None:
        self._connect = connect
        self._connection: BoundedConnection | None = None
        self._used_at = 0.0

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """Send commands as one pipeline and return a reply for each, a redis.ResponseError being one too.

        Raises BrokerError when the connection fails. Nothing is ever sent twice.
        """
        connection = self._open(deadline)
        try:
            # In C, and without redis-py's look at each argument: 9 µs less an event.
            packed = b"".join([pack_command(tuple(each)) for each in commands])  # type: ignore[arg-type]  # its stub says a pair
            connection.send_packed_command([packed])
            return [_reply(connection) for _ in commands]
        except BaseException as error:
            # Also when the worker is being stopped: replies that were not read must not meet the next
            # commands.
            self.close()
            if isinstance(error, exceptions.BusyLoadingError):
                raise explain(error) from error
            if isinstance(error, exceptions.RedisError | OSError):
                raise not_answered() from error
            raise
        finally:
            self._used_at = time.monotonic()

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a connection from before."""
        return self._connection is not None and self._connection.is_connected

    def close(self) -> None:
        """Drop the connection; the next exchange makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _open(self, deadline: float) -> BoundedConnection:
        if time.monotonic() >= deadline:
            raise not_sent("The broker is too slow; the event was not sent.")
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
        connection.deadline = deadline
        try:
            if connection.is_connected and time.monotonic() - self._used_at > _TRUSTED_S:
                _drop_if_closed(connection)
            if not connection.is_connected:
                connection.connect()
        except exceptions.BusyLoadingError as error:
            raise explain(error) from error
        except (exceptions.RedisError, OSError) as error:
            connection.disconnect()
            raise not_sent() from error
        return connection


def _reply(connection: BoundedConnection) -> Any:
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error


def _drop_if_closed(connection: BoundedConnection) -> None:
    try:
        unexpected = connection.can_read(0)
    except exceptions.ConnectionError:
        unexpected = True
    if unexpected:
        connection.disconnect()
