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
    return search_for_one(b"|".join(b"(%s)" % expression for expression in expressions))


def search_for_one(expression: bytes) -> Search:
    """Return the search for an expression; without groups, it is fast for long matches, too."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    search: Search = re2.compile(expression, options).search
    return search
