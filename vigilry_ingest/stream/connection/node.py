"""One broker server, and one connection to it that one caller uses at a time."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import pack_command
from redis import exceptions

from vigilry_ingest.stream.connection.bounded import BoundedConnection
from vigilry_ingest.stream.errors import explain, not_answered, not_sent

Command = Sequence[str | bytes | int]
Connect = Callable[[], BoundedConnection]

# A connection that was used this recently is taken to be alive; an older one is checked first, so that a
# broker restarted in a quiet hour costs no sender a 503.
_TRUSTED_S = 0.5


def pack(commands: Sequence[Command]) -> bytes:
    """Return commands as the bytes of one pipeline."""
    return b"".join([pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]  # its stub says a pair


def open_connection(connect: Connect, on_connect: Sequence[Command], deadline: float) -> BoundedConnection:
    """Connect to a server and send it the first commands, whose replies are not looked at.

    Raises BrokerError when that takes longer than the deadline, on the monotonic clock in seconds.
    """
    if time.monotonic() >= deadline:
        raise not_sent("The broker is too slow; the event was not sent.")
    connection = connect()
    connection.deadline = deadline
    try:
        connection.connect()
        if on_connect:
            connection.send_packed_command([pack(on_connect)])
            for _ in on_connect:
                read_reply(connection)
    except BaseException as error:
        connection.disconnect()
        if isinstance(error, exceptions.BusyLoadingError):
            raise explain(error) from error
        if isinstance(error, exceptions.RedisError | OSError):
            raise not_sent() from error
        raise
    return connection


def read_reply(connection: BoundedConnection) -> Any:
    """Read one reply; a redis.ResponseError is one too."""
    try:
        return connection.read_response()
    except exceptions.ResponseError as error:
        return error


class Node:
    """A server that commands can be exchanged with; connects when first used, and again after a failure.

    Not safe to share between threads or greenlets.
    """

    def __init__(self, connect: Connect, on_connect: Sequence[Command] = ()) -> None:
        self._connect = connect
        self._on_connect = on_connect
        self._connection: BoundedConnection | None = None
        self._used_at = 0.0

    def exchange(self, commands: Sequence[Command], deadline: float) -> list[Any]:
        """Send commands as one pipeline and return a reply for each, a redis.ResponseError being one too.

        Raises BrokerError when the connection fails. Nothing is ever sent twice.
        """
        connection = self._open(deadline)
        try:
            connection.send_packed_command([pack(commands)])
            return [read_reply(connection) for _ in commands]
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

    def close(self) -> None:
        """Drop the connection; the next exchange makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def _open(self, deadline: float) -> BoundedConnection:
        connection = self._connection
        is_old = time.monotonic() - self._used_at > _TRUSTED_S
        if connection is not None and is_old and has_unexpected_data(connection):
            self.close()
            connection = None
        if connection is None:
            connection = self._connection = open_connection(self._connect, self._on_connect, deadline)
        if time.monotonic() >= deadline:
            raise not_sent("The broker is too slow; the event was not sent.")
        connection.deadline = deadline
        return connection


def has_unexpected_data(connection: BoundedConnection) -> bool:
    """Return whether an idle connection has something to read, as when the server has closed it."""
    try:
        return bool(connection.can_read(0))
    except exceptions.ConnectionError:
        return True
