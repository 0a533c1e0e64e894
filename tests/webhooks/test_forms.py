"""Forms: read as the standard library reads them, or refused."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilry_ingest.webhooks.forms import InvalidForm, parse_form

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=10))
def test_an_encoded_form_is_read_as_the_standard_library_reads_it(pairs: list[tuple[str, str]]) -> None:
    body = urlencode(pairs)
    assert parse_form(body.encode()) == parse_qsl(body, keep_blank_values=True)


@given(st.binary(max_size=60) | st.text("%&=+\\x41nué", max_size=60).map(str.encode))
def test_any_body_is_read_as_the_standard_library_reads_it_or_refused(body: bytes) -> None:
    try:
        fields = parse_form(body)
    except InvalidForm:
        return
    assert fields == parse_qsl(body.decode(), keep_blank_values=True)


@pytest.mark.parametrize(
    "body", [b"a=%", b"a=%4", b"a=%zz", b"%ff=1", b"a=\xff", b"&" * 256, b"a=1&" * 300, b"a=" + b"1" * 2**20]
)
def test_an_invalid_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidForm):
        parse_form(body)
