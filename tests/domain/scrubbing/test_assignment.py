"""The value after the name of a field is replaced as a whole, however a text assigns it."""

import json

import pytest

from tests.domain.scrubbing.examples import an_event
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_FIELDS, ScrubbingRules
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber

SCRUBBER = Scrubber(ScrubbingRules.checked(DEFAULT_FIELDS, []))


def scrubbed(message: str) -> str:
    """Return what becomes of a message."""
    return SCRUBBER.scrub(an_event(message=message))[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"password":"ab\"cd","n":1}', '{"password":"[scrubbed]","n":1}'),
        (r"{'password': 'it\'s', 'n': 1}", "{'password': '[scrubbed]', 'n': 1}"),
        ('{"password": {"a": "}b", "c": ["d"]}, "n": 1}', '{"password": [scrubbed], "n": 1}'),
        ("<QueryDict: {'password': ['a', 'b']}>", "<QueryDict: {'password': [scrubbed]}>"),
        ("password: {'a': 'b\nx", "password: [scrubbed]\nx"),
    ],
)
def test_a_value_with_escapes_or_brackets_is_replaced_to_its_end(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


def test_a_value_in_json_within_json_within_json_is_replaced_to_its_end() -> None:
    text = json.dumps({"password": 'hunter"2', "n": 1})
    for _ in range(3):
        assert "hunter" in text
        result = scrubbed(text)
        assert "hunter" not in result
        assert "2" not in result
        json.loads(result)
        text = json.dumps({"body": text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password"=>"abc"}', '{"password"=>"[scrubbed]"}'),
        ("'password' => 'abc'", "'password' => '[scrubbed]'"),
        ('if token == "abc"', 'if token == "[scrubbed]"'),
        ("user%5Bpassword%5D=abc&x=1", "user%5Bpassword%5D=[scrubbed]&x=1"),
        ("user%5Bauth%5D=abc&x=1", "user%5Bauth%5D=[scrubbed]&x=1"),
        ("next=%2Fa%3Ftoken%3Dabc&x=1", "next=%2Fa%3Ftoken%3D[scrubbed]&x=1"),
    ],
)
def test_an_assignment_of_another_language_or_in_an_encoded_query_is_one(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Cookie: a=b; sid=c; d=(e)&f\nHost: x", "Cookie: [scrubbed]\nHost: x"),
        ("curl -H 'Cookie: a=b; sid=c' http://x", "curl -H 'Cookie: [scrubbed]' http://x"),
        ('Authorization: Token token="abc", n="d"\n', "Authorization: Token [scrubbed]\n"),
        ('Authorization: Digest username="Jane", response="6629"', "Authorization: Digest [scrubbed]"),
        ("Authorization: ApiKey abc", "Authorization: ApiKey [scrubbed]"),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c",
            "Authorization: AWS4-HMAC-SHA256 [scrubbed]",
        ),
    ],
)
def test_a_header_with_several_values_is_replaced_as_a_whole(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Error: x\n    at login (/app/auth.js:12:34)\n    at file:///app/csrf.mjs:1:2",
        "\tat com.shop.Token.parse(Token.java:33) ~[shop-auth.jar:5.1.6]",
        "app/auth.rb:12:in `login'",
        'File "/app/token.py", line 5, in auth',
        "auth.py:12: in login",
        "config/secrets.yaml:3: a tab",
        "github.com/x/auth.(*S).Login(0xc0)\n\t/go/auth/token.go:12 +0x1",
        "at App.Auth.Login() in C:\\src\\Auth.cs:line 42",
        "#0 /app/Auth.php(12): Auth::attempt()",
        "3: shop::auth::Token::parse",
        "if (token === null) {",
    ],
)
def test_a_frame_of_a_stack_trace_is_no_assignment(text: str) -> None:
    assert scrubbed(text) == text
