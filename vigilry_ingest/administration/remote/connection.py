"""HTTP connections by URL, to unix sockets too."""

import http.client
import socket
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

_UNIX = "unix:"


class UnixConnection(http.client.HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def connection_to(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection to the origin of a URL, or to ``unix:`` and a path; it is opened on first use.

    Raises ValueError for a malformed URL.
    """
    if url.startswith(_UNIX):
        return UnixConnection(url.removeprefix(_UNIX).removeprefix("//"), timeout_s)
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.netloc, timeout=timeout_s)


def is_confidential(url: str) -> bool:
    """Return whether nobody on the network can read what is sent to a URL."""
    if url.startswith(_UNIX):
        return True
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts)


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
