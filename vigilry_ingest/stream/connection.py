"""One connection to a broker whose every step ends by a deadline, and the settings it is made from."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)

Connect = Callable[[], "BoundedConnection"]


class BoundedConnection(AbstractConnection):
    """A connection that spends no more time than its deadline allows, on connecting, writing and reading.

    redis-py bounds each system call by itself and retries by default: against a peer that accepts and never
    answers, its ``xadd()`` was measured to raise after 59 s and to have sent the command 11 times.
    ``deadline`` is on the monotonic clock, in seconds.
    """

    deadline = 0.0

    def _remaining(self) -> float:
        # Zero would mean "do not block"; a millisecond ends at once and still as a time-out.
        return max(self.deadline - time.monotonic(), 0.001)

    def connect(self) -> None:
        """Connect and shake hands within the deadline."""
        self.socket_connect_timeout = self.socket_timeout = self._remaining()
        super().connect()

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Write within the deadline."""
        socket = self._get_socket()
        if socket is not None:
            socket.settimeout(self._remaining())
        super().send_packed_command(command, check_health=check_health)

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read one reply within the deadline."""
        options["timeout"] = self._remaining()
        return super().read_response(*args, **options)


class BoundedTCPConnection(BoundedConnection, Connection):
    """The same over TCP."""


class BoundedTLSConnection(BoundedConnection, SSLConnection):
    """The same over TLS."""


class BoundedUnixConnection(BoundedConnection, UnixDomainSocketConnection):
    """The same over a unix socket."""


_PLAIN: dict[str, Callable[..., AbstractConnection]] = {
    "redis": Connection,
    "rediss": SSLConnection,
    "unix": UnixDomainSocketConnection,
}
_BOUNDED: dict[str, Callable[..., BoundedConnection]] = {
    "redis": BoundedTCPConnection,
    "rediss": BoundedTLSConnection,
    "unix": BoundedUnixConnection,
}


def connection_options(url: str) -> tuple[str, dict[str, Any]]:
    """Read a broker's URL: its scheme, and redis-py's options for a connection.

    Besides redis-py's own forms, ``unix://var/valkey.sock`` is a path relative to the working directory.
    """
    options: dict[str, Any] = parse_url(url)
    options.pop("connection_class", None)
    scheme = urlsplit(url).scheme
    if scheme == "unix":
        options["path"] = urlsplit(url).netloc.rpartition("@")[2] + options["path"]
    return scheme, options


def connector(url: str) -> Connect:
    """Make a function that opens nothing by itself: its connections connect when first used."""
    scheme, options = connection_options(url)
    kind = _BOUNDED[scheme]
    # Two round trips that tell the server our library's name are not worth a sender's time.
    return lambda: kind(**options, driver_info=None)


def client(url: str, *, timeout_s: float) -> Redis:
    """Make redis-py's own client, for what is off the senders' path: reading, listing, checking."""
    scheme, options = connection_options(url)
    options |= {"connection_class": _PLAIN[scheme], "socket_timeout": timeout_s}
    return Redis(connection_pool=ConnectionPool(**options))
