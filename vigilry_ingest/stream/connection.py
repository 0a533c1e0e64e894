"""One connection to a broker server whose every step ends by a deadline."""

import time
from typing import Any

from redis.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection

from vigilry_ingest.stream.address import Address, Host


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
    options = address.options | {"driver_info": None}
    if host is None:
        return _UnixConnection(path=address.path, **options)
    kind = _TLSConnection if address.is_tls else _TCPConnection
    return kind(host=host[0], port=host[1], **options)
