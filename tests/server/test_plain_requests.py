"""The short way of plain requests beside gunicorn's own reader: the same bytes give the same request."""

import os
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gunicorn import http
from gunicorn.config import Config
from gunicorn.http import wsgi

from vigilry_ingest.server.connection import Connection
from vigilry_ingest.server.gevent_worker import _open_body, _receive_head
from vigilry_ingest.server.plain_request import MAX_BODY_BYTES, NotPlain, parse_head

CORPUS = sorted((Path(__file__).parent / "gunicorn_requests").glob("*.http"))
SERVER, CLIENT = ("127.0.0.1", 4100), ("192.0.2.7", 50123)
MUTATED = int(os.environ.get("DIFFERENTIAL_REQUESTS", "5000"))

# What the two environs may differ in, and why.
EXPLAINED = {
    # Both give the body; they are compared by what they read.
    "wsgi.input",
    # The worker shares one between all requests.
    "wsgi.errors",
    # Extensions of gunicorn's beyond PEP 3333, which the application does not use.
    "gunicorn.socket", "RAW_URI", "wsgi.early_hints",
}  # fmt: skip


class Read(NamedTuple):
    """A request: its environ without what is explained above, its body, and what came behind it."""

    environ: dict[str, Any]
    body: bytes
    rest: bytes


def settings() -> Config:
    """Return gunicorn's settings as gunicorn.conf.py has them."""
    config = Config()
    config.set("forwarded_allow_ips", "*")
    config.set("secure_scheme_headers", {})
    config.set("forwarder_headers", "")
    config.set("workers", 2)
    return config


CONFIG = settings()
BASE = wsgi.base_environ(CONFIG) | {"SCRIPT_NAME": ""}


def without_explained(environ: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in environ.items() if name not in EXPLAINED}


def by_gunicorn(pieces: Iterable[bytes], server: Any, client: Any) -> Read | Exception:
    """Read the first request by gunicorn's reader; an exception is how it refuses."""
    source = iter(pieces)
    parser = http.get_parser(CONFIG, source, client)
    try:
        request = next(parser)
        _, environ = wsgi.create(request, None, client, server, CONFIG)
        body = request.body.read()
    except (StopIteration, http.errors.NoMoreData, http.errors.ParseException) as error:
        return error
    rest = parser.unreader.take_buffered() + b"".join(source)
    return Read(without_explained(environ), body, rest)


def by_the_short_way(
    pieces: Sequence[bytes], server: Any = SERVER, client: Any = CLIENT
) -> Read | bytes | None:
    """Read the first request as the worker does: bytes are what is left to gunicorn, None is the end."""
    connection = Connection(_Pieces(pieces))
    try:
        head = _receive_head(connection, connection.receive(is_receiving=False), server, client)
    except NotPlain as error:
        return error.received
    if head is None:
        return None
    file, pending = _open_body(connection, head)
    body = file.read()
    rest = head.received[head.end :] if pending is None else pending.discard_rest() or b""
    environ = head.environ | BASE
    return Read(without_explained(environ), body, rest + connection.client.remaining())


class _Pieces:
    """The receiving end of a connection on which these pieces arrive, and then its end."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def recv(self, _size: int) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    def remaining(self) -> bytes:
        return b"".join(self._pieces)


def assert_same(pieces: Sequence[bytes], server: Any = SERVER, client: Any = CLIENT) -> bool:
    """Check that both ways agree, and return whether the request was a plain one."""
    mine = by_the_short_way(pieces, server, client)
    sent = b"".join(pieces)
    if isinstance(mine, bytes):
        # gunicorn's reader gets every byte that has arrived, so what it makes of them is the same.
        assert sent.startswith(mine)
        return False
    theirs = by_gunicorn(pieces, server, "" if client is None else client)
    if mine is None:
        assert isinstance(theirs, StopIteration | http.errors.NoMoreData), (sent, theirs)
        return False
    assert isinstance(theirs, Read), (sent, theirs)
    assert mine.environ == theirs.environ, sent
    assert (mine.body, mine.rest) == (theirs.body, theirs.rest), sent
    return True


def corpus_request(path: Path) -> bytes:
    """Read an example as gunicorn's tests do."""
    data = path.read_bytes().replace(b"\n", b"").replace(b"\\r\\n", b"\r\n")
    data = data.replace(b"\\0", b"\0").replace(b"\\n", b"\n").replace(b"\\t", b"\t")
    return re.sub(rb"\\x([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), data)


BODY = b'{"type":"a","severity":"INFO","message":"b"}'
HEAD = b"POST /ingest/events HTTP/1.1\r\nHost: 127.0.0.1:4100\r\n"
VALID = [
    HEAD + b"X-Api-Key: vig_test_x\r\nContent-Type: application/json\r\nContent-Length: 44\r\n\r\n" + BODY,
    HEAD + b"Content-Length: 44\r\nConnection: keep-alive\r\n\r\n" + BODY + HEAD + b"\r\n",
    HEAD + b"Content-Length: 44\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\r\n" + BODY,
    HEAD + b"Content-Length: 0\r\nX_Under: dropped\r\nAccept: */*\r\n\r\n",
    b"GET /ingest/jobs/bull-1?a=b&c HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /health/live HTTP/1.1\r\n\r\n",
    b"\r\nGET /metrics HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n",
]
LINES = [
    b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding : chunked",
    b"Transfer-encoding: CHUNKED, gzip", b"Content-Length: 44", b"Content-Length: +44",
    b"Content-Length: 4 4",
    b"Content-Length: 0044",
    b"Content-Length: -1", b"Content-Length:", b"Content-Length: 99999999999999999999",
    b"Content-Length: 44, 44", b"Content-Length: 0x2c", b"content-length: 3", b"Content_Length: 3",
    b"Expect: 100-continue", b"Expect: x", b"Upgrade: h2c", b"Connection: upgrade", b"Connection: Close",
    b"Connection: close, x", b"Connection: keep-alive\r\nConnection: close", b"Connection:", b"Host: b",
    b"Host:", b" folded", b"\tfolded", b"X: a\r\n b", b"X : a", b"X", b": a", b"X: \x00", b"X: \x7f",
    b"X: \xe9", b"X\xe9: a", b"X: a\rb", b"X: a\nY: b", b"Cookie: a=1\r\nCookie: b=2", b"Content-Type: a",
    b"Content-Type: a\r\nContent-Type: b", b"Script-Name: /x", b"Script_Name: /x", b"Proxy: x",
    b"X-Forwarded-Proto: https", b"X-Forwarded-For: 1.2.3.4", b"X: " + b"v" * 5000,
    b"HTTP2-Settings: AAMAAABk",
]  # fmt: skip
TARGETS = [
    b"/a%20b", b"//a/b", b"/a//b", b"/a#b", b"/a?b#c", b"/a?", b"/?", b"*", b"a", b"http://h/p?q", b"h:1",
    b"/\xc3\xa9", b"/a;b=c?d;e", b"/a\x7f", b"/" + b"a" * 4100, b"/a?" + b"b" * 4100, b"/~!$&'()*+,;=:@-._",
    b"/a?b=%2f", b"/a\\b", b'/a"b', b"/[a]", b"/{a}|^`", b"", b"/../etc", b"/a b",
]  # fmt: skip
FIRST = [b"PUT", b"HEAD", b"OPTIONS", b"get", b"G", b"G#T", b"POST\t", b"CONNECT", b"PRI", b" GET", b"X" * 25]
VERSIONS = [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b"HTTP/0.9", b""]
BYTES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b",",
    b"%",
    b"/",
    b"?",
    b"#",
    b"\x80",
    b"\xff",
    b"_",
]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Change a request in one of the ways that have confused servers."""
    at = chance.randrange(len(data))
    lines = data.split(b"\r\n")
    match chance.randrange(9):
        case 0:
            return data[:at] + chance.choice(BYTES) + data[at:]
        case 1:
            return data[:at] + data[at + chance.choice((1, 1, 2, 5)) :]
        case 2:
            return data[:at] + chance.choice(BYTES) + data[at + 1 :]
        case 3 | 4:
            lines.insert(chance.randrange(1, max(len(lines) - 1, 2)), chance.choice(LINES))
        case 5:
            lines[0] = lines[0].replace(
                lines[0].split(b" ")[1] if b" " in lines[0] else b"?", chance.choice(TARGETS)
            )
        case 6:
            lines[0] = chance.choice(FIRST) + lines[0][4:]
        case 7:
            lines[0] = lines[0].rpartition(b" ")[0] + b" " + chance.choice(VERSIONS)
        case 8:
            lines[chance.randrange(len(lines))] = lines[chance.randrange(len(lines))]
    return b"\r\n".join(lines)


def split(data: bytes, chance: random.Random) -> list[bytes]:
    """Split bytes at up to three places."""
    places = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(4)))
    pieces = (data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True))
    return [piece for piece in pieces if piece]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_every_example_of_gunicorns_own_is_read_as_gunicorn_reads_it(path: Path) -> None:
    data = corpus_request(path)
    assert_same([data])
    assert_same([data[index : index + 1] for index in range(len(data))])


@pytest.mark.parametrize("data", VALID)
def test_a_plain_request_is_read_the_same_wherever_it_is_split(data: bytes) -> None:
    assert assert_same([data])
    for place in range(1, len(data)):
        assert_same([data[:place], data[place:]])


@pytest.mark.parametrize("client", [CLIENT, None], ids=["tcp", "unix"])
def test_no_mutated_request_is_read_differently(client: Any) -> None:
    chance = random.Random(len(str(client)))  # noqa: S311  no secret
    server = SERVER if client else "/run/vigilry/web.sock"
    plain = 0
    for _ in range(MUTATED // 2):
        data = chance.choice(VALID)
        for _ in range(chance.choice((1, 1, 2, 3))):
            data = mutate(data, chance) or b"\r\n"
        plain += assert_same(split(data, chance), server, client)
    # It compares something: a good part of the mutated requests are plain ones still.
    assert plain > MUTATED // 20


@pytest.mark.parametrize("host", ["a", "a:81", "[::1]:82", "", "a:b:c"])
def test_behind_a_unix_socket_the_server_is_named_as_gunicorn_names_it(host: str) -> None:
    line = f"Host: {host}\r\n".encode()
    assert_same([b"GET / HTTP/1.1\r\n" + line + b"\r\n"], "/run/vigilry/web.sock", None)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + line + b"\r\n\r\n"
        for line in LINES
        if re.match(rb"Transfer|Expect|Upgrade|Connection: up", line)
    ]
    + [b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n" for target in (b"/a%20b", b"//a", b"/a#b", b"*")]
    + [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"HEAD / HTTP/1.1\r\n\r\n"]
    + [HEAD + f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()],
)
def test_what_is_not_plain_is_left_to_gunicorn(data: bytes) -> None:
    with pytest.raises(NotPlain) as left:
        parse_head(data, SERVER, CLIENT)
    assert left.value.received == data
