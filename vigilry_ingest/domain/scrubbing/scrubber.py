"""The scrubber of a project: replaces what its rules name in an event."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from msgspec.structs import replace

from vigilry_ingest.domain.event import Event
from vigilry_ingest.domain.scrubbing.field_names import FieldNames
from vigilry_ingest.domain.scrubbing.json_text import JsonText
from vigilry_ingest.domain.scrubbing.patterns import NUMBERS, PATTERNS, Pattern
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules
from vigilry_ingest.domain.scrubbing.tally import PLACEHOLDER, PLACEHOLDER_STRING, Tally
from vigilry_ingest.domain.scrubbing.text import TextScrubber


class Scrubber:
    """Replaces values in the data of events; safe to share between threads.

    What a client chooses for the request is not changed: its id, its idempotency key and its trace.
    """

    def __init__(self, rules: ScrubbingRules) -> None:
        self._fields = FieldNames(rules.fields)
        self._texts = TextScrubber(_named(PATTERNS, rules.patterns), self._fields)
        numbers = _named(NUMBERS, rules.patterns)
        # Between strings there are no names, so none is searched for.
        self._numbers = TextScrubber(numbers, FieldNames(()), PLACEHOLDER_STRING) if numbers else None

    def scrub(self, event: Event) -> tuple[Event, int]:
        """Return an event without what must not be in it, and how many values were replaced.

        Raises TooComplex.
        """
        tally = Tally()
        payload = self._without_fields(event.payload, tally)
        correlation = self._without_fields(event.correlation, tally)
        own = [event.message.encode(), event.type.encode(), (event.source or "").encode()]
        # All at once: a search has costs of its own.
        of_correlation, of_payload = correlation.texts(), payload.texts()
        first = len(own) + len(of_correlation)
        # Before a pattern takes a part of a copy, and again for the values that are found in texts.
        before = [*_without_copies([*own, *of_correlation], tally), *of_payload]
        after = list(self._texts.scrub_all(before, tally))
        after[:first] = _without_copies(after[:first], tally)
        if tally.replaced == 0:
            return event, 0
        correlation.replace_texts(of_correlation, after[len(own) : first])
        payload.replace_texts(of_payload, after[first:])
        message, type_, source = (text.decode() for text in after[: len(own)])
        scrubbed = replace(
            event,
            message=message,
            type=type_,
            source=None if event.source is None else source,
            correlation=None if event.correlation is None else correlation.to_bytes(),
            payload=None if event.payload is None else payload.to_bytes(),
        )
        return scrubbed, tally.replaced

    def _without_fields(self, text: bytes | None, tally: Tally) -> JsonText:
        parsed = JsonText(text or b"")
        parsed.replace_fields(self._fields, tally)
        if self._numbers is not None:
            parsed.scrub_numbers(self._numbers, tally)
        return parsed


def _named(patterns: Mapping[str, Sequence[Pattern]], names: Collection[str]) -> list[Pattern]:
    return [pattern for name, kind in patterns.items() if name in names for pattern in kind]


def _without_copies(texts: Sequence[bytes], tally: Tally) -> list[bytes]:
    """Return texts that may have been made of the values of fields, without these."""
    # The longest first, because another may be a part of it.
    for copy in sorted(tally.copies, key=len, reverse=True):
        tally.replaced += sum(text.count(copy) for text in texts)
        texts = [text.replace(copy, PLACEHOLDER) for text in texts]
    return list(texts)


def scrubber_of(stored: Mapping[str, Sequence[str]] | None) -> Scrubber | None:
    """Return the scrubber for a project's rules as they are stored, or None if it has none."""
    rules = ScrubbingRules.from_stored(stored)
    return None if rules is None else _made(rules)


# The rules are read once a second, and a scrubber is expensive to make.
@lru_cache(1000)
def _made(rules: ScrubbingRules) -> Scrubber:
    return Scrubber(rules)
