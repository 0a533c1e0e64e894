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
    """A parser that bounds each read of the socket by the time that remains.

    redis-py gives every read the whole time-out, so a peer that sends a byte now and then is never late.
    """

    def on_connect(self, connection: "BoundedConnection", **options: Any) -> None:
        """Remember the connection's deadline."""
        super().on_connect(connection, **options)
        self._remaining = connection.remaining

    def read_from_socket(self, timeout: Any = None, raise_on_timeout: bool = True) -> Any:  # noqa: ARG002  redis-py's signature
        """Read within the deadline."""
        return super().read_from_socket(timeout=self._remaining(), raise_on_timeout=raise_on_timeout)


class BoundedConnection(AbstractConnection):
    """A connection that connects, writes and reads within its deadline, and sends nothing twice.

    redis-py bounds each system call alone and retries by default, so its ``xadd()`` to a peer that accepts
    and never answers takes a minute and sends the command many times. ``deadline`` is on the monotonic clock,
    in seconds.
    """

    deadline = 0.0

    def remaining(self) -> float:
        """Return the seconds until the deadline, at least a millisecond."""
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

    @property
    def socket(self) -> Any:
        """The connected socket, for a caller that reads and writes by its own means."""
        return self._get_socket()


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
    # Two round trips that tell the server the library's name are not worth a sender's time.
    options = address.options | {"driver_info": None, "parser_class": _BoundedParser}
    if host is None:
        return _UnixConnection(path=address.path, **options)
    kind = _TLSConnection if address.is_tls else _TCPConnection
    return kind(host=host[0], port=host[1], **options)
