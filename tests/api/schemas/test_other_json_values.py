"""Valid JSON that is not an object is an invalid event; only what is not valid JSON is malformed."""

import json
from typing import Any

import pytest

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from vigilry_ingest.api.schemas.faults import Fault, InvalidEvent
from vigilry_ingest.api.schemas.json_object import MalformedJson, MemberBudget, parse_enveloped, parse_object

pytestmark = pytest.mark.one_database

EVENT = json.dumps(EXAMPLES["events"])
DEEP = "[" * 100_000

OTHER_VALUES = {
    "an empty array": "[]",
    "an array": "[1]",
    "an array of the event": f"[{EVENT}]",
    "a string": '"text"',
    "an empty string": '""',
    "a number": "5",
    "a number with an exponent": "-1.5e3",
    "a number beyond floats": "1e999999",
    "a number of many digits": "9" * 5000,
    "null": "null",
    "true": "true",
    "false": "false",
    "an array with a lone surrogate": '["\\ud800"]',
    "white space around it": " \r\n\t[1] ",
}
MALFORMED = {
    "half an array": "[1",
    "half a string": '"text',
    "half a literal": "nul",
    "a trailing comma": "[1,]",
    "text after it": "[1] x",
    "two values": "5 5",
    "a wrong bracket": "[1}",
    "a wrong number inside": "[01]",
    "a wrong escape inside": '["\\x"]',
    "NaN": "NaN",
    "a byte order mark": "\ufeff[1]",
    "deep nesting": DEEP + "]" * len(DEEP),
    "deep nesting that is cut off": DEEP,
}


def fault(what: str) -> dict[str, str]:
    return Fault("", "wrong_type", f"The {what} must be a JSON object.")._asdict()


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_a_value_that_is_not_an_object_is_an_invalid_event(name: str) -> None:
    text = OTHER_VALUES[name].encode()
    with pytest.raises(InvalidEvent) as invalid:
        parse_object(text)
    assert [each._asdict() for each in invalid.value.faults] == [fault("body")]
    with pytest.raises(InvalidEvent) as invalid:
        parse_enveloped(text, ["kind"], MemberBudget(10))
    assert [each._asdict() for each in invalid.value.faults] == [fault("item")]


@pytest.mark.parametrize("text", [*MALFORMED.values(), b'"\xff"'], ids=[*MALFORMED, "invalid UTF-8"])
def test_what_is_not_valid_json_is_malformed(text: str | bytes) -> None:
    with pytest.raises(MalformedJson):
        parse_object(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("endpoint", [*EXAMPLES, "batch"])
def test_every_endpoint_answers_that_the_body_must_be_an_object(sender: Sender, endpoint: str) -> None:
    for text in OTHER_VALUES.values():
        problem = assert_refused(sender.post(endpoint, text.encode()), 400, "invalid_event")
        assert problem["errors"] == [fault("body")]
    for text in MALFORMED.values():
        assert_refused(sender.post(endpoint, text.encode()), 400, "malformed_json")
    assert sender.published() == []


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
def test_an_item_of_a_batch_that_is_not_an_object_is_rejected_alone(sender: Sender, media_type: str) -> None:
    items = [EVENT, *(each.strip() for each in OTHER_VALUES.values()), EVENT]
    body = "\n".join(items) if "ndjson" in media_type else f'{{"events": [{",".join(items)}]}}'
    answer = sender.post("batch", body.encode(), headers={"Content-Type": media_type})
    first, *rejected, last = answer.json()["results"]
    assert (answer.status_code, first["status"], last["status"]) == (202, "queued", "queued")
    expected: dict[str, Any] = {"status": "rejected", "code": "invalid_event", "errors": [fault("item")]}
    assert rejected == [{"index": index} | expected for index in range(1, len(items) - 1)]
    assert len(sender.published()) == 2


def test_a_line_of_a_batch_that_is_not_valid_json_stays_malformed(sender: Sender) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    answer = sender.post("batch", f"[1\n{EVENT}\n[1]".encode(), headers=headers)
    assert [each.get("code") for each in answer.json()["results"]] == [
        "malformed_json",
        None,
        "invalid_event",
    ]
