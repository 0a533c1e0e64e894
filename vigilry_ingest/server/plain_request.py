"""Parse the head of a plain HTTP/1.1 request into a WSGI environ, in one call of gunicorn's C parser.

A plain request is what nearly every sender sends. Any other, and any that has to be refused, is left to
gunicorn's own reader: nothing is accepted here that gunicorn would refuse, and nothing is read differently.
"""

import re
from typing import Any, NamedTuple

from gunicorn_h1c import IncompleteError, ParseError, parse_to_wsgi_environ

# With a head no longer than gunicorn's default limit of a request line, no line in it can exceed a limit.
MAX_HEAD_BYTES = 4094
# A larger body goes through gunicorn's reader, which does not hold all of it.
MAX_BODY_BYTES = 64 * 1024

# An origin-form target without percent-encoding, fragment, or what urllib would read as an authority.
_PLAIN_PATH = re.compile(r"/(?!/)[!\"$&-~]*", re.ASCII)
_PLAIN_QUERY = re.compile(r"[!\"$-~]*", re.ASCII)
_METHODS = frozenset({"GET", "POST"})
_CONNECTION = frozenset({"keep-alive", "close"})

Address = tuple[str, int]


class NotPlain(Exception):
    """The request is for gunicorn's own reader; ``received`` is what has arrived of it."""

    def __init__(self, received: bytes) -> None:
        super().__init__("not a plain request")
        self.received = received


class Head(NamedTuple):
    """The head of a request.

    Parameters:
        environ: the WSGI environ, without the server's own entries
        received: what has arrived, from the head's first byte on
        length: bytes of the head
        body_length: bytes of the body
    """

    environ: dict[str, Any]
    received: bytes
    length: int
    body_length: int

    @property
    def end(self) -> int:
        """Where the request ends in what is received."""
        return self.length + self.body_length


def parse_head(received: bytes, server: Address | str, client: Address | None) -> Head | None:
    """Parse the head that ``received`` begins with; None when it is not complete.

    ``server`` is the listener's address, or the path of its unix socket; ``client`` is None behind one.
    Raises NotPlain.
    """
    try:
        environ: dict[str, Any] = parse_to_wsgi_environ(
            received, server if isinstance(server, tuple) else ("", 0), client or ("", 0)
        )
    except IncompleteError:
        if len(received) > MAX_HEAD_BYTES:
            raise NotPlain(received) from None
        return None
    except ParseError:
        raise NotPlain(received) from None
    length: int = environ.pop("_consumed")
    body_length = int(environ.get("CONTENT_LENGTH", 0))
    if (
        length > MAX_HEAD_BYTES
        or body_length > MAX_BODY_BYTES
        or environ["SERVER_PROTOCOL"] != "HTTP/1.1"
        or environ["REQUEST_METHOD"] not in _METHODS
        or "HTTP_HOST" not in environ
        or not _PLAIN_PATH.fullmatch(environ["PATH_INFO"])
        or not _PLAIN_QUERY.fullmatch(environ["QUERY_STRING"])
        or environ.get("HTTP_CONNECTION", "close").lower() not in _CONNECTION
        or "HTTP_TRANSFER_ENCODING" in environ
        or "HTTP_EXPECT" in environ
        or "HTTP_UPGRADE" in environ
    ):
        raise NotPlain(received)
    if isinstance(server, str):
        _name_server(environ, server)
    if client is None:
        environ["REMOTE_ADDR"] = ""
        del environ["REMOTE_PORT"]
    return Head(environ, received, length, body_length)


def _name_server(environ: dict[str, Any], path: str) -> None:
    """Name the server as gunicorn does behind a unix socket: by the Host header, or by the socket's path."""
    host = environ["HTTP_HOST"]
    name, *port = host.split(":") if host else (path, "")
    environ["SERVER_NAME"] = name
    environ["SERVER_PORT"] = port[0] if port else "80"
