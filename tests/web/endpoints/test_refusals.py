"""Every refusal of the design's table: the right answer, nothing published, and a worker that lives on."""

import gzip
import http.client
import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import Engine, text

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.format import new_key
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

LIMIT = 1024 * 1024
GOOD = json.dumps(EXAMPLES["events"]).encode()
JSON = "application/json"
ENDPOINTS = list(EXAMPLES)

REQUIRED = {
    "events": {"type": "text", "severity": "severity", "message": "text"},
    "server-error": {"status_code": "status", "path": "text", "method": "text", "error_message": "text"},
    "webhook": {"source": "text", "event": "text", "payload": "object"},
    "stripe": {"type": "text", "data": "object"},
}
OPTIONAL = {
    "events": {"source": "text", "correlation": "object", "payload": "object"},
    "server-error": {"stack": "text", "correlation": "object"},
    "webhook": {"severity": "severity"},
    "stripe": {"id": "id"},
}
# An object of each endpoint that may hold anything, and a text.
OBJECT = {"events": "payload", "server-error": "correlation", "webhook": "payload", "stripe": "data"}
TEXT = {"events": "message", "server-error": "stack", "webhook": "source", "stripe": "type"}

NO_TEXTS = dict.fromkeys(
    ["0", "1", "-0.5", "1e400", "true", "false", "[]", '["a"]', "{}", '{"a":"b"}'], "wrong_type"
)
NO_OBJECTS = dict.fromkeys(
    ["0", "1", "true", "false", '""', '"text"', '"{}"', "[]", "[{}]", '[["a",1]]'], "wrong_type"
)
NO_SEVERITIES = dict.fromkeys(
    ['"error"', '"Error"', '" ERROR"', '"ERROR "', '"ERROR\\n"', '"ERROR\\u0000"', '"FATAL"', '"WARNING"',
     '"\\uff25\\uff32\\uff32\\uff2f\\uff32"', '""', "1", "true", "false", "[]", '["INFO"]', "{}"],
    "not_allowed",
)  # fmt: skip
NO_STATUS_CODES = dict.fromkeys(
    ['"500"', '"abc"', '""', "true", "false", "[]", "[500]", "{}", '{"500":500}'], "wrong_type"
) | dict.fromkeys(
    ["0", "-0", "-0.0", "99", "600", "-500", "500.5", "99.99999999999999999999", "5e3", "5e-2", "1e999999",
     "1e-999999", "-1e999999", "1e99999999999999999999", "9" * 5000, "599." + "0" * 500 + "1"],
    "out_of_range",
)  # fmt: skip
WRONG = {
    "text": NO_TEXTS,
    "object": NO_OBJECTS,
    "severity": NO_SEVERITIES,
    "status": NO_STATUS_CODES,
    "id": NO_TEXTS | {'""': "empty", json.dumps("i" * 256): "too_long"},
}
WRONG_WHEN_REQUIRED = {kind: {"null": "required"} for kind in WRONG} | {
    "text": {"null": "required", '""': "empty"}
}


def body_with(endpoint: str, field: str, value: str | bytes) -> bytes:
    """Write an endpoint's example with the JSON text `value`, or what should be one, in a field."""
    example = json.dumps(EXAMPLES[endpoint] | {field: "@@"}).encode()
    return example.replace(b'"@@"', value.encode() if isinstance(value, str) else value)


def body_without(endpoint: str, field: str) -> dict[str, Any]:
    """Return an endpoint's example without a field."""
    return {name: value for name, value in EXAMPLES[endpoint].items() if name != field}


def told(answer: httpx.Response) -> str:
    """Return the status of an answer and, once its shape is checked, the word of a refusal."""
    problem = answer.json()
    if answer.headers["content-type"] == JSON:
        return str(answer.status_code)
    assert_refused(answer, problem["status"], problem["code"])
    assert problem["instance"] == answer.request.url.path
    assert problem["retryable"] is (answer.status_code >= 500)
    return f"{problem['status']} {problem['code']}"


def told_of_each(sender: Sender, endpoint: str, bodies: Mapping[str, Any]) -> dict[str, str]:
    """Post bodies that are all refused, check that nothing was published, and return each answer."""
    answers = {name: told(sender.post(endpoint, body)) for name, body in bodies.items()}
    assert answers
    assert sender.published() == []
    return answers


def faults_of(sender: Sender, endpoint: str, body: Any) -> dict[str, tuple[str, str]]:
    """Post a body that does not fit and give its faults, by pointer: word and detail."""
    answer = sender.post(endpoint, body)
    if told(answer) != "400 invalid_event":
        return {told(answer): ("", "")}
    errors = answer.json()["errors"]
    faults = {each["pointer"]: (each["code"], each["detail"]) for each in errors}
    assert len(faults) == len(errors)
    assert all(each.keys() == {"pointer", "code", "detail"} and each["detail"] for each in errors)
    assert sender.published() == []
    return faults


def words_of(sender: Sender, endpoint: str, body: Any) -> dict[str, str]:
    """Post a body that does not fit and give the words of its faults, by pointer."""
    return {pointer: code for pointer, (code, _detail) in faults_of(sender, endpoint, body).items()}


@contextmanager
def living_on(service: Service, sender: Sender) -> Iterator[None]:
    """Check that after the block a good event is taken, and by the same workers as before."""
    pids = service.worker_pids()
    yield
    assert sender.post("events", EXAMPLES["events"]).status_code == 202
    assert service.worker_pids() == pids


@pytest.fixture
def lives_on(service: Service, sender: Sender) -> Iterator[None]:
    """Check after a test that the worker lived through it."""
    with living_on(service, sender):
        yield


# Fields: missing, wrong, unknown.


@pytest.mark.parametrize(
    ("endpoint", "field"), [(endpoint, field) for endpoint in ENDPOINTS for field in REQUIRED[endpoint]]
)
def test_a_missing_field_is_named_and_nothing_is_published(sender: Sender, endpoint: str, field: str) -> None:
    assert words_of(sender, endpoint, body_without(endpoint, field)) == {f"/{field}": "required"}


@pytest.mark.parametrize(
    ("endpoint", "field", "kind", "required"),
    [(endpoint, *each, True) for endpoint in ENDPOINTS for each in REQUIRED[endpoint].items()]
    + [(endpoint, *each, False) for endpoint in ENDPOINTS for each in OPTIONAL[endpoint].items()],
)
def test_a_value_that_does_not_fit_is_named_and_nothing_is_published(
    sender: Sender, endpoint: str, field: str, kind: str, required: bool
) -> None:
    wrong = WRONG[kind] | (WRONG_WHEN_REQUIRED[kind] if required else {})
    found = {value: words_of(sender, endpoint, body_with(endpoint, field, value)) for value in wrong}
    assert found == {value: {f"/{field}": code} for value, code in wrong.items()}


@pytest.mark.parametrize(
    ("written", "status_code"),
    [
        ("500", 500),
        ("500.0", 500),
        ("5e2", 500),
        ("5E+2", 500),
        ("50e1", 500),
        ("0.5e3", 500),
        ("5000e-1", 500),
        ("500." + "0" * 5000, 500),
        ("100", 100),
        ("599", 599),
    ],
    ids=lambda value: str(value)[:9],
)
def test_a_whole_status_code_is_taken_in_every_form_of_a_number(
    sender: Sender, written: str, status_code: int
) -> None:
    assert sender.post("server-error", body_with("server-error", "status_code", written)).status_code == 202
    (entry,) = sender.published()
    taken = json.loads(entry[b"payload"])["status_code"]
    assert isinstance(taken, int)
    assert taken == status_code


@pytest.mark.parametrize(
    ("endpoint", "unknown", "meant"),
    [
        ("events", "mesage", "message"),
        ("events", "Type", "type"),
        ("events", "SEVERITY", "severity"),
        ("events", "corelation", "correlation"),
        ("events", "correlations", "correlation"),
        ("server-error", "statusCode", "status_code"),
        ("server-error", "StatusCode", "status_code"),
        ("server-error", "status-code", "status_code"),
        ("server-error", "errorMessage", "error_message"),
        ("server-error", "stacks", "stack"),
        ("webhook", "Event", "event"),
        ("webhook", "severty", "severity"),
        ("webhook", "payLoad", "payload"),
    ],
)
def test_an_unknown_field_is_named_with_the_one_that_was_meant(
    sender: Sender, endpoint: str, unknown: str, meant: str
) -> None:
    ((pointer, (code, detail)),) = faults_of(sender, endpoint, EXAMPLES[endpoint] | {unknown: "x"}).items()
    assert (pointer, code) == (f"/{unknown}", "unknown_field")
    assert f"did you mean {meant}?" in detail.lower()


@pytest.mark.parametrize("endpoint", ["events", "server-error", "webhook"])
def test_an_unknown_field_that_resembles_none_is_named_whatever_it_holds(
    sender: Sender, endpoint: str
) -> None:
    values: list[object] = [None, "x", 1, True, [], {"type": "x"}]
    for value in values:
        body = EXAMPLES[endpoint] | {"xyzzy": value}
        ((pointer, (code, detail)),) = faults_of(sender, endpoint, body).items()
        assert (pointer, code) == ("/xyzzy", "unknown_field")
        assert "did you mean" not in detail.lower()


def test_a_stripe_event_may_have_any_other_field(sender: Sender) -> None:
    sent = EXAMPLES["stripe"] | {"Type": 1, "datas": [], "mesage": None, "a/b~c": {}, "": True}
    assert sender.post("stripe", sent).status_code == 202
    (entry,) = sender.published()
    assert json.loads(entry[b"payload"]) == sent


@pytest.mark.parametrize("endpoint", ["events", "server-error", "webhook"])
def test_the_names_in_pointers_are_escaped(sender: Sender, endpoint: str) -> None:
    pointers = {
        "a/b": "/a~1b",
        "a~b": "/a~0b",
        "~1": "/~01",
        "~/": "/~0~1",
        "": "/",
        "a.b": "/a.b",
        "_schema": "/_schema",
        "0": "/0",
        '"': '/"',
        "ключ": "/ключ",
        "\U0001f600": "/\U0001f600",
        "\x00": "/\x00",
    }
    found = words_of(sender, endpoint, EXAMPLES[endpoint] | dict.fromkeys(pointers, 1))
    assert found == dict.fromkeys(pointers.values(), "unknown_field")


@pytest.mark.parametrize(
    ("endpoint", "body", "faults"),
    [
        (
            "events",
            {"severity": "error", "message": "", "source": 5, "correlation": [], "payload": "p", "mesage": 1},
            {
                "/type": "required",
                "/severity": "not_allowed",
                "/message": "empty",
                "/source": "wrong_type",
                "/correlation": "wrong_type",
                "/payload": "wrong_type",
                "/mesage": "unknown_field",
            },
        ),
        (
            "server-error",
            {"status_code": "500", "path": None, "error_message": [], "stack": 1, "correlation": 1, "a": 1},
            {
                "/status_code": "wrong_type",
                "/path": "required",
                "/method": "required",
                "/error_message": "wrong_type",
                "/stack": "wrong_type",
                "/correlation": "wrong_type",
                "/a": "unknown_field",
            },
        ),
        (
            "webhook",
            {"source": "", "event": False, "severity": "Info", "pay/load": {}, "Source": "x"},
            {
                "/source": "empty",
                "/event": "wrong_type",
                "/payload": "required",
                "/severity": "not_allowed",
                "/pay~1load": "unknown_field",
                "/Source": "unknown_field",
            },
        ),
        (
            "stripe",
            {"type": "", "data": [], "id": "", "kept": 1},
            {"/type": "empty", "/data": "wrong_type", "/id": "empty"},
        ),
    ],
)
def test_all_faults_of_a_body_are_told_at_once(
    sender: Sender, endpoint: str, body: dict[str, Any], faults: dict[str, str]
) -> None:
    assert words_of(sender, endpoint, body) == faults


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_an_empty_object_lacks_every_required_field(sender: Sender, endpoint: str) -> None:
    assert words_of(sender, endpoint, {}) == {f"/{field}": "required" for field in REQUIRED[endpoint]}


# Bodies that are no JSON object.

NO_OBJECT_BODIES = {
    "empty": b"",
    "whitespace": b" \r\n\t ",
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-32": GOOD.decode().encode("utf-32-le"),
    "two documents": GOOD + GOOD,
    "two lines": GOOD + b"\n" + GOOD,
    "text after it": GOOD + b" x",
    "a NUL after it": GOOD + b"\0",
    "a comma after it": GOOD + b",",
    "a brace after it": GOOD + b"}",
    "a line comment": b"// event\n" + GOOD,
    "a comment": GOOD + b"/* event */",
    "a hash comment": GOOD + b"\n# event",
    "single quotes": GOOD.replace(b'"', b"'"),
    "typographic quotes": GOOD.replace(b'"', "\u201c".encode()),
    "bare names": GOOD.replace(b'"type"', b"type"),
    "a trailing comma": GOOD[:-1] + b",}",
    "two commas": GOOD.replace(b", ", b",, ", 1),
    "no comma": GOOD.replace(b", ", b" ", 1),
    "no colon": GOOD.replace(b": ", b" ", 1),
    "a name alone": GOOD[:-1] + b',"x"}',
    "a value without a name": GOOD[:-1] + b',:"x"}',
    "a number for a name": GOOD[:-1] + b',1:"x"}',
    "null for a name": GOOD[:-1] + b',null:"x"}',
    "a bracket for a brace": GOOD[:-1] + b"]",
    "a vertical tab between": GOOD.replace(b": ", b":\v", 1),
    "a form feed between": GOOD.replace(b": ", b":\f", 1),
    "a no-break space between": GOOD.replace(b": ", b":\xc2\xa0", 1),
    "a form": b"type=a&severity=INFO&message=b",
    "XML": b"<event/>",
    "gzip": gzip.compress(GOOD),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_a_body_that_is_not_one_json_object_is_refused(sender: Sender, endpoint: str) -> None:
    found = told_of_each(sender, endpoint, NO_OBJECT_BODIES)
    assert found == dict.fromkeys(NO_OBJECT_BODIES, "400 malformed_json")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_a_body_cut_off_anywhere_is_refused(sender: Sender, endpoint: str) -> None:
    whole = json.dumps(EXAMPLES[endpoint]).encode()
    bodies = {f"{length} bytes": whole[:length] for length in range(0, len(whole), 3)}
    assert told_of_each(sender, endpoint, bodies) == dict.fromkeys(bodies, "400 malformed_json")


NO_VALUES = [
    "NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "1e", "1e+", "1E-", "1.", "1.e1", ".",
    ".5", "-", "--1", "+1", "-.5", "01", "-01", "00", "0x1", "0b1", "0o7", "1_000", "1,000", "1 000", "1f",
    "1n", "True", "None", "NULL", "undefined", "tru", "nul", "truefalse", "'a'", "`a`", "[1,]", "[,]",
    "[1 2]", "(1)", '{"a":1,}', "{a:1}", '{"a"}', '{"a":}', "{,}", "[}", "]", '"a" "b"', '"a', "/**/1",
    "1//", "\u0661", "",
]  # fmt: skip


@pytest.mark.parametrize("place", ["%s", '{"a":[0,{"b":%s}]}'], ids=["top", "deep"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_a_value_that_is_no_json_is_refused_at_the_top_and_deep_inside(
    sender: Sender, endpoint: str, place: str
) -> None:
    bodies = {value: body_with(endpoint, OBJECT[endpoint], place % value) for value in NO_VALUES}
    assert told_of_each(sender, endpoint, bodies) == dict.fromkeys(bodies, "400 malformed_json")


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_a_text_with_half_of_a_surrogate_pair_is_refused_by_name(sender: Sender, endpoint: str) -> None:
    for half in LONE_SURROGATES:
        body = body_with(endpoint, TEXT[endpoint], b'"cut %b"' % half)
        problem = assert_refused(sender.post(endpoint, body), 400, "malformed_json")
        assert f"{TEXT[endpoint]!r}" in problem["detail"]
        assert "half of a surrogate pair" in problem["detail"]
    assert sender.published() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_half_of_a_surrogate_pair_inside_an_object_is_kept_to_the_byte(sender: Sender, endpoint: str) -> None:
    kept = {"server-error": b"correlation"}.get(endpoint, b"payload")
    for number, half in enumerate(LONE_SURROGATES):
        value = b'{"pair":"\\ud83d\\ude00", "a":[0,{"b%b":"%b"}], "z":1}' % (half, half)
        body = body_with(endpoint, OBJECT[endpoint], value).replace(b"evt_1ABC", b"evt_%d" % number)
        answer = sender.post(endpoint, body)
        assert answer.status_code == 202, answer.text
        entry = sender.published()[-1]
        assert entry[kept] == (body if endpoint == "stripe" else value)


# What stands between quotation marks and makes the whole no JSON, or none that can be kept unchanged.
NO_UTF8 = {
    "a continuation byte alone": b"\x80",
    "a byte that is never used": b"\xff",
    "Latin-1": b"caf\xe9",
    "a truncated character": b"\xe2\x82",
    "a truncated astral character": b"\xf0\x9f\x98",
    "an overlong slash": b"\xc0\xaf",
    "an overlong NUL": b"\xc0\x80",
    "an overlong quotation mark": b"\xc0\xa2",
    "an overlong slash of three bytes": b"\xe0\x80\xaf",
    "an overlong slash of four bytes": b"\xf0\x80\x80\xaf",
    "a surrogate in UTF-8": b"\xed\xa0\x80",
    "CESU-8": b"\xed\xa0\xbd\xed\xb8\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
}
# Half of a surrogate pair, which UTF-8 cannot hold, and JSON in ASCII can.
LONE_SURROGATES = [
    rb"\ud800", rb"\udc00", rb"\uDBFF", rb"\ud800x", rb"\ud800\n", rb"\ud800\ud800", rb"\ud800\u0041",
    rb"\udc00\ud800", rb"\ud83d\ude00\ude00", rb"\\\ud800", rb"\ud83d\ud83d\ude00", rb"\ud800abcdefgh",
]  # fmt: skip
NO_CHARACTERS = [
    # Control characters, which must be escaped.
    b"\0", b"\1", b"\b", b"\t", b"\n", b"\r", b"\x1f", b"\x1b[31m",
    # Escapes that JSON does not know.
    rb"\a", rb"\0", rb"\x41", rb"\'", rb"\u", rb"\u12", rb"\u12g4", rb"\u+123", rb"\U0001F600", b"\\\n",
]  # fmt: skip
NO_TEXT = NO_UTF8 | {ascii(content): content for content in NO_CHARACTERS}


@pytest.mark.parametrize("place", ["text", "value deep inside", "name at the top", "name deep inside"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_text_that_cannot_be_kept_is_refused_wherever_it_stands(
    sender: Sender, endpoint: str, place: str
) -> None:
    field, value = {
        "text": (TEXT[endpoint], b"%b"),
        "value deep inside": (OBJECT[endpoint], b'{"a":[0,{"b":%b}]}'),
        "name at the top": (OBJECT[endpoint], b"{},%b:1"),
        "name deep inside": (OBJECT[endpoint], b'{"a":[0,{%b:1}]}'),
    }[place]
    bodies = {
        name: body_with(endpoint, field, value % (b'"xy%bxy"' % content)) for name, content in NO_TEXT.items()
    }
    assert told_of_each(sender, endpoint, bodies) == dict.fromkeys(bodies, "400 malformed_json")


@pytest.mark.parametrize(
    ("endpoint", "field"),
    [(endpoint, field) for endpoint in ENDPOINTS for field in (*EXAMPLES[endpoint], "unknown")],
)
def test_a_name_that_stands_twice_is_refused_however_it_is_written(
    sender: Sender, endpoint: str, field: str
) -> None:
    member = f'"{field}":{json.dumps(EXAMPLES[endpoint].get(field))}'
    once = f"{json.dumps(body_without(endpoint, field))[:-1]},{member}"
    escaped = member.replace(field, f"\\u{ord(field[0]):04x}{field[1:]}", 1)
    null = f'"{field}":null'
    for again in (member, escaped, null):
        answer = sender.post(endpoint, f"{once},{again}}}".encode())
        assert field in assert_refused(answer, 400, "malformed_json")["detail"]
    assert sender.published() == []


NESTED = [
    (b"[", b"1", b"]", 5_000),
    (b"[", b"1", b"]", 10_000),
    (b'{"a":', b"1", b"}", 5_000),
    (b'{"a":', b"1", b"}", 10_000),
    (b'[{"a":', b"1", b"}]", 5_000),
    (b"[", b"", b"", 10_000),
    (b'{"a":', b"", b"", 10_000),
    (b"[", b"", b"", 500_000),
]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_json_of_endless_depth_is_refused_wherever_it_begins(sender: Sender, endpoint: str) -> None:
    for opening, inside, ending, depth in NESTED:
        value = opening * depth + inside + ending * depth
        bodies = {
            "the body": value,
            "inside an object": body_with(endpoint, OBJECT[endpoint], b'{"a":%b}' % value),
            "for a text": body_with(endpoint, TEXT[endpoint], value),
            "in an unknown field": body_with(endpoint, "unknown", value),
        }
        assert told_of_each(sender, endpoint, bodies) == dict.fromkeys(bodies, "400 malformed_json")


MANY = [f'"a{number}":1' for number in range(12_000)]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        pytest.param(MANY, "invalid_event", id="unknown names"),
        pytest.param([*MANY[:250], '"z":1', '"z":2'], "malformed_json", id="the last name twice"),
        pytest.param([*MANY, *MANY], "invalid_event", id="every name twice"),
        pytest.param(['"status_code":' + "9" * 1_000_000], "invalid_event", id="a million digits"),
        pytest.param([f'"{"m" * 1_000_000}":1'], "invalid_event", id="a name of a million letters"),
    ],
)
@pytest.mark.usefixtures("lives_on")
def test_a_costly_body_is_refused_within_two_seconds(sender: Sender, members: list[str], code: str) -> None:
    body = f"{{{','.join(members)}}}".encode()
    begin = time.monotonic()
    assert told(sender.post("server-error", body)) == f"400 {code}"
    assert time.monotonic() - begin < 2.0
    assert sender.published() == []


# Type, encoding and size.


NO_JSON_TYPES = [
    "",
    "text/plain",
    "text/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "application/x-ndjson",
    "application/vnd.api+xml",
    "application/+json",
    "text/vnd.api+json",
    "application/json, text/plain",
    "json",
    "*/*",
    "application/json; charset=latin-1",
    "application/json; charset=iso-8859-1",
    "application/json; charset=utf-16",
    'application/json; charset="UTF-16LE"',
    "application/vnd.api+json; charset=latin-1",
    "application/json; charset=utf-7",
    "application/json; charset=ascii",
]
UNKNOWN_ENCODINGS = ["br", "compress", "nonsense", "identity, br", "br, nonsense", "x" * 1000]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize(
    ("header", "values", "code"),
    [
        ("Content-Type", NO_JSON_TYPES, "unsupported_media_type"),
        ("Content-Encoding", UNKNOWN_ENCODINGS, "unsupported_encoding"),
    ],
    ids=["type", "encoding"],
)
def test_another_type_charset_or_encoding_is_refused(
    sender: Sender, endpoint: str, header: str, values: list[str], code: str
) -> None:
    found = {
        value: told(sender.post(endpoint, EXAMPLES[endpoint], headers={header: value})) for value in values
    }
    assert found == dict.fromkeys(values, f"415 {code}")
    assert sender.published() == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_body_without_a_type_is_refused(sender: Sender, endpoint: str) -> None:
    headers = {"X-Api-Key": sender.minted.api_key}
    content = json.dumps(EXAMPLES[endpoint])
    answer = sender.http.post(f"/ingest/{endpoint}", content=content, headers=headers)
    assert "content-type" not in answer.request.headers
    assert "application/json" in assert_refused(answer, 415, "unsupported_media_type")["detail"]
    assert sender.published() == []


def test_json_in_utf8_is_taken_however_the_type_is_written(sender: Sender) -> None:
    types = [
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        "application/json; charset=UTF-8",
        "application/json; charset=Utf-8",
        'application/json; charset="utf-8"',
        'application/json; charset="UTF-8"',
        "application/json ; CHARSET=utf-8",
        "application/json; version=1",
        # RFC 6839: every type with this suffix is JSON.
        "application/vnd.example.v2+json",
        "application/cloudevents+json; charset=utf-8",
        "Application/Problem+JSON",
    ]
    good = EXAMPLES["events"]
    found = {each: told(sender.post("events", good, headers={"Content-Type": each})) for each in types}
    assert found == dict.fromkeys(types, "202")
    assert len(sender.published()) == len(types)


def in_chunks(body: bytes, size: int = 65_536) -> Iterator[bytes]:
    """Cut a body up, which makes httpx send it chunked."""
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]


def post_framed(sender: Sender, endpoint: str, body: bytes, framing: str) -> httpx.Response:
    """Post a body with its length, or chunked."""
    headers = {"X-Api-Key": sender.minted.api_key, "Content-Type": JSON}
    content: Any = in_chunks(body) if framing == "chunked" else body
    answer = sender.http.post(f"/ingest/{endpoint}", content=content, headers=headers)
    assert ("transfer-encoding" in answer.request.headers) == (framing == "chunked")
    return answer


def assert_too_large(answer: httpx.Response) -> None:
    """Check that an answer names the limit and its value."""
    detail = assert_refused(answer, 413, "body_too_large")["detail"]
    assert "VIGILRY_MAX_BODY_BYTES" in detail
    assert str(LIMIT) in detail.replace(",", "")


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.usefixtures("lives_on")
def test_a_body_of_two_megabytes_is_refused_and_the_limit_named(
    sender: Sender, endpoint: str, framing: str
) -> None:
    body = body_with(endpoint, OBJECT[endpoint], json.dumps({"a": "x" * 2_000_000}))
    assert_too_large(post_framed(sender, endpoint, body, framing))
    assert sender.published() == []


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.usefixtures("lives_on")
def test_one_byte_decides_whether_a_body_is_too_large(sender: Sender, framing: str) -> None:
    assert_too_large(post_framed(sender, "events", GOOD.ljust(LIMIT + 1), framing))
    assert sender.published() == []
    assert post_framed(sender, "events", GOOD.ljust(LIMIT), framing).status_code == 202
    assert len(sender.published()) == 1


# Paths and methods.


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_another_method_than_post_is_refused_and_the_right_one_named(sender: Sender, endpoint: str) -> None:
    headers = {"X-Api-Key": sender.minted.api_key, "Content-Type": JSON}
    content = json.dumps(EXAMPLES[endpoint])
    for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "QUERY", "NONSENSE"):
        answer = sender.http.request(method, f"/ingest/{endpoint}", content=content, headers=headers)
        assert told(answer) == "405 method_not_allowed"
        assert set(answer.headers["allow"].split(", ")) == {"POST", "OPTIONS"}
    assert sender.published() == []


def test_a_head_request_is_refused_without_a_body(sender: Sender) -> None:
    answer = sender.http.head("/ingest/events", headers={"X-Api-Key": sender.minted.api_key})
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "POST" in answer.headers["allow"]


UNKNOWN_PATHS = [
    "/ingest",
    "/ingest/",
    "/ingest/nope",
    "/ingest/Events",
    "/ingest/events/",
    "/ingest/events/1",
    "/ingest/events%00",
    "/ingest/events%20",
    "/ingest/%ff",
    "/ingest/..%2fevents",
    "/ingest/server_error",
    "/INGEST/events",
    "/events",
    "/static/x",
    "/health",
    "/.env",
    "/" + "x" * 2000,
]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/ingest/server_error", "/ingest/server-error"),
        ("/ingest/event", "/ingest/events"),
        ("/ingest/events/", "/ingest/events"),
        ("/events", "/ingest/events"),
        ("/stripe", "/ingest/stripe"),
        ("/" + "x" * 3000, None),
    ],
)
def test_a_mistyped_address_is_told_the_one_that_was_meant(
    sender: Sender, path: str, meant: str | None
) -> None:
    problem = assert_refused(sender.http.post(path, json={}), 404, "not_found")
    assert (f"Did you mean {meant}?" in problem["detail"]) == (meant is not None)


def test_a_method_that_is_not_taken_is_told_those_that_are(sender: Sender) -> None:
    problem = assert_refused(sender.http.get("/ingest/events"), 405, "method_not_allowed")
    assert problem["detail"] == "This path accepts OPTIONS, POST."


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_unknown_path_is_not_found(sender: Sender, method: str) -> None:
    headers = {"X-Api-Key": sender.minted.api_key, "Content-Type": JSON}
    for path in UNKNOWN_PATHS:
        assert_refused(sender.http.request(method, path, content=GOOD, headers=headers), 404, "not_found")
    assert sender.published() == []


# What only a raw socket can send, to each HTTP server that an operator may choose.


@pytest.fixture(scope="module", params=["gevent", "gthread", "sync"])
def server(
    request: pytest.FixtureRequest, service: Service, valkey: Valkey, database_url: str
) -> Iterator[Service]:
    """Run the product with each of the worker classes."""
    if request.param == "gevent":
        yield service
        return
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": database_url}
    with Service(settings, workers=1, worker_class=request.param) as running:
        yield running


@pytest.fixture
def caller(server: Service, valkey: Valkey, engine: Engine) -> Iterator[Sender]:
    """Return a sender with a new project to `server`."""
    minted = mint(engine, f"project of {os.urandom(8).hex()}", "production")
    with closing(Sender(server, valkey, minted)) as sender:
        yield sender


class Wire(NamedTuple):
    """What a request has beside its first lines: more headers, and the bytes after them."""

    headers: tuple[str, ...]
    body: bytes = b""
    version: str = "1.1"


def connect(server: Service) -> socket.socket:
    """Open a connection."""
    host, _, port = server.bind.partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def encode(caller: Sender, wire: Wire) -> bytes:
    """Write a request to /ingest/events, with the project's key."""
    lines = [f"POST /ingest/events HTTP/{wire.version}", "Host: localhost", f"Content-Type: {JSON}"]
    lines += [f"X-Api-Key: {caller.minted.api_key}", *wire.headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + wire.body


def converse(server: Service, request: bytes) -> bytes:
    """Send bytes and no more, and give all that comes back until the server closes."""
    received = b""
    with connect(server) as connection, suppress(ConnectionError):
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            received += part
    return received


def read_answer(received: bytes) -> tuple[int, str, bytes]:
    """Read the status, the type and the body of the first answer."""
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers["content-type"], rest[: int(headers["content-length"])]


def told_raw(received: bytes) -> str:
    """Return the first answer's status, and the code of a problem."""
    if not received:
        return "closed"
    status, content_type, body = read_answer(received)
    if content_type != "application/problem+json":
        return str(status)
    problem = json.loads(body)
    assert problem["status"] == status
    return f"{status} {problem['code']}"


def chunk(data: bytes) -> bytes:
    """Write one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"
CHUNKED = ("Transfer-Encoding: chunked",)
LENGTH = (f"Content-Length: {len(GOOD)}",)

TAKEN = {
    "one chunk": Wire(CHUNKED, chunk(GOOD) + LAST),
    "a chunk a byte": Wire(CHUNKED, b"".join(chunk(bytes([byte])) for byte in GOOD) + LAST),
    "an extension": Wire(CHUNKED, b"%x;name=value\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "a trailer": Wire(CHUNKED, chunk(GOOD) + b"0\r\nX-Checksum: 1\r\n\r\n"),
    "leading zeros": Wire(CHUNKED, b"000%x\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "capitals": Wire(("TRANSFER-ENCODING: Chunked",), b"%X\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "a length": Wire(LENGTH, GOOD),
    "HTTP/1.0 with a length": Wire(LENGTH, GOOD, "1.0"),
}


def test_a_whole_body_is_taken_however_it_is_framed(server: Service, caller: Sender) -> None:
    found = {name: told_raw(converse(server, encode(caller, wire))) for name, wire in TAKEN.items()}
    assert found == dict.fromkeys(TAKEN, "202")
    payloads = [json.loads(entry[b"payload"]) for entry in caller.published()]
    assert payloads == [EXAMPLES["events"]["payload"]] * len(TAKEN)


NO_BODY = {
    "nothing": Wire(()),
    "a body that nobody announced": Wire((), GOOD),
    "HTTP/1.0 and a body up to the end": Wire((), GOOD, "1.0"),
    "a length of zero": Wire(("Content-Length: 0",)),
    "no chunks": Wire(CHUNKED, LAST),
    "a chunk of whitespace": Wire(CHUNKED, chunk(b" \n") + LAST),
}


def test_a_request_without_a_body_is_no_json(server: Service, caller: Sender) -> None:
    with living_on(server, caller):
        found = {name: told_raw(converse(server, encode(caller, wire))) for name, wire in NO_BODY.items()}
        assert found == dict.fromkeys(NO_BODY, "400 malformed_json")
        assert caller.published() == []


INCOMPLETE = {
    "a length and nothing": Wire(LENGTH),
    "one byte less than told": Wire(LENGTH, GOOD[:-1]),
    "a whole event, and a byte more told": Wire((f"Content-Length: {len(GOOD) + 1}",), GOOD),
    "chunked and nothing": Wire(CHUNKED),
    "half a chunk": Wire(CHUNKED, b"%x\r\n%b" % (len(GOOD), GOOD[:20])),
    "half of the chunks": Wire(CHUNKED, chunk(GOOD[:20])),
    "no last chunk": Wire(CHUNKED, chunk(GOOD)),
    "half of the last chunk": Wire(CHUNKED, chunk(GOOD) + b"0"),
    "no end after the last chunk": Wire(CHUNKED, chunk(GOOD) + b"0\r\n"),
    "half a trailer": Wire(CHUNKED, chunk(GOOD) + b"0\r\nX-Check"),
    "a chunk of 16^40 bytes": Wire(CHUNKED, b"f" * 40 + b"\r\n" + GOOD),
}


def test_a_body_that_breaks_off_is_refused_and_the_worker_lives_on(server: Service, caller: Sender) -> None:
    with living_on(server, caller):
        found = {name: told_raw(converse(server, encode(caller, wire))) for name, wire in INCOMPLETE.items()}
        refused = {name: told for name, told in found.items() if told != "closed"}
        assert refused == dict.fromkeys(refused, "400 incomplete_body")
        assert caller.published() == []


def test_a_sender_that_vanishes_leaves_nothing_behind(server: Service, caller: Sender) -> None:
    with living_on(server, caller):
        for wire in INCOMPLETE.values():
            with connect(server) as connection:
                connection.sendall(encode(caller, wire))
                # Closing without lingering resets the connection.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The worker took the broken requests up before this one.
        assert caller.post("events", EXAMPLES["events"]).status_code == 202
        assert len(caller.published()) == 1


GARBLED = {
    "letters for a size": Wire(CHUNKED, b"zz\r\n" + GOOD),
    "no size": Wire(CHUNKED, b"\r\n" + GOOD),
    "the body itself": Wire(CHUNKED, GOOD),
    "a negative size": Wire(CHUNKED, b"-1\r\n" + GOOD),
    "a size with a plus": Wire(CHUNKED, b"+%x\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "a size with 0x": Wire(CHUNKED, b"0x%x\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "a size with an underscore": Wire(CHUNKED, b"0_%x\r\n%b\r\n" % (len(GOOD), GOOD) + LAST),
    "a size that is too small": Wire(CHUNKED, b"%x\r\n%b\r\n" % (len(GOOD) - 9, GOOD) + LAST),
    "a size that is too large": Wire(CHUNKED, b"%x\r\n%b\r\n" % (len(GOOD) + 1, GOOD) + LAST),
    "no line end after a chunk": Wire(CHUNKED, b"%x\r\n%bXX" % (len(GOOD), GOOD) + LAST),
    "two lengths": Wire((*LENGTH, "Content-Length: 5"), GOOD),
    "one length twice": Wire(LENGTH * 2, GOOD),
    "a list of lengths": Wire((f"Content-Length: {len(GOOD)}, {len(GOOD)}",), GOOD),
    "a length and chunks": Wire(LENGTH + CHUNKED, chunk(GOOD) + LAST),
    "chunked twice": Wire(CHUNKED * 2, chunk(GOOD) + LAST),
    "a negative length": Wire(("Content-Length: -1",), GOOD),
    "a length with a plus": Wire((f"Content-Length: +{len(GOOD)}",), GOOD),
    "a length in words": Wire(("Content-Length: many",), GOOD),
    "a length in hexadecimal": Wire((f"Content-Length: {len(GOOD):#x}",), GOOD),
    "an empty length": Wire(("Content-Length: ",), GOOD),
    "a length of forty digits": Wire(("Content-Length: " + "9" * 40,), GOOD),
    "a length in other digits": Wire(("Content-Length: \xb2\xb9",), GOOD),
    "an unknown transfer coding": Wire(("Transfer-Encoding: nonsense",), GOOD),
    "identity": Wire(("Transfer-Encoding: identity",), GOOD),
    "gzip": Wire(("Transfer-Encoding: gzip",), gzip.compress(GOOD)),
    "gzip in chunks": Wire(("Transfer-Encoding: gzip, chunked",), chunk(gzip.compress(GOOD)) + LAST),
    "chunks in HTTP/1.0": Wire(CHUNKED, chunk(GOOD) + LAST, "1.0"),
    "a space before the colon": Wire((f"Content-Length : {len(GOOD)}",), GOOD),
    "a folded header": Wire((f"Content-Length:\r\n {len(GOOD)}",), GOOD),
    "a header with a NUL": Wire(("X-A: \0", *LENGTH), GOOD),
}


def test_a_garbled_request_is_refused_or_cut_off_and_the_worker_lives_on(
    server: Service, caller: Sender
) -> None:
    with living_on(server, caller):
        found = {name: told_raw(converse(server, encode(caller, wire))) for name, wire in GARBLED.items()}
        assert {
            name: told for name, told in found.items() if told[:3] not in ("400", "413", "501", "clo")
        } == {}
        assert caller.published() == []


NO_HTTP = {
    "a line of nonsense": (b"nonsense\r\n\r\n", 400),
    "a method in lower case": (b"post /ingest/events HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an unknown version": (b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    "a long address": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: " + b"a" * 20_000 + b"\r\n\r\n", 431),
    "an expectation": (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
    ),
    "an unknown transfer coding": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 400),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_HTTP)
def test_what_is_no_http_is_refused_in_the_same_shape(server: Service, case: str) -> None:
    request, status = NO_HTTP[case]
    head, _, body = converse(server, request).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert b"\r\nContent-Type: application/problem+json\r\n" in head
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == ("bad_request", status)
    assert f"X-Request-Id: {problem['requestId']}".encode() in head
    assert problem["detail"]


LARGE = b" " * 200_000
REFUSED_UNREAD = {
    "no key": ("/ingest/events", LARGE, {"X-Api-Key": ""}, 401),
    "an unknown key": ("/ingest/events", LARGE, {"X-Api-Key": new_key("production")}, 401),
    "another type": ("/ingest/events", LARGE, {"Content-Type": "text/plain"}, 415),
    "an unknown encoding": ("/ingest/events", LARGE, {"Content-Encoding": "br"}, 415),
    "an unknown path": ("/ingest/nope", LARGE, {}, 404),
    "a body that is too large": ("/ingest/events", b" " * 2_000_000, {}, 413),
}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [pytest.param(*case, id=name) for name, case in REFUSED_UNREAD.items()],
)
def test_a_refusal_says_that_it_closes_the_connection_or_the_next_request_on_it_is_answered(
    server: Service, caller: Sender, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    host, _, port = server.bind.partition(":")
    good = {"X-Api-Key": caller.minted.api_key, "Content-Type": JSON}
    with (
        living_on(server, caller),
        closing(http.client.HTTPConnection(host, int(port), timeout=10)) as client,
    ):
        # A server that closes early resets the connection, and its answer is there to be read all the same.
        with suppress(ConnectionError):
            client.request("POST", path, body, good | headers)
        refusal = client.getresponse()
        assert (refusal.status, json.load(refusal)["status"]) == (status, status)
        assert caller.published() == []
        if not refusal.will_close:
            client.request("POST", "/ingest/events", GOOD, good)
            assert client.getresponse().status == 202


# A broker or a key store that cannot do its part, each the service's own.


class Fragile(NamedTuple):
    """A service, what stands behind it, and a sender to it."""

    service: Service
    valkey: Valkey
    engine: Engine
    sender: Sender


@pytest.fixture(scope="module")
def fragile_parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Valkey, Engine]]:
    """Run a service whose stream is full at three entries, on a broker and a database of its own."""
    engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('fragile')}/vigilry.db")
    upgrade(engine)
    with Valkey() as valkey:
        settings: dict[str, str | int] = {
            "VIGILRY_REDIS_URL": valkey.url,
            "VIGILRY_DATABASE_URL": str(engine.url),
            "VIGILRY_STREAM_MAX_ENTRIES": 3,
        }
        with Service(settings) as service:
            yield service, valkey, engine
    engine.dispose()


@pytest.fixture
def fragile(fragile_parts: tuple[Service, Valkey, Engine]) -> Iterator[Fragile]:
    """Return a new project on the fragile service, and an empty stream."""
    service, valkey, engine = fragile_parts
    valkey.ask("DEL", "vigilry:{0}:events")
    minted = mint(engine, f"project of {os.urandom(8).hex()}", "production")
    with closing(Sender(service, valkey, minted)) as sender:
        yield Fragile(service, valkey, engine, sender)


def assert_unavailable(answer: httpx.Response, *codes: str) -> None:
    """Check that an answer says to try again, and when."""
    assert told(answer) in {f"503 {code}" for code in codes}
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_full_stream_refuses_and_keeps_what_it_has(fragile: Fragile, endpoint: str) -> None:
    sender = fragile.sender
    for _ in range(3):
        assert sender.post("events", EXAMPLES["events"]).status_code == 202
    kept = sender.published()
    assert_unavailable(sender.post(endpoint, EXAMPLES[endpoint]), "stream_full")
    assert len(kept) == 3
    assert sender.published() == kept


def test_a_broker_without_memory_refuses_and_nothing_is_published(fragile: Fragile) -> None:
    with living_on(fragile.service, fragile.sender):
        fragile.valkey.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            for endpoint in ENDPOINTS:
                answer = fragile.sender.post(endpoint, EXAMPLES[endpoint])
                assert_unavailable(answer, "broker_out_of_memory")
        finally:
            fragile.valkey.ask("CONFIG", "SET", "maxmemory", 0)
        assert fragile.sender.published() == []


def test_without_a_broker_every_endpoint_refuses_and_nothing_is_published(fragile: Fragile) -> None:
    with living_on(fragile.service, fragile.sender):
        fragile.valkey.stop()
        try:
            for endpoint in ENDPOINTS:
                # What was just sent as the broker stopped may have been stored, for all that anybody knows.
                answer = fragile.sender.post(endpoint, EXAMPLES[endpoint])
                assert_unavailable(answer, "broker_unavailable", "broker_timeout")
        finally:
            fragile.valkey.start()
        assert fragile.sender.published() == []


def test_without_a_key_store_an_unknown_key_is_told_to_come_again(fragile: Fragile) -> None:
    with living_on(fragile.service, fragile.sender):
        with fragile.engine.begin() as connection:
            connection.execute(text("ALTER TABLE api_keys RENAME TO gone"))
        try:
            for endpoint in ENDPOINTS:
                answer = fragile.sender.post(endpoint, EXAMPLES[endpoint])
                assert_unavailable(answer, "key_store_unavailable")
        finally:
            with fragile.engine.begin() as connection:
                connection.execute(text("ALTER TABLE gone RENAME TO api_keys"))
        assert fragile.sender.published() == []
