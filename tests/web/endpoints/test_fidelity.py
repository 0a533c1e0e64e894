"""Promise 5 at every endpoint: what is read back from the stream is what was sent, byte for byte."""

import json
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.fixtures.sender import Sender
from tests.fixtures.servers.valkey import Valkey

STREAM = "vigilry:{0}:events"
# The sender is made once for all examples of a test; each example reads its own entry.
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Written(NamedTuple):
    """A text, and one of the ways to write it as a JSON string."""

    text: str
    json: str


# JSON text, drawn piece by piece, so that every form that the grammar allows comes up (RFC 8259).

SHORT_ESCAPES = ['""', r"\\", "//", "\bb", "\ff", "\nn", "\rr", "\tt"]
ODD_CHARACTERS = (
    "\0\x1f\x7f\x80\xa0\xe9\u0130\u200b\u2028\u2029\ud7ff\ue000\ufeff\ufffd\uffff"
    "\U00010000\U0001f600\U0010ffff"
)


def escape(character: str) -> str:
    """Write a character as escapes, an astral one as a surrogate pair."""
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


characters = st.one_of(st.sampled_from(ODD_CHARACTERS), st.characters(exclude_categories=["Cs"]))
raw_pieces = (
    st.one_of(
        st.sampled_from(ODD_CHARACTERS[2:]), st.characters(min_codepoint=0x20, exclude_categories=["Cs"])
    )
    .filter(lambda character: character not in '"\\')
    .map(lambda character: Written(character, character))
)
escaped_pieces = characters.map(lambda character: Written(character, escape(character)))
capital_pieces = characters.map(lambda text: Written(text, escape(text).upper().replace("\\U", "\\u")))
short_pieces = st.sampled_from([Written(each[0], f"\\{each[1]}") for each in SHORT_ESCAPES])
pieces = st.one_of(raw_pieces, raw_pieces, escaped_pieces, capital_pieces, short_pieces)


def joined(parts: list[Written]) -> Written:
    """Join pieces to a JSON string."""
    return Written("".join(part.text for part in parts), f'"{"".join(part.json for part in parts)}"')


texts = st.lists(pieces, max_size=8).map(joined)
texts_not_empty = st.lists(pieces, min_size=1, max_size=8).map(joined)

space = st.text(" \t\r\n", max_size=2)
numbers = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?", fullmatch=True),
    st.integers(-(10**400), 10**400).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from([
        "-0", "0", "-0.0", "0e0", "-0E-0", "1E+2", "1e400", "-1e-400", "1.0", "1.10", "100e-2", "0.1e00001",
        "9007199254740993", "18446744073709551616", "-9223372036854775809", "0.1000000000000000055511151231",
        "2.2250738585072011e-308", "1e23", "5e-324", "1" + "0" * 1000, "0." + "3" * 1000,
    ]),
)  # fmt: skip
scalars = st.one_of(st.sampled_from(["true", "false", "null"]), numbers, texts.map(lambda text: text.json))
# Few names, so that some stand twice in an object, once as they are and once escaped.
names = st.one_of(st.sampled_from(['"a"', '"\\u0061"', '""', '"b"']), texts.map(lambda text: text.json))


def objects_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write objects with these values, with whitespace wherever it may stand."""
    members = st.tuples(space, names, space, st.just(":"), space, values, space).map("".join)
    return st.one_of(
        st.lists(members, min_size=1, max_size=4).map(lambda each: f"{{{','.join(each)}}}"),
        space.map(lambda inside: f"{{{inside}}}"),
    )


def arrays_of(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Write arrays with these values, with whitespace wherever it may stand."""
    items = st.tuples(space, values, space).map("".join)
    return st.one_of(
        st.lists(items, min_size=1, max_size=4).map(lambda each: f"[{','.join(each)}]"),
        space.map(lambda inside: f"[{inside}]"),
    )


values = st.recursive(scalars, lambda inner: st.one_of(objects_of(inner), arrays_of(inner)), max_leaves=8)
objects = objects_of(values)
# Within the limits of a correlation's names and values.
correlations = objects_of(values.filter(lambda value: len(value.encode()) <= 1024))


def exactly(text: bytes) -> Any:
    """Parse JSON without losing anything: exact numbers, and every member of an object in its order."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, object_pairs_hook=list)


class Reader:
    """Posts JSON text, and reads back the one entry that its answer names."""

    def __init__(self, sender: Sender, client: Redis) -> None:
        self._sender = sender
        self._client = client
        self._ids: list[str] = []

    def post(self, endpoint: str, text: str) -> dict[bytes, bytes]:
        """Post a body that must be taken and give its entry."""
        answer = self._sender.post(endpoint, text.encode())
        assert answer.status_code == 202, answer.text
        milliseconds, sequence = divmod(int(answer.json()["jobId"].removeprefix("bull-")), 1_000_000)
        self._ids.append(f"{milliseconds}-{sequence}")
        entries: Any = self._client.xrange(STREAM, self._ids[-1], self._ids[-1])
        ((_, entry),) = entries
        assert entry[b"project_id"].decode() == self._sender.minted.project_id
        return dict(entry)

    def clean_up(self) -> None:
        """Take the entries, which are many and long, out of the way of other tests."""
        if self._ids:
            self._client.xdel(STREAM, *self._ids)


@pytest.fixture
def reader(sender: Sender, valkey: Valkey) -> Iterator[Reader]:
    """Return a reader with a new project."""
    with valkey.client(decode_responses=False) as client:
        reader = Reader(sender, client)
        yield reader
        reader.clean_up()


def assert_unchanged(kept: bytes, sent: str) -> None:
    """Check that JSON text was kept to the byte, and so to the last digit."""
    assert kept == sent.encode()
    assert exactly(kept) == exactly(sent.encode())


@given(correlation=correlations, payload=objects, between=space)
@many
def test_payload_and_correlation_of_an_event_arrive_unchanged(
    reader: Reader, correlation: str, payload: str, between: str
) -> None:
    body = (
        f'{between}{{"type":"t","correlation"{between}:{between}{correlation}{between},"severity":"INFO",'
        f'"payload":{between}{payload}{between},{between}"message":"m"}}{between}'
    )
    entry = reader.post("events", body)
    assert_unchanged(entry[b"correlation"], correlation)
    assert_unchanged(entry[b"payload"], payload)


@given(payload=objects, between=space)
@many
def test_the_payload_of_a_webhook_arrives_unchanged(reader: Reader, payload: str, between: str) -> None:
    body = f'{{{between}"payload"{between}:{between}{payload}{between},"source":"s","event":"e"}}'
    assert_unchanged(reader.post("webhook", body)[b"payload"], payload)


@given(correlation=correlations, between=space)
@many
def test_the_correlation_of_a_server_error_arrives_unchanged(
    reader: Reader, correlation: str, between: str
) -> None:
    body = (
        f'{{"status_code":5e2,"path":"/","method":"GET","error_message":"m",'
        f'"correlation"{between}:{between}{correlation}{between}}}'
    )
    assert_unchanged(reader.post("server-error", body)[b"correlation"], correlation)


RESERVED = {"type", "data", "id"}
other_members = st.lists(st.tuples(texts, values), max_size=4, unique_by=lambda member: member[0].text).map(
    lambda members: [f"{name.json}:{value}" for name, value in members if name.text not in RESERVED]
)


@given(data=objects, others=other_members, between=space, order=st.randoms(use_true_random=False))
@many
def test_a_stripe_event_arrives_whole_and_unchanged(
    reader: Reader, data: str, others: list[str], between: str, order: Random
) -> None:
    members = ['"type":"charge.failed"', f'"data"{between}:{between}{data}', *others]
    order.shuffle(members)
    body = f"{{{between}{f'{between},{between}'.join(members)}{between}}}"
    assert_unchanged(reader.post("stripe", body)[b"payload"], body)


@given(type_=texts_not_empty, message=texts_not_empty, source=texts)
@example(type_=Written("\0", r'"\u0000"'), message=Written("\u2028", '"\u2028"'), source=Written("", '""'))
@many
def test_the_texts_of_an_event_arrive_code_point_by_code_point(
    reader: Reader, type_: Written, message: Written, source: Written
) -> None:
    body = f'{{"type":{type_.json},"severity":"INFO","message":{message.json},"source":{source.json}}}'
    entry = reader.post("events", body)
    assert entry[b"type"].decode() == type_.text
    assert entry[b"message"].decode() == message.text
    assert entry[b"source"].decode() == source.text


@given(source=texts_not_empty, event=texts_not_empty)
@many
def test_the_texts_of_a_webhook_arrive_code_point_by_code_point(
    reader: Reader, source: Written, event: Written
) -> None:
    entry = reader.post("webhook", f'{{"source":{source.json},"event":{event.json},"payload":{{}}}}')
    assert entry[b"source"].decode() == source.text
    assert entry[b"type"].decode() == event.text
    assert entry[b"message"].decode() == f"{source.text} {event.text}"


@given(path=texts_not_empty, method=texts_not_empty, message=texts_not_empty, stack=texts)
@many
def test_the_texts_of_a_server_error_arrive_code_point_by_code_point(
    reader: Reader, path: Written, method: Written, message: Written, stack: Written
) -> None:
    body = (
        f'{{"status_code":500,"path":{path.json},"method":{method.json},'
        f'"error_message":{message.json},"stack":{stack.json}}}'
    )
    entry = reader.post("server-error", body)
    payload = json.loads(entry[b"payload"])
    assert entry[b"message"].decode() == message.text
    assert (payload["path"], payload["method"]) == (path.text, method.text)
    assert payload["stack"] == stack.text


@given(type_=texts_not_empty, failure=texts)
@many
def test_the_texts_of_a_stripe_event_arrive_code_point_by_code_point(
    reader: Reader, type_: Written, failure: Written
) -> None:
    data = f'{{"object":{{"last_payment_error":{{"message":{failure.json}}}}}}}'
    entry = reader.post("stripe", f'{{"type":{type_.json},"data":{data}}}')
    assert entry[b"type"].decode() == type_.text
    told = f"{type_.text}: {failure.text}" if failure.text else type_.text
    assert entry[b"message"].decode() == told


@pytest.mark.parametrize(
    "value",
    [
        "[" * 500 + "]" * 500,
        '{"a":' * 500 + "1" + "}" * 500,
        "9" * 20_000,
        "-0." + "9" * 20_000 + "e-99999",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        json.dumps("\U0001f600" * 10_000),
        json.dumps("\U0001f600" * 10_000, ensure_ascii=False),
        "{" + ",".join(['"a":1'] * 10_000) + "}",
        " \r\n\t" * 10_000 + "1",
    ],
    ids=lambda value: f"{value[:12]!a}-{len(value)}",
)
def test_what_is_rare_and_still_json_is_kept_deep_inside_and_at_the_top(reader: Reader, value: str) -> None:
    payload = f'{{"a":{value}}}'
    event = reader.post("events", f'{{"type":"t","severity":"INFO","message":"m","payload":{payload}}}')
    assert event[b"payload"] == payload.encode()
    whole = f'{{"type":"t","data":{payload},"other":{value}}}'
    assert reader.post("stripe", whole)[b"payload"] == whole.encode()


def test_the_strategies_write_json_of_every_kind() -> None:
    seen: set[str] = set()

    @given(text=objects)
    @settings(many, max_examples=200, derandomize=True)
    def look(text: str) -> None:
        exactly(text.encode())
        marks = {
            "\\u": "escape",
            "e+": "exponent",
            "[": "array",
            "\t": "tab",
            "null": "null",
            "\U0010ffff": "astral",
        }
        seen.update(kind for mark, kind in marks.items() if mark in text.lower())

    look()
    assert {"escape", "exponent", "array", "tab", "null"} <= seen
