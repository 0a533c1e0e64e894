"""Scrubbing of texts: of what matches a pattern, and of values after the name of a field."""

import re
from collections.abc import Sequence

from vigilry_ingest.domain.scrubbing.field_names import FieldNames
from vigilry_ingest.domain.scrubbing.patterns import Pattern
from vigilry_ingest.domain.scrubbing.search import Found, search_for
from vigilry_ingest.domain.scrubbing.tally import PLACEHOLDER, Tally

SEPARATOR = b"\0"
"""Puts texts together, so that they are searched at once: nothing that is replaced contains it."""

# What follows the first word of a field, as in a query, a header, a command line, or JSON within a text:
# name=value, name: value, "name": "a value".
_ASSIGNED = rb"""[\w.\x80-\xff-]{0,60}["'\]\\]{0,3}[ \t]*[=:]"""
_IN_NAMES = bytes(byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte in b"_.-")
_AFTER_NAMES = b"=: \t\"']\\"
_MAX_NAME_START = 60
# It ends with its line at the latest.
_VALUE = re.compile(
    rb"""[ \t]*+(?:(?i:bearer|basic|digest|token)[ ]++)?"""
    rb"""(?:(\\{0,3}["'])(?P<quoted>[^\n\0]*?)(?:\1|(?=[\n\0])|\Z)|(?P<bare>\[\w+\]|[^\s\0&;,"'<>)}\]\\]++))"""
)
# These are no secrets.
_KEPT = frozenset({b"", b"null", b"none", b"nil", b"undefined", b"true", b"false", PLACEHOLDER})


class TextScrubber:
    """Replaces values in UTF-8 texts; safe to share between threads.

    Parameters:
        patterns: what is replaced
        fields: names, the values after which are replaced
        placeholder: by what
    """

    def __init__(
        self, patterns: Sequence[Pattern], fields: FieldNames, placeholder: bytes = PLACEHOLDER
    ) -> None:
        self._fields = fields
        self._placeholder = placeholder
        self._checks = [pattern.check for pattern in patterns]
        assigned = fields.expression + _ASSIGNED
        self._search = search_for([*(pattern.candidate for pattern in patterns), assigned])

    def scrub_all(self, texts: Sequence[bytes], tally: Tally) -> Sequence[bytes]:
        """Return the texts with the placeholder for what must not be in them.

        Raises TooComplex.
        """
        together = SEPARATOR.join(texts)
        if together.count(SEPARATOR) >= len(texts):
            return [self._scrub(text, tally) for text in texts]
        scrubbed = self._scrub(together, tally)
        return texts if scrubbed is together else scrubbed.split(SEPARATOR)

    def _scrub(self, text: bytes, tally: Tally) -> bytes:
        kept: list[bytes] = []
        position = last_end = 0
        while (found := self._search(text, position)) is not None:
            tally.check()
            start, end = self._span_of_value(text, found, tally)
            if start < end:
                kept += (text[last_end:start], self._placeholder)
                last_end = end
            position = end
        return b"".join((*kept, text[last_end:])) if kept else text

    def _span_of_value(self, text: bytes, found: Found, tally: Tally) -> tuple[int, int]:
        """Return the span of a value, or an empty span where the search continues."""
        start, end = found.span()
        number = found.lastindex - 1
        if number < len(self._checks):
            value_end = self._checks[number](text, start, end)
            tally.replaced += value_end is not None
            return (start + 1, start + 1) if value_end is None else (start, value_end)
        before = text[max(start - _MAX_NAME_START, 0) : start]
        name = before[len(before.rstrip(_IN_NAMES)) :] + text[start:end].rstrip(_AFTER_NAMES)
        value = _VALUE.match(text, end)
        if value is None or not self._fields.match(name):
            return end, end
        group = "quoted" if value["bare"] is None else "bare"
        if value[group].lower() in _KEPT:
            return end, end
        tally.replace_field([value[group]])
        return value.span(group)
