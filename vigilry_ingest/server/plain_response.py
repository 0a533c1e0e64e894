"""A WSGI response that is sent as a whole, head and body in one write."""

import time
from collections.abc import Callable

from gunicorn import util

Headers = list[tuple[str, str]]

# The lines of a head besides its fields: status, Server, Date, Connection, and the empty one.
_OWN_LINES = 5

_date = (0, "")


class PlainResponse:
    """What the application answers; called as ``start_response`` (PEP 3333)."""

    __slots__ = ("headers", "parts", "status")

    def __init__(self) -> None:
        self.status = ""
        self.headers: Headers = []
        self.parts: list[bytes] = []

    def __call__(self, status: str, headers: Headers, _exc_info: object = None) -> Callable[[bytes], None]:
        """Start the response; it may be started again, since nothing is sent before it is complete."""
        self.status, self.headers = status, headers
        return self.parts.append

    def to_bytes(self, *, is_last: bool) -> bytes:
        """Return the bytes to send.

        Raises ValueError for a header with a line break in it, which would be a second response.
        """
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        count = len(self.headers)
        if self.status.startswith(("204", "304")):
            # RFC 9110, section 6.4.1.
            body = b""
        elif "\ncontent-length:" not in f"\n{fields}".lower():
            fields += f"Content-Length: {len(body)}\r\n"
            count += 1
        head = (
            f"HTTP/1.1 {self.status}\r\nServer: gunicorn\r\nDate: {_http_date()}\r\n"
            f"Connection: {'close' if is_last else 'keep-alive'}\r\n{fields}\r\n"
        )
        if not head.count("\n") == head.count("\r") == count + _OWN_LINES:
            raise ValueError("a response header has a line break in it")
        return head.encode("latin-1") + body


def _http_date() -> str:
    """Return the time as HTTP writes it, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, util.http_date(now))
    return _date[1]
