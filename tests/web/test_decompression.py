"""Decompression by itself: what goes in comes out, however it was cut."""

import gzip
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilry_ingest.web.decompression import CorruptBody, OutputTooLarge, UnknownCoding, decompress, zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}


@given(
    coding=st.sampled_from(list(COMPRESS)), parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=20)
)
def test_what_went_in_comes_out_whatever_parts_it_is_in(coding: str, parts: list[bytes]) -> None:
    whole = b"".join(parts)
    body = b"".join(COMPRESS[coding](part) for part in parts)
    assert decompress(body, coding, len(whole)) == whole
    if whole:
        with pytest.raises(OutputTooLarge):
            decompress(body, coding, len(whole) - 1)


@given(coding=st.sampled_from(list(COMPRESS)), text=st.binary(max_size=500), data=st.data())
def test_a_body_cut_off_anywhere_is_corrupt(coding: str, text: bytes, data: st.DataObject) -> None:
    body = COMPRESS[coding](text)
    length = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(CorruptBody):
        decompress(body[:length], coding, 1000)


@given(coding=st.sampled_from(list(COMPRESS)), body=st.binary(max_size=300))
def test_any_bytes_are_decompressed_or_refused(coding: str, body: bytes) -> None:
    with suppress(CorruptBody, OutputTooLarge):
        assert len(decompress(body, coding, 1000)) <= 1000


@given(coding=st.text().filter(lambda text: text not in {"gzip", "x-gzip", "zstd"}))
def test_other_codings_are_unknown(coding: str) -> None:
    with pytest.raises(UnknownCoding):
        decompress(b"", coding, 1000)
