"""The cost of an envelope is bounded, whatever it contains, and none is answered with 5xx."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from backports import zstd
from flask import Flask

from tests.fixtures.cost import assert_cheap, cost_of, filled
from tests.fixtures.servers.valkey import Valkey
from tests.sentry.envelopes import EVENT, envelope, item
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

pytestmark = [pytest.mark.one_database, pytest.mark.alone]

MUTATIONS = int(os.environ.get("SENTRY_MUTATIONS", "1000"))


class Poster:
    """Posts to an application within this process, each time for a new project."""

    def __init__(self, app: Flask, url: str) -> None:
        self._app = app
        self._engine = make_engine(url)
        upgrade(self._engine)

    def new_key(self) -> str:
        """Make a key, and let the application cache it."""
        key = mint(self._engine, f"project {time.time_ns()}", "production").api_key
        self.post(b"{}", key)
        return key

    def post(self, body: bytes, key: str) -> int:
        """Post an envelope and return the status."""
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={key}", "Content-Encoding": "zstd"}
        coded = zstd.compress(body)
        return self._app.test_client().post("/api/1/envelope/", data=coded, headers=headers).status_code


@pytest.fixture(scope="module")
def poster(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Poster:
    """Make an application without the allowance of invalid requests."""
    folder: Path = tmp_path_factory.mktemp("cost")
    url = f"sqlite:///{folder}/vigilry.db"
    return Poster(create_app(Config(database_url=url, redis_url=valkey.url, invalid_requests_per_s=0)), url)


def event(start: bytes, piece: bytes, end: bytes) -> bytes:
    """Return an envelope with an event that is filled with pieces."""
    return b'{}\n{"type":"event"}\n' + filled(start, piece, end)


BODIES = {
    "blank lines": (filled(b"{}\n", b"\n", b""), 200),
    "headers": (filled(b"{}\n", b"{}\n", b""), 400),
    "empty sessions": (filled(b"{}\n", b'{"type":"session"}\n\n', b""), 413),
    "a long header": (filled(b"{", b" ", b"}"), 400),
    "depth": (filled(b"", b"[", b""), 400),
    "an event of depth": (event(b'{"a":', b"[", b"}"), 400),
    "an event of ones": (event(b'{"a":[', b"1,", b"1]}"), 200),
    "exceptions": (event(b'{"exception":{"values":[', b"{},", b"{}]}}"), 400),
    "frames": (event(b'{"exception":{"values":[{"type":"E","frames":[', b"{},", b"{}]}]}}"), 200),
    "members of an exception": (event(b'{"exception":{"values":[{', b'"a":0,', b'"b":1}]}}'), 200),
    "tags": (event(b'{"tags":{', b'"a":0,', b'"b":1}}'), 200),
    "pairs of tags": (event(b'{"tags":[', b'["a",1],', b'["a",1]]}'), 200),
    "contexts": (event(b'{"contexts":{"trace":{"a":[', b"0,", b"0]}}}"), 200),
    "a long type": (event(b'{"exception":[{"type":"', b"a", b'"}]}'), 200),
    "an object as a message": (event(b'{"message":{"a":[', b"0,", b"0]}}"), 200),
    "lone surrogates": (event(b'{"message":"', rb"\ud800", b'"}'), 400),
    "a long attachment": (filled(b'{}\n{"type":"attachment"}\n', b"a", b""), 200),
    "a hundred events": (envelope(*[item(EVENT | {"event_id": f"{n:032x}"}) for n in range(100)]), 200),
    "a hundred wide events": (
        envelope(*[item({"event_id": f"{e:032x}"} | {f"m{n}": n for n in range(250)}) for e in range(99)]),
        200,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_an_envelope_costs_little_beyond_its_size(poster: Poster, name: str) -> None:
    body, status = BODIES[name]
    key = poster.new_key()
    assert_cheap(cost_of(lambda: poster.post(body, key), len(body)), status)


def test_no_mutated_envelope_is_answered_with_5xx(poster: Poster) -> None:
    chance = random.Random(1)  # noqa: S311  it makes test data
    whole = envelope(item(EVENT), item({"sid": "s"}, "session"), item(b"ab\nc", "attachment", length=4))
    pieces = [
        b"\n",
        b"{",
        b"}",
        b"[",
        b'"',
        b"null",
        b"\xff",
        b"0",
        b"-",
        b'"length":9',
        rb"\ud800",
        b":",
        b",",
    ]
    texts = [json.dumps(name).encode() for name in EVENT]
    key = poster.new_key()
    for _ in range(MUTATIONS):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(body) + 1)
            body[start : start + chance.choice([0, 1, 1, 5, 60])] = chance.choice([b"", *pieces, *texts])
        assert poster.post(bytes(body), key) in (200, 400, 413), bytes(body)
