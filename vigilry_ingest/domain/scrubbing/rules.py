"""The rules of a project's scrubbing: names of fields, and patterns of values."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from vigilry_ingest.domain.scrubbing.patterns import PATTERNS

# What error trackers take by default, see docs/scrubbing.md.
DEFAULT_FIELDS = (
    "*password*", "*passwd*", "*passphrase*", "*secret*", "*token", "credentials", "auth", "authorization",
    "bearer", "api_key", "private_key", "access_key", "mysql_pwd", "cookie", "cookies", "session_id",
    "*sessid", "jsessionid", "connect.sid", "csrf", "xsrf", "card_number", "cvc", "cvv", "iban", "ssn",
)  # fmt: skip
DEFAULT_PATTERNS = ("card-number", "iban", "jwt", "api-key")

_MAX_FIELDS = 100
_FIELD = re.compile(r"\*?[^\W_](?:[\w. \-]{0,58}[^\W_])?\*?")


class InvalidRules(ValueError):
    """Rules cannot be used; the message says why."""


class ScrubbingRules(NamedTuple):
    """What is replaced: the values of fields with these names, and what matches these patterns."""

    fields: tuple[str, ...]
    patterns: tuple[str, ...]

    @classmethod
    def checked(cls, fields: Iterable[str], patterns: Iterable[str]) -> "ScrubbingRules":
        """Return the rules, without repetitions.

        Raises InvalidRules.
        """
        rules = cls(tuple(dict.fromkeys(fields)), tuple(dict.fromkeys(patterns)))
        for field in rules.fields:
            if not _FIELD.fullmatch(field):
                raise InvalidRules(
                    f"{field!r} is not a field: it has 1 to 60 letters, digits, spaces and ._- between them, "
                    "and optionally * at its ends."
                )
        unknown = [pattern for pattern in rules.patterns if pattern not in PATTERNS]
        if unknown:
            raise InvalidRules(f"{unknown[0]!r} is not a pattern: there are {', '.join(PATTERNS)}.")
        if len(rules.fields) > _MAX_FIELDS:
            raise InvalidRules(f"There may be at most {_MAX_FIELDS} fields.")
        if not any(rules):
            raise InvalidRules("At least one field or pattern is required.")
        return rules

    @classmethod
    def from_stored(cls, stored: Mapping[str, Sequence[str]] | None) -> "ScrubbingRules | None":
        """Return the rules of a project as they are stored, None without any."""
        return None if stored is None else cls(tuple(stored["fields"]), tuple(stored["patterns"]))

    def to_stored(self) -> dict[str, Any]:
        """Return what is stored."""
        return {"fields": list(self.fields), "patterns": list(self.patterns)}


DEFAULT_RULES = ScrubbingRules(DEFAULT_FIELDS, DEFAULT_PATTERNS)
