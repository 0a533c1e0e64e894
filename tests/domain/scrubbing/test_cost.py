"""Scrubbing takes a bounded time, whatever is sent: it replaces values, or refuses the event."""

from contextlib import suppress

import pytest

from tests.domain.scrubbing.examples import ALL_PATTERNS, an_event
from tests.fixtures.cost import filled, takes_less
from vigilry_ingest.domain.scrubbing.json_text import MAX_STRINGS
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_FIELDS, ScrubbingRules
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber
from vigilry_ingest.domain.scrubbing.tally import MAX_CHECKS, TooComplex

pytestmark = pytest.mark.alone

SCRUBBER = Scrubber(ScrubbingRules.checked(DEFAULT_FIELDS, ALL_PATTERNS))
MAX_CPU_S = 0.1

# What is repeated to fill the largest body, in a string.
REPEATED = [
    b"prose with commas, ", b"2", b"a", b"4 ", b"4242 ", b"AB12CD34", b"AB12 ", b"DE12 ", b"a@", b"@a.",
    b"a.", b"1.1.", b"a:", b"::", b"eyJ", b"-eyJaaaaaaaa", b"token", b"token ", b"token=", b"token='",
    b"token=x ", b"sk-", b"-----BEGIN PRIVATE KEY-----", b"-----END ", b"\\n", b'\\"', b"\\u0040", b"\\\\",
    b"\xc3\xa9", b"token={", b"token={\\n", b"token==", b"token%3A", b"token=a=b;", b"a%40", b"token='\\\\",
]  # fmt: skip
WHOLE = {
    "strings": filled(b'["', b'","', b'"]'),
    "names": filled(b"{", b'"token":{},', b'"":0}'),
    "numbers": filled(b"[", b"4242424242424242,", b"1]"),
    "arrays": filled(b"[", b"[],", b"1]"),
    "one container": filled(b'{"token":[', b"[],", b"1]}"),
    "as many strings as possible": b'["' + b'\\u0041","' * (MAX_STRINGS - 2) + b'"]',
    "as many values as possible": b'{"a":"' + b"DE89370400440532013000 " * (MAX_CHECKS - 1) + b'"}',
    "a token": b'{"a":"eyJaaaaaaaa.' + b"a" * 5_000_000 + b'"}',
    "a key": b'{"a":"sk-' + b"a" * 5_000_000 + b'"}',
    "a quoted value": b'{"a":"token=\'' + b"a" * 5_000_000 + b'"}',
    "a value with backslashes": filled(b'{"a":"token=\'', b"\\\\", b'"}'),
    "an object in a text": filled(b'{"a":"token={', b"a 'b' ", b'"}'),
    "an array in a text": filled(b'{"a":"token=[', b"a, ", b'"}'),
    "cookies": filled(b'{"a":"token=a=b', b";c", b'"}'),
    "a name": b'{"' + b"token" * 1_000_000 + b'":"x"}',
}


def assert_cheap(payload: bytes) -> None:
    """Check the time for a payload."""

    def scrub() -> None:
        with suppress(TooComplex):
            SCRUBBER.scrub(an_event(payload))

    assert takes_less(scrub, MAX_CPU_S)


@pytest.mark.parametrize("piece", REPEATED, ids=repr)
def test_a_text_that_repeats_something_is_cheap(piece: bytes) -> None:
    assert_cheap(filled(b'{"a":"', piece, b'"}'))


@pytest.mark.parametrize("name", WHOLE)
def test_a_payload_of_many_small_parts_or_one_large_one_is_cheap(name: str) -> None:
    assert_cheap(WHOLE[name])


def test_a_long_message_is_cheap() -> None:
    event = an_event(message="1.1.token=eyJ" * 400_000)

    def scrub() -> None:
        with suppress(TooComplex):
            SCRUBBER.scrub(event)

    assert takes_less(scrub, MAX_CPU_S)
