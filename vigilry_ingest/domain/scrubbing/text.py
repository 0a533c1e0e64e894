"""Scrubbing of texts: of what matches a pattern, and of values after the name of a field."""

from collections.abc import Sequence

from vigilry_ingest.domain.scrubbing.assignment import ASSIGNED, name_in, span_of_value
from vigilry_ingest.domain.scrubbing.field_names import FieldNames
from vigilry_ingest.domain.scrubbing.patterns import Pattern
from vigilry_ingest.domain.scrubbing.search import Found, search_for
from vigilry_ingest.domain.scrubbing.tally import PLACEHOLDER, Tally

SEPARATOR = b"\0"
"""Puts texts together, so that they are searched at once: nothing that is replaced contains it."""

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
        assigned = fields.expression + ASSIGNED
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
        if not self._fields.match(name_in(text, start, end)):
            return end, end
        start, end = span_of_value(text, start, end, tally)
        value = text[start:end]
        if value.lower() in _KEPT:
            return end, end
        tally.replace_field([value])
        return start, end
