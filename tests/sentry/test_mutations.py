"""No mutated request of an SDK is answered with 5xx, or costs more than the bounds."""

import os
import random
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.fixtures.cost import MAX_CPU_S, MAX_MEMORY, cost_of, takes_less
from tests.sentry.corpus import Recorded, recorded
from tests.sentry.envelopes import EVENT
from tests.sentry.posting import Poster

pytestmark = [pytest.mark.one_database, pytest.mark.alone]

MUTATIONS = int(os.environ.get("SENTRY_MUTATIONS", "1000"))
# To measure memory makes a request several times slower.
_MEASURED = 20
_REFUSED = {400, 401, 403, 404, 413, 415}
_PIECES = (
    *(
        b"\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"null",
        b"\xff",
        b"\0",
        b"0",
        b"-",
        b"1e999",
        b":",
        b",",
        rb"\ud800",
    ),
    *(b",", b'"length":9', b'{"type":"event"}\n', b"[" * 300, b"9" * 5000, b"{}\n" * 50),
    *(f'"{name}":'.encode() for name in EVENT),
)
_CODINGS = ("gzip", "deflate", "zstd", "br", "identity", "")


class Sent(NamedTuple):
    """What is sent of a mutated request."""

    url: str
    coded: bytes
    headers: dict[str, str]


def test_no_mutated_request_is_answered_with_5xx_or_costs_more_than_the_bounds(poster: Poster) -> None:
    chance = random.Random(1)  # noqa: S311  it makes test data
    key = poster.new_key()
    taken = 0
    for number in range(MUTATIONS):
        request = chance.choice(recorded()).with_key(key)
        sent = mutated(request, chance)
        status = assert_bounded(poster, sent, measures_memory=number % _MEASURED == 0)
        assert status == 200 or status in _REFUSED, (status, sent)
        taken += status == 200
    # Both happen to many.
    assert MUTATIONS // 20 < taken < MUTATIONS - MUTATIONS // 20


def assert_bounded(poster: Poster, sent: Sent, *, measures_memory: bool) -> int:
    """Post and return the status, after checking what it costs."""
    statuses: list[int] = []

    def post() -> int:
        statuses.append(poster.post_as_it_is(*sent))
        return statuses[-1]

    if measures_memory:
        assert cost_of(post, len(sent.coded)).memory < MAX_MEMORY, sent
    began = time.thread_time()
    post()
    if time.thread_time() - began > MAX_CPU_S:
        assert takes_less(post), sent
    return statuses[0]


def mutated(request: Recorded, chance: random.Random) -> Sent:
    """Change the content of a request, or sometimes what is sent of it."""
    body = request.body
    if chance.random() < 0.8:
        body = changed(body, chance)
    request = request._replace(body=body)
    url, coded, headers = f"/api/1/{request.form}/?{request.query}", request.coded, dict(request.headers)
    if chance.random() < 0.1:
        coded = changed(coded, chance)
    if chance.random() < 0.05:
        headers["Content-Encoding"] = chance.choice(_CODINGS)
    if chance.random() < 0.05:
        headers["X-Sentry-Auth"] = headers.get("X-Sentry-Auth", "Sentry")[: chance.randrange(80)]
    if chance.random() < 0.05:
        url = url.replace("store", "envelope") if "store" in url else url.replace("envelope", "store", 1)
    return Sent(url, coded, headers)


def changed(body: bytes, chance: random.Random) -> bytes:
    """Replace, repeat, move and cut parts of a body."""
    for _ in range(chance.randint(1, 6)):
        body = chance.choice(_CHANGES)(body, chance)
    return body


def _replaced(body: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = start + chance.choice([0, 1, 1, 5, 60])
    return body[:start] + chance.choice(_PIECES) + body[end:]


def _spliced(body: bytes, chance: random.Random) -> bytes:
    """Put a part of another request in."""
    start, other = chance.randrange(len(body) + 1), chance.choice(recorded()).body
    begin = chance.randrange(len(other) + 1)
    return body[:start] + other[begin : begin + chance.choice([10, 300, 5000])] + body[start:]


def _repeated(body: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(body) + 1)
    end = start + chance.choice([1, 30, 1000])
    return body[:start] + body[start:end] * chance.choice([2, 3, 50]) + body[end:]


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)] if chance.random() < 0.2 else body


def _flipped(body: bytes, chance: random.Random) -> bytes:
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _replaced,
    _replaced,
    _spliced,
    _repeated,
    _cut,
    _flipped,
)
