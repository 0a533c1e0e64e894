"""Values in JSON are replaced, and all else keeps its bytes."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.domain.scrubbing.examples import ALL_PATTERNS, an_event
from vigilry_ingest.domain.scrubbing.json_text import MAX_STRINGS
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_RULES, InvalidRules, ScrubbingRules
from vigilry_ingest.domain.scrubbing.scrubber import Scrubber, scrubber_of
from vigilry_ingest.domain.scrubbing.tally import MAX_CHECKS, TooComplex

FIELDS = ("password", "token", "authorization", "card", "api_key")
SCRUBBER = Scrubber(ScrubbingRules.checked(FIELDS, ALL_PATTERNS))


def scrubbed(payload: bytes, scrubber: Scrubber = SCRUBBER) -> bytes:
    """Return what becomes of a payload."""
    result = scrubber.scrub(an_event(payload))[0].payload
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"password":"x"}', b'{"password":"[scrubbed]"}'),
        (b'{"password" : 12.50e3 , "n":1}', b'{"password" : "[scrubbed]" , "n":1}'),
        (b'{"password":{"a":["b","c{}"]} ,"n":1.0}', b'{"password":"[scrubbed]" ,"n":1.0}'),
        (b'{"password":[{"a":[]},"]"],"n":[]}', b'{"password":"[scrubbed]","n":[]}'),
        (b'{"a":{"token":{"token":"x"}},"token":"y"}', b'{"a":{"token":"[scrubbed]"},"token":"[scrubbed]"}'),
        (b'{"pass\\u0077ord":"x"}', b'{"pass\\u0077ord":"[scrubbed]"}'),
        (b'{"password":"a\\"b","n":1}', b'{"password":"[scrubbed]","n":1}'),
        (b'{"password"\n:\n"x"}', b'{"password"\n:\n"[scrubbed]"}'),
        (b'{"password":"x","password":"y"}', b'{"password":"[scrubbed]","password":"[scrubbed]"}'),
        (
            b'{"h":[["Authorization","Bearer x"],["b","c"]]}',
            b'{"h":[["Authorization","[scrubbed]"],["b","c"]]}',
        ),
        (b'{"h":[ [ "token" ,\n"x" ] ]}', b'{"h":[ [ "token" ,\n"[scrubbed]" ] ]}'),
        (b'{"n":4242424242424242}', b'{"n":"[scrubbed]"}'),
        (b'{"a@b.co":1,"c@d.co":2}', b'{"[scrubbed 1]":1,"[scrubbed 2]":2}'),
        (b'{"q":"a=1&token=b"}', b'{"q":"a=1&token=[scrubbed]"}'),
        (b'{"log":"at\\n\\tjane\\u0040x.co\\n"}', b'{"log":"at\\n\\t[scrubbed]\\n"}'),
        (b'{"e":"\\ud800 jane@x.co \\u0000"}', b'{"e":"\\ud800 [scrubbed] \\u0000"}'),
        (b'{"body":"{\\"password\\":\\"x\\"}"}', b'{"body":"{\\"password\\":\\"[scrubbed]\\"}"}'),
    ],
)
def test_a_value_is_replaced(payload: bytes, expected: bytes) -> None:
    assert scrubbed(payload) == expected


@pytest.mark.parametrize(
    "payload",
    [
        b'{"password":null,"token":true,"authorization":false,"card":""}',
        b'{"passwords":"x","discard":"y","tokens_used":1200,"cardinality":3}',
        b'{"a":["token","b","c"],"b":["token"],"c":["a","token"],"d":["token",1]}',
        b'{"n":[4242424242424242.5,-4242424242424242,4242424242424242e2,0.4242424242424242]}',
        b'{"a":"caf\\u00e9 \\/ \\ud83d\\ude00","n":1.0,"m":-0,"o":1E400,"p":12345678901234567890123456789}',
        b'{ "a" : [ ] , "b":{} ,"":""}',
        b"{}",
    ],
)
def test_what_is_no_secret_keeps_its_bytes(payload: bytes) -> None:
    event = an_event(payload, correlation=payload)
    assert SCRUBBER.scrub(event) == (event, 0)


def test_the_field_of_a_name_in_any_spelling_is_replaced() -> None:
    scrubber = Scrubber(ScrubbingRules.checked(["api_key", "*secret*", "*token"], []))
    for name in (
        "api_key",
        "apiKey",
        "API_KEY",
        "ApiKey",
        "apikey",
        "X-Api-Key",
        "my.api.key",
        "APIKey",
        "APIKEY",
    ):
        assert scrubbed(b'{"%s":"x"}' % name.encode(), scrubber) == b'{"%s":"[scrubbed]"}' % name.encode()
    for name in ("secret", "client_secret", "secretSauce", "mysecrets", "csrftoken", "accessToken"):
        assert scrubbed(b'{"%s":"x"}' % name.encode(), scrubber) == b'{"%s":"[scrubbed]"}' % name.encode()
    for name in ("api_keyboard", "key", "api", "monkeyapikeyring", "tokens", "tokenizer"):
        assert scrubbed(b'{"%s":"x"}' % name.encode(), scrubber) == b'{"%s":"x"}' % name.encode()


def test_a_field_is_replaced_in_the_spelling_in_which_it_is_given() -> None:
    for name in ("OAuth", "sessionID", "APIKey", "XMLHttpKey", "a - b", "user.ID", "Größe"):
        scrubber = Scrubber(ScrubbingRules.checked([name], []))
        assert scrubbed(f'{{"{name}":"x"}}'.encode(), scrubber) == f'{{"{name}":"[scrubbed]"}}'.encode()


def test_the_identifiers_of_sessions_are_replaced_by_default() -> None:
    scrubber = Scrubber(DEFAULT_RULES)
    for name in (b"sessionID", b"JSESSIONID", b"PHPSESSID", b"ASP.NET_SessionId", b"PassWord"):
        assert scrubbed(b'{"%s":"x"}' % name, scrubber) == b'{"%s":"[scrubbed]"}' % name


def test_a_field_whose_name_has_an_escaped_quotation_mark_is_replaced() -> None:
    assert scrubbed(b'{"token\\"a":"x"}') == b'{"token\\"a":"[scrubbed]"}'


def test_a_field_that_has_letters_of_a_literal_or_a_number_is_no_name_there() -> None:
    scrubber = Scrubber(ScrubbingRules.checked(["*a*", "*e*"], []))
    payload = b'{"x":false,":a":[1E9,":e",false,",",null]}'
    assert scrubbed(payload, scrubber) == b'{"x":false,":a":"[scrubbed]"}'


def test_texts_with_many_escapes_are_not_too_complex() -> None:
    payload = b'["' + b'\\u043f\\u0430","' * (2 * MAX_CHECKS) + b'"]'
    assert scrubbed(payload) == payload


def test_a_field_with_other_letters_is_replaced() -> None:
    scrubber = Scrubber(ScrubbingRules.checked(["пароль"], []))
    assert scrubbed('{"Пароль":"x","a":"y"}'.encode(), scrubber) == '{"Пароль":"[scrubbed]","a":"y"}'.encode()


def test_a_copy_of_a_field_s_value_is_replaced_in_the_texts_made_of_it() -> None:
    event = an_event(
        b'{"card":{"name":"Jane Doe","n":1},"note":"of Jane Doe"}',
        b'{"owner":"Jane Doe"}',
        "Declined: Jane Doe.",
        source="Jane Doe",
    )
    result, values = SCRUBBER.scrub(event)
    assert (result.message, result.source, values) == ("Declined: [scrubbed].", "[scrubbed]", 4)
    assert result.correlation == b'{"owner":"[scrubbed]"}'
    # The payload is what the rules say.
    assert result.payload == b'{"card":"[scrubbed]","note":"of Jane Doe"}'


def test_a_copy_that_has_another_or_a_pattern_in_it_is_replaced_as_a_whole() -> None:
    payload = b'{"token":"hunter2","api_key":"hunter2-of-jane","password":"the jane@x.co phrase"}'
    event = an_event(payload, message="hunter2-of-jane, hunter2, the jane@x.co phrase")
    assert SCRUBBER.scrub(event)[0].message == "[scrubbed], [scrubbed], [scrubbed]"


def test_the_names_within_a_value_are_no_secrets() -> None:
    event = an_event(b'{"card":{"number":"1234567"}}', message="The number 1234567 is invalid")
    assert SCRUBBER.scrub(event)[0].message == "The number [scrubbed] is invalid"


def test_what_a_client_chooses_for_its_request_and_what_the_service_adds_stays() -> None:
    event = an_event(b'{"token":"x"}')
    result, _ = SCRUBBER.scrub(event)
    changed = {name for name in event.__struct_fields__ if getattr(event, name) != getattr(result, name)}
    assert changed == {"payload"}


NAMES = st.text() | st.sampled_from(["password", "api_key", "a", "X-Token"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text() | st.sampled_from(["password", "api_key", "a", "X-Token"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def expected(value: Any) -> Any:
    """Scrub a parsed value by the fields alone, in the plainest way."""
    if isinstance(value, dict):
        return {
            name: ("[scrubbed]" if _is_replaced(inner) else inner)
            if name in ("password", "api_key", "X-Token")
            else expected(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        if len(value) == 2 and value[0] in ("password", "api_key", "X-Token") and isinstance(value[1], str):
            return [value[0], "[scrubbed]" if value[1] else ""]
        return [expected(each) for each in value]
    return value


def _is_replaced(value: Any) -> bool:
    return value not in (None, "") and not isinstance(value, bool)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans(), st.sampled_from([None, 1]))
@example({"a": ["password", ""], "password": 0}, False, None)
def test_fields_are_replaced_as_by_a_reading_of_the_whole_value(
    value: dict[str, Any], is_ascii: bool, indent: int | None
) -> None:
    scrubber = Scrubber(ScrubbingRules(("password", "api_key", "token"), ()))
    known = {"password", "api_key", "X-Token"}
    names = {name for name in _names(value) if name not in known}
    texts = _texts(value) | names
    if any(word in text.lower() for text in texts - known for word in ("password", "api", "token")):
        return
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "replace")
    assert json.loads(scrubbed(text, scrubber)) == expected(json.loads(text))


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_names, value.values()))
    return set().union(*map(_names, value)) if isinstance(value, list) else set()


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_texts, value.values()))
    if isinstance(value, list):
        return set().union(*map(_texts, value))
    return {value} if isinstance(value, str) else set()


@given(st.text(max_size=40), st.text(max_size=40))
def test_the_texts_around_a_secret_say_the_same_as_before(before: str, after: str) -> None:
    # A letter beside the secret would be part of it.
    text = f"{before} jane@example.com {after}"
    for is_ascii in (True, False):
        payload = json.dumps({"a": text}, ensure_ascii=is_ascii).encode("utf-8", "replace")
        email_only = Scrubber(ScrubbingRules((), ("email",)))
        sent = json.loads(payload)["a"]
        result = json.loads(scrubbed(payload, email_only))["a"]
        if "@" not in before + after:
            assert result == sent.replace("jane@example.com", "[scrubbed]")


@pytest.mark.parametrize(
    ("fields", "patterns", "why"),
    [
        ([], [], "At least one field or pattern"),
        (["a b c!"], [], "'a b c!' is not a field"),
        (["*"], [], "'\\*' is not a field"),
        ([""], [], "'' is not a field"),
        (["a" * 61], [], "is not a field"),
        (["a"] + [f"f{number}" for number in range(100)], [], "at most 100 fields"),
        ([], ["phone"], "'phone' is not a pattern: there are card-number, email"),
    ],
)
def test_rules_that_cannot_be_used_are_refused(fields: list[str], patterns: list[str], why: str) -> None:
    with pytest.raises(InvalidRules, match=why):
        ScrubbingRules.checked(fields, patterns)


def test_the_default_rules_are_valid_and_rules_are_read_as_they_were_stored() -> None:
    assert ScrubbingRules.checked(*DEFAULT_RULES) == DEFAULT_RULES
    assert ScrubbingRules.from_stored(DEFAULT_RULES.to_stored()) == DEFAULT_RULES
    assert ScrubbingRules.from_stored(None) is None
    assert scrubber_of(None) is None
    assert scrubber_of(DEFAULT_RULES.to_stored()) is scrubber_of(DEFAULT_RULES.to_stored())


@pytest.mark.parametrize(
    "payload",
    [
        b"[" + b'"",' * MAX_STRINGS + b'""]',
        b'{"a":"' + b"token= " * (2 * MAX_CHECKS + 2) + b'"}',
        b'{"a":"' + b"1.2.3.4 " * (MAX_CHECKS + 1) + b'"}',
        b'{"token":[' + b"[]," * MAX_CHECKS + b"[]]}",
        b'{"a":[' + b'"token",' * (MAX_CHECKS + 1) + b'""]}',
    ],
    ids=["strings", "names", "values", "brackets", "texts"],
)
def test_an_event_with_too_much_to_look_at_is_refused(payload: bytes) -> None:
    with pytest.raises(TooComplex):
        SCRUBBER.scrub(an_event(payload))
