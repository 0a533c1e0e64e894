"""JSON texts that are being scrubbed: what is not replaced keeps its bytes."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from vigilry_ingest.domain.scrubbing.field_names import FieldNames
from vigilry_ingest.domain.scrubbing.tally import PLACEHOLDER, PLACEHOLDER_STRING, Tally, TooComplex
from vigilry_ingest.domain.scrubbing.text import TextScrubber

MAX_STRINGS = 50_000
"""Upper bound on the strings of a JSON text, because each takes a step of the interpreter."""

_STRING = re.compile(rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*")
_BRACKET = re.compile(rb"[\[\]{}]")

_decode_text = msgspec.json.Decoder(str).decode


class JsonText:
    """A valid JSON text, divided into its strings and what is between them.

    Raises TooComplex.
    """

    def __init__(self, text: bytes) -> None:
        if text.count(b'"') > 2 * MAX_STRINGS:
            raise TooComplex
        self._text = text
        self._has_escapes = b"\\" in text
        # What is in quotation marks has the odd indexes.
        self._parts = _STRING.split(text) if self._has_escapes else text.split(b'"')

    def replace_fields(self, fields: FieldNames, tally: Tally) -> None:
        """Replace the values of members with these names, except null, true and false.

        Raises TooComplex.
        """
        parts = self._parts
        kept: list[bytes] = []
        position = 0
        for index in self._named(fields, tally):
            # A field may be within the value of another.
            if index >= position and fields.match(_decoded(parts[index])):
                kept += parts[position:index]
                position = _replace_value(parts, index, kept, tally)
        if kept:
            self._parts = kept + parts[position:]

    def _named(self, fields: FieldNames, tally: Tally) -> Iterator[int]:
        """Yield the indexes of strings that may be the names of fields."""
        ends = None
        position = 0
        while (found := fields.find_name(self._text, position)) is not None:
            tally.check()
            start, position = found.span()
            ends = ends or list(accumulate(len(part) + 1 for part in self._parts))
            index = bisect_right(ends, start)
            # What is between strings, as in false or 1E9, may have letters of a field, too.
            is_string = index % 2 == 1
            if is_string and (_is_name(self._parts, index) or _is_first_of_pair(self._parts, index)):
                yield index

    def texts(self) -> list[bytes]:
        """Return what the strings say, in UTF-8; lone surrogates are kept."""
        strings = self._parts[1::2]
        return list(map(_decoded, strings)) if self._has_escapes else strings

    def replace_texts(self, before: Sequence[bytes], after: Sequence[bytes]) -> None:
        """Replace the strings that have changed."""
        changed_names = 0
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            if old == new:
                continue
            string = _encoded(new)
            if _is_name(self._parts, 2 * index + 1):
                # So that no two members have the same name.
                changed_names += 1
                string = string.replace(PLACEHOLDER, b"%s %d]" % (PLACEHOLDER[:-1], changed_names))
            self._parts[2 * index + 1] = string

    def scrub_numbers(self, numbers: TextScrubber, tally: Tally) -> None:
        """Replace numbers.

        Raises TooComplex.
        """
        self._parts[::2] = numbers.scrub_all(self._parts[::2], tally)

    def to_bytes(self) -> bytes:
        """Return the JSON text."""
        return b'"'.join(self._parts)


def _is_name(parts: Sequence[bytes], index: int) -> bool:
    return parts[index + 1].lstrip().startswith(b":")


def _is_first_of_pair(parts: Sequence[bytes], index: int) -> bool:
    """Return whether a string and another one are an array, as headers are that are not an object."""
    return (
        parts[index - 1].rstrip().endswith(b"[")
        and parts[index + 1].strip() == b","
        and parts[index + 3].lstrip().startswith(b"]")
    )


def _replace_value(parts: Sequence[bytes], index: int, kept: list[bytes], tally: Tally) -> int:
    """Append a name and the placeholder for its value to ``kept``; return the index of the next string."""
    name, between = parts[index : index + 2]
    start = len(between) - len(between.lstrip(b":, \t\r\n"))
    value = between[start:]
    if not value:
        string, after = parts[index + 2 : index + 4]
        if string not in (b"", PLACEHOLDER):
            tally.replace_field([_decoded(string)])
            string = PLACEHOLDER
        kept += (name, between, string, after)
        return index + 4
    if value[:1] in (b"{", b"["):
        last, end = _end_of_container(parts, index + 1, start, tally)
        strings = range(index + 2, last, 2)
        # Names of members are words that other texts have, too.
        tally.replace_field(_decoded(parts[each]) for each in strings if not _is_name(parts, each))
        kept += (name, between[:start] + PLACEHOLDER_STRING + parts[last][end:])
        return last + 1
    if number := _NUMBER.match(value):
        tally.replace_field([number[0]])
        between = between[:start] + PLACEHOLDER_STRING + value[number.end() :]
    kept += (name, between)
    return index + 2


def _end_of_container(parts: Sequence[bytes], index: int, start: int, tally: Tally) -> tuple[int, int]:
    """Return in which part the container ends that starts in a part, and where there."""
    depth = 0
    while True:
        for bracket in _BRACKET.finditer(parts[index], start):
            tally.check()
            depth += 1 if bracket[0] in b"{[" else -1
            if depth == 0:
                return index, bracket.end()
        index, start = index + 2, 0


def _decoded(string: bytes) -> bytes:
    """Return what a string says."""
    if b"\\" not in string:
        return string
    quoted = b'"' + string + b'"'
    try:
        return _decode_text(quoted).encode()
    except msgspec.DecodeError:
        # It has half of a surrogate pair.
        text: str = json.loads(quoted)
        return text.encode("utf-8", "surrogatepass")


def _encoded(text: bytes) -> bytes:
    """Return the string that says a text."""
    try:
        return msgspec.json.encode(text.decode())[1:-1]
    except UnicodeDecodeError:
        return json.dumps(text.decode("utf-8", "surrogatepass")).encode()[1:-1]
