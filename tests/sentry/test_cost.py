"""The cost of an envelope is bounded, whatever it contains."""

import pytest

from tests.fixtures.cost import assert_cheap, cost_of, filled
from tests.sentry.envelopes import EVENT, envelope, item
from tests.sentry.posting import Poster

pytestmark = [pytest.mark.one_database, pytest.mark.alone]


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
