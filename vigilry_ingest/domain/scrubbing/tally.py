"""What has been done to an event while it is scrubbed, and the bounds on that."""

from collections.abc import Iterable

PLACEHOLDER = b"[scrubbed]"
"""What values are replaced by."""

PLACEHOLDER_STRING = b'"' + PLACEHOLDER + b'"'
"""The same as a JSON string."""

MAX_CHECKS = 5_000
"""Upper bound on the values of an event that are looked at, because each takes a step of the interpreter."""

# A shorter value would be found in texts that have nothing to do with it.
_MIN_COPY_LENGTH = 6
_MAX_COPIES = 100


class TooComplex(ValueError):
    """An event has more values to look at than an event may have."""


class Tally:
    """Counts what has been replaced in an event.

    Attributes:
        replaced: how many values
        copies: the values of fields, of which the texts of the event may have copies
    """

    def __init__(self) -> None:
        self.replaced = 0
        self.copies: dict[bytes, None] = {}
        self._checks_left = MAX_CHECKS

    def check(self) -> None:
        """Count a value that is looked at.

        Raises TooComplex.
        """
        self._checks_left -= 1
        if self._checks_left < 0:
            raise TooComplex

    def replace_field(self, values: Iterable[bytes]) -> None:
        """Count the value of a field, which has these texts in it."""
        self.replaced += 1
        for value in values:
            if len(self.copies) == _MAX_COPIES:
                break
            if len(value) >= _MIN_COPY_LENGTH:
                self.copies[value] = None
