"""What is replaced in a text, and what only looks like it."""

import pytest

from tests.domain.scrubbing.examples import ALL_PATTERNS, an_event, card_number, iban_of
from vigilry_ingest.domain.scrubbing.patterns import PATTERNS
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber

FIELDS = ("password", "token", "authorization", "card", "api_key")


def scrubbed(message: str, *patterns: str) -> str:
    """Return what becomes of a message by these patterns, all by default."""
    scrubber = Scrubber(ScrubbingRules.checked(FIELDS, patterns or ALL_PATTERNS))
    return scrubber.scrub(an_event(message=message))[0].message


REPLACED = {
    "card-number": [
        "4242424242424242",
        "4242 4242 4242 4242",
        "4242-4242-4242-4242",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "3056 930902 5904",
        "6011111111111117",
        "3566002020360505",
        "6200000000000005",
        "4917610000000000003",
    ],
    "email": [
        "jane@example.com",
        "jane.doe+x@mail.example.co.uk",
        "o'neil_1%x@exa-mple.io",
        "ünï@exämple.de",
        "jane%40example.com",
    ],
    "iban": [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB82WEST12345698765432",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
    ],
    "ip": [
        "203.0.113.9",
        "255.255.255.255",
        "2001:db8::1",
        "::1",
        "::ffff:192.0.2.1",
        "2001:db8:0:0:0:0:2:1",
    ],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_9", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."],
    "api-key": [
        "vig_live_" + "a1" * 18,
        "sk_live_abcdefghijkl1234",
        "rk_test_abcdefghijkl1234",
        "whsec_abcdefghijklmnop",
        "ghp_" + "a1" * 18,
        "github_pat_11ABCDEFG0abcdefghijkl",
        "glpat-abcdefghij0123456789",
        "xoxb-1234567890-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "AIza" + "a1B2_" * 7,
        "SG.abcdefghijklmnop-1.abcdefghijklmnop_2",
        "pypi-AgEIcHlwaS5vcmcCJDU",
        "sk-proj-abcdefghij0123456789",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB+/=\nabc\n-----END RSA PRIVATE KEY-----",
        r"-----BEGIN PRIVATE KEY-----\nMIIB+/=\nabc\n-----END PRIVATE KEY-----",
    ],
}


@pytest.mark.parametrize(
    ("pattern", "value"), [(name, each) for name, all_ in REPLACED.items() for each in all_]
)
def test_a_value_of_a_pattern_is_replaced_wherever_it_is_in_a_text(pattern: str, value: str) -> None:
    for before, after in (
        ("", ""),
        ("Failed for ", " of it"),
        ("(", ")"),
        ('"', '"'),
        ("x=", ","),
        ("é ", " é"),
    ):
        assert scrubbed(before + value + after, pattern) == f"{before}[scrubbed]{after}"
    others = [name for name in PATTERNS if name != pattern]
    assert scrubbed(f"It is {value}", *others) == f"It is {value}"


def test_every_pattern_has_an_example() -> None:
    assert set(REPLACED) == set(PATTERNS) == set(ALL_PATTERNS)


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",  # a wrong check digit
        "0.4242424242424242",
        "1764400000000 and 1764400000000000",  # times
        "42424242424242424242424242",
        "9999999999999995",  # no issuer
        "jane@host",
        "@example.com",
        "git@",
        "DE88370400440532013000",
        "AB12CD34EF56AB12CD34EF56",
        "XDE89370400440532013000",
        "1.2.3.4.5",
        "999.1.2.3",
        "v1.2.3",
        "12:30:00",
        "std::vector<int>",
        "Ace::Fade",
        "::",
        "eyJ only begins like one",
        "task-abcdefghij0123456789",
        "pypi-attestations-publisher",
        "MSG.the_name_of_a_message.another_long_name",
        "-----BEGIN CERTIFICATE-----",
        "discard=1 cardinality=3 tokenizer: x my password is abc",
        "password= & token: null authorization=undefined",
    ],
)
def test_what_only_looks_like_a_secret_is_kept(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2&x=1", "password=[scrubbed]&x=1"),
        ("GET /a?x=1&access_token=abc#top", "GET /a?x=1&access_token=[scrubbed]"),
        ("url=https://x?token=abc", "url=https://x?token=[scrubbed]"),
        ("user[password]=abc", "user[password]=[scrubbed]"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [scrubbed]"),
        ("curl -H 'X-Api-Key: abc' http://x", "curl -H 'X-Api-Key: [scrubbed]' http://x"),
        ('{"password": "a b", "x": 1}', '{"password": "[scrubbed]", "x": 1}'),
        (r"{\"password\":\"a b\",\"x\":1}", r"{\"password\":\"[scrubbed]\",\"x\":1}"),
        ("password='a b' token=c", "password='[scrubbed]' token=[scrubbed]"),
        ("token: [Filtered] x", "token: [scrubbed] x"),
        ('password="a\ntoken=b', 'password="[scrubbed]\ntoken=[scrubbed]'),
        ("PASSWORD=a PassWord=b passwordHash=c", "PASSWORD=[scrubbed] PassWord=b passwordHash=[scrubbed]"),
    ],
)
def test_the_value_after_the_name_of_a_field_is_replaced(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4242 4242 4242 4242 12/27", "[scrubbed] 12/27"),
        ("4242 4242 4242 4242 123", "[scrubbed] 123"),
        ("AB12 DE89370400440532013000", "AB12 [scrubbed]"),
        ("DE89 3704 0044 0532 0130 00 AND MORE", "[scrubbed] AND MORE"),
        ("10.0.0.1:80", "[scrubbed]:80"),
        ("[2001:db8::1]:80", "[[scrubbed]]:80"),
        ("Jane <jane@x.com>, joe@x.com.", "Jane <[scrubbed]>, [scrubbed]."),
        ("a\0jane@x.com\0b", "a\0[scrubbed]\0b"),
    ],
)
def test_what_is_beside_a_value_stays(text: str, expected: str) -> None:
    assert scrubbed(text) == expected


@pytest.mark.parametrize("text", ["日" * 30 + "@example.com", "a@x." + "日" * 90, "é" * 300 + "@é.éé"])
def test_an_address_that_is_too_long_is_cut_between_characters(text: str) -> None:
    assert "[scrubbed]" in scrubbed(text)


def test_generated_cards_and_accounts_are_valid_examples() -> None:
    # The other tests would pass with values that nothing takes for secrets.
    assert scrubbed(f"{card_number(7)} {iban_of(7)}") == "[scrubbed] [scrubbed]"
