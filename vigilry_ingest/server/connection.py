"""A client's connection under gevent, with a time limit on each wait, and a body that is still arriving."""

import socket
import time
from contextlib import suppress
from io import RawIOBase
from typing import Any

_RECEIVE_BYTES = 16 * 1024
# Upper bound in seconds on receiving a request, from its first byte on.
_REQUEST_S = 30.0


class Connection:
    """A connection, and since when it waits for a request or receives one."""

    __slots__ = ("_is_receiving", "_waiting_since", "client")

    def __init__(self, client: Any) -> None:
        self.client = client
        self._is_receiving = False
        self._waiting_since: float | None = None

    def receive(self, *, is_receiving: bool) -> bytes:
        """Return what the client sends next; nothing when the connection ends or its time is up.

        ``is_receiving`` is false for the first bytes of a request: an idle client has more time for these.
        """
        if self._waiting_since is None or is_receiving is not self._is_receiving:
            self.begin_waiting(is_receiving=is_receiving)
        received: bytes = self.client.recv(_RECEIVE_BYTES)
        return received

    def begin_waiting(self, *, is_receiving: bool) -> None:
        """Start the clock: of a request's arrival, or of an idle connection."""
        self._is_receiving = is_receiving
        self._waiting_since = time.monotonic()

    def end_waiting(self) -> None:
        """Stop the clock: a whole request has arrived."""
        self._waiting_since = None

    def close_if_overdue(self, idle_s: float) -> None:
        """End the wait for more bytes when it takes too long; what has arrived is still answered."""
        if self._waiting_since is None:
            return
        if time.monotonic() - self._waiting_since > (_REQUEST_S if self._is_receiving else idle_s):
            with suppress(OSError):
                self.client.shutdown(socket.SHUT_RD)

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        # Nearly always all at once; sendall would first copy the data and set a timer.
        sent = self.client.send(data)
        if sent < len(data):
            self.client.sendall(memoryview(data)[sent:])


class PendingBody(RawIOBase):
    """The body of a request, of which a part has arrived; the application's reading receives the others.

    An application that refuses a request for its head, such as for its API key, need not wait for the body.
    """

    def __init__(self, connection: Connection, arrived: bytes, length: int) -> None:
        self._connection = connection
        self._arrived = arrived
        self._missing = length
        self.has_ended = False
        """Whether the connection ended before the body did."""

    def readable(self) -> bool:
        """Return True, as for every source of bytes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what arrives next of the body; 0 is its end, or that of the connection."""
        if not self._missing:
            return 0
        arrived = self._arrived or self._connection.receive(is_receiving=True)
        size = min(len(arrived), len(buffer), self._missing)
        buffer[:size] = arrived[:size]
        self._arrived = arrived[size:]
        self._missing -= size
        if not self._missing:
            self._connection.end_waiting()
        self.has_ended = not arrived
        return size

    def discard_rest(self) -> bytes | None:
        """Receive the rest of the body; return what has arrived behind it, or None if it never came."""
        buffer = bytearray(_RECEIVE_BYTES)
        while self.readinto(buffer):
            pass
        return None if self._missing else self._arrived
