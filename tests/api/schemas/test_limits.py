"""Limits on the members of events and correlations."""

import json
from typing import Any

import pytest

from tests.fixtures.sender import EXAMPLES, Sender, assert_refused

pytestmark = pytest.mark.one_database

WITHIN: dict[str, Any] = {
    "64 members": {f"name {number}": number for number in range(64)},
    "a name of 128 characters": {"é" * 128: 1},
    "a value of 1 KiB": {"a": "x" * 1022},
    "an object of 1 KiB": {"a": {"b": "x" * 1014}},
}
BEYOND: dict[str, tuple[Any, str]] = {
    "65 members": ({f"name {number}": number for number in range(65)}, "too_many_members"),
    "a name of 129 characters": ({"é" * 129: 1}, "too_long"),
    "a value beyond 1 KiB": ({"a": "x" * 1023}, "too_long"),
    "a number beyond 1 KiB": ({"a": int("9" * 1025)}, "too_long"),
    "an object beyond 1 KiB": ({"a": {"b": "x" * 1017}}, "too_long"),
}


def text_of(endpoint: str, correlation: Any) -> bytes:
    """Return an endpoint's example with a correlation."""
    body = EXAMPLES[endpoint] | {"correlation": correlation}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("endpoint", ["events", "server-error"])
@pytest.mark.parametrize("case", WITHIN)
def test_a_correlation_within_its_limits_is_kept(sender: Sender, endpoint: str, case: str) -> None:
    answer = sender.post(endpoint, text_of(endpoint, WITHIN[case]))
    assert answer.status_code == 202, answer.text
    assert json.loads(sender.published()[-1][b"correlation"]) == WITHIN[case]


@pytest.mark.parametrize("endpoint", ["events", "server-error"])
@pytest.mark.parametrize("case", BEYOND)
def test_a_correlation_beyond_its_limits_is_refused(sender: Sender, endpoint: str, case: str) -> None:
    correlation, code = BEYOND[case]
    problem = assert_refused(sender.post(endpoint, text_of(endpoint, correlation)), 400, "invalid_event")
    assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/correlation", code)]
    assert sender.published() == []


def test_repeated_names_of_a_correlation_count_each_time(sender: Sender) -> None:
    text = b"{" + b",".join([b'"same name":1'] * 65) + b"}"
    body = json.dumps(EXAMPLES["events"] | {"correlation": "@"}).encode().replace(b'"@"', text)
    problem = assert_refused(sender.post("events", body), 400, "invalid_event")
    assert [each["code"] for each in problem["errors"]] == ["too_many_members"]


@pytest.mark.parametrize(("members", "is_accepted"), [(256, True), (257, False)])
def test_an_object_may_have_256_members(sender: Sender, members: int, is_accepted: bool) -> None:
    event = EXAMPLES["stripe"] | {f"member {number}": 1 for number in range(members - 3)}
    answer = sender.post("stripe", event)
    if is_accepted:
        assert answer.status_code == 202, answer.text
    else:
        problem = assert_refused(answer, 400, "invalid_event")
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("", "too_many_members")]
