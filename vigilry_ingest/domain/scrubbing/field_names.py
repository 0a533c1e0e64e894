"""Names of fields, matched by their words in any of the usual spellings."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import re2

from vigilry_ingest.domain.scrubbing.search import search_for_one

_BETWEEN_WORDS = re.compile(r"[_\-. ]+|(?<=[a-z0-9])(?=[A-Z])")
# A longer name is more likely data than a name, and would take long to compare.
_MAX_NAME_LENGTH = 200
_CACHED_NAMES = 4096
_NOTHING = rb"[^\x00-\xff]"


class FieldNames:
    """The names of the fields whose values are replaced.

    ``api_key`` matches a name that has these words: ``api_key``, ``apiKey``, ``X-Api-Key`` and ``APIKEY``,
    but not ``api_keyboard``. A ``*`` at an end of a field stands for more letters.

    ``expression`` finds the first word of a field, in RE2's syntax.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        self._search = re.compile(b"|".join(map(_pattern_of, fields)) or _NOTHING).search
        self.match = lru_cache(_CACHED_NAMES)(self._match)
        words = {spelling for field in fields for spelling in _spellings(_words(field)[0])}
        self.expression = rb"(?i:%s)" % (b"|".join(map(re2.escape, sorted(words))) or _NOTHING)
        # An escape may stand for a letter.
        escape = rb"\\u00[2-7]" if all(map(str.isascii, fields)) else rb"\\u"
        self.find_name = search_for_one(rb'(?:%s|%s)(?:[^"\\]|\\.)*"\s*[:,]' % (self.expression, escape))

    def _match(self, name: bytes) -> bool:
        return self._search(name[:_MAX_NAME_LENGTH]) is not None


def _pattern_of(field: str) -> bytes:
    lower, title, upper = zip(*map(_spellings, _words(field)), strict=True)
    start = rb"" if field.startswith("*") else rb"(?<![A-Za-z])"
    upper_start = rb"" if field.startswith("*") else rb"(?<![A-Z])"
    end = rb"" if field.endswith("*") else rb"(?![a-z])"
    upper_end = rb"" if field.endswith("*") else rb"(?![A-Za-z])"
    spellings = [
        start + _joined(lower) + end,
        _joined(title) + end,
        upper_start + _joined(upper) + upper_end,
        # As it is given, such as OAuth.
        start + re.escape(field.strip("*").encode()) + end,
    ]
    if len(lower) > 1:
        spellings += (
            start + _joined((lower[0], *title[1:])) + end,
            start + _joined((lower[0], *upper[1:])) + upper_end,
            upper_start + _joined((upper[0], *title[1:])) + end,
        )
    if field.startswith("*") and field.endswith("*"):
        # It is wherever its letters are, as in PassWord.
        spellings = [rb"(?i:%s)" % each for each in spellings]
    return b"|".join(dict.fromkeys(spellings))


def _joined(words: Iterable[bytes]) -> bytes:
    return rb"[_\-. ]?".join(map(re.escape, words))


def _words(field: str) -> list[str]:
    return _BETWEEN_WORDS.split(field.strip("*"))


def _spellings(word: str) -> tuple[bytes, bytes, bytes]:
    lower = word.lower()
    return lower.encode(), lower.capitalize().encode(), word.upper().encode()
