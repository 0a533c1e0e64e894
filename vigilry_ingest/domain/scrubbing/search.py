"""Searching for any of several expressions at once, in a time that is linear in the text."""

from collections.abc import Callable, Iterable
from typing import Protocol

import re2


class Found(Protocol):
    """A match; ``lastindex`` is the number of the expression, from 1."""

    lastindex: int

    def span(self) -> tuple[int, int]:
        """Return where it begins and ends."""


Search = Callable[[bytes, int], Found | None]
"""Returns the next match in a text from a position on, or None."""


def search_for(expressions: Iterable[bytes]) -> Search:
    """Return the search for expressions in the syntax of RE2, without groups that capture.

    The first expression wins where several match.
    """
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    pattern = re2.compile(b"|".join(b"(%s)" % expression for expression in expressions), options)
    search: Search = pattern.search
    return search
