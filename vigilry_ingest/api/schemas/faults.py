"""Validation errors of a request body."""

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

MAX_FAULTS = 100
"""Upper bound on reported validation errors: a body can contain any number of unknown fields."""


class Fault(NamedTuple):
    """One validation error: a JSON pointer (RFC 6901) into the body, an error code, and what is expected."""

    pointer: str
    code: str
    detail: str


class InvalidEvent(ValueError):
    """The body does not match its schema; ``faults`` lists up to ``MAX_FAULTS`` validation errors.

    ``faults`` is lazy, so that errors which are never reported cost nothing.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        super().__init__("The event does not match its schema.")
        self.faults = islice(faults, MAX_FAULTS)


def pointer_to(name: str) -> str:
    """Return the JSON pointer to a member (RFC 6901)."""
    return f"/{name.replace('~', '~0').replace('/', '~1')}"
