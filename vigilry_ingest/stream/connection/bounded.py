"""One connection to a broker server whose every step ends by a deadline."""

import time
from typing import Any

from redis.connection import (
    AbstractConnection,
    Connection,
    DefaultParser,
    SSLConnection,
    UnixDomainSocketConnection,
)

from vigilry_ingest.stream.broker_url import Address, Host


class _BoundedParser(DefaultParser):  # type: ignore[misc,valid-type]  # redis-py chooses it at run time
    """A parser that asks anew, before each read of the socket, how much time is left.

    redis-py gives every read the whole time-out, so a peer that drips a byte now and then is never late.
    """

    def on_connect(self, connection: "BoundedConnection", **options: Any) -> None:
        """Remember whose time it is."""
        super().on_connect(connection, **options)
        self._remaining = connection.remaining

    def read_from_socket(self, timeout: Any = None, raise_on_timeout: bool = True) -> Any:  # noqa: ARG002  redis-py's signature
        """Read within the deadline."""
        return super().read_from_socket(timeout=self._remaining(), raise_on_timeout=raise_on_timeout)


class BoundedConnection(AbstractConnection):
    """A connection that spends no more time than its deadline allows, on connecting, writing and reading.

    redis-py bounds each system call by itself and retries by default: against a peer that accepts and never
    answers, its ``xadd()`` was measured to raise after 59 s and to have sent the command 11 times.
    ``deadline`` is on the monotonic clock, in seconds.
    """

    deadline = 0.0

    def remaining(self) -> float:
        """Give the seconds that are left, never none."""
        # Zero would mean "do not block"; a millisecond ends at once and still as a time-out.
        return max(self.deadline - time.monotonic(), 0.001)

    def connect(self) -> None:
        """Connect and shake hands within the deadline."""
        self.socket_connect_timeout = self.socket_timeout = self.remaining()
        super().connect()

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Write within the deadline."""
        socket = self._get_socket()
        if socket is not None:
            socket.settimeout(self.remaining())
        super().send_packed_command(command, check_health=check_health)


class _TCPConnection(BoundedConnection, Connection):
    """Over TCP."""


class _TLSConnection(BoundedConnection, SSLConnection):
    """Over TLS."""


class _UnixConnection(BoundedConnection, UnixDomainSocketConnection):
    """Over a unix socket."""

    # redis-py reports a time-out under the name ``host``, which its own class lacks.
    host = "unix"


def connection_to(address: Address, host: Host | None) -> BoundedConnection:
    """Make a connection to one server of a broker, or to its unix socket when ``host`` is None.

    It connects when it is first used.
    """
    # Two round trips that would tell the server our library's name are not worth a sender's time.
    options = address.options | {"driver_info": None, "parser_class": _BoundedParser}
    if host is None:
        return _UnixConnection(path=address.path, **options)
    kind = _TLSConnection if address.is_tls else _TCPConnection
    return kind(host=host[0], port=host[1], **options)
