"""Marshmallow fields of the admin API, for values that were decoded."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.fields import SEVERITIES, EventField, coded
from vigilry_ingest.config.parsers import origins
from vigilry_ingest.domain.ids import is_id

MAX_NAME_LENGTH = 200
_MAX_PAIRS = 100
_MAX_ORIGINS = 100


def name_fault(name: str) -> str | None:
    """Return why a text cannot be the name of a project, or None if it can."""
    if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable() or name != name.strip():
        return f"must be 1 to {MAX_NAME_LENGTH} printable characters, with no space before or after them."
    if is_id(name, "proj"):
        return f"must be a name, but {name} has the form of a project's id."
    return None


def label_fault(label: str) -> str | None:
    """Return why a text cannot be the name of a key or a source, or None if it can."""
    if label.strip() and len(label) <= MAX_NAME_LENGTH and label.isprintable():
        return None
    return f"must be 1 to {MAX_NAME_LENGTH} printable characters."


class AdminField(EventField):
    """Base of the fields below, whose values are decoded JSON or text of a query."""

    @property
    def is_plain(self) -> bool:
        """Return False: marshmallow loads the bodies of the admin API."""
        return False


class Name(AdminField):
    """The name of a project, or with ``is_label`` of a key or a source."""

    def __init__(self, *, is_label: bool = False, takes_id: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._is_label = is_label
        self._takes_id = takes_id

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> str:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, str):
            raise ValidationError(coded("wrong_type", "Must be a string."))
        if self._takes_id and is_id(value, "proj"):
            return value
        if fault := label_fault(value) if self._is_label else name_fault(value):
            raise ValidationError(coded("invalid", fault[0].upper() + fault[1:]))
        return value


class Text(AdminField):
    """A string of some length."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(**options)
        self.max_length = max_length

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> str:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, str):
            raise ValidationError(coded("wrong_type", "Must be a string."))
        if len(value) > self.max_length:
            raise ValidationError(coded("too_long", f"Must be at most {self.max_length} characters."))
        if "\0" in value:
            raise ValidationError(coded("invalid", "Must not have the character U+0000."))
        return value


class Number(AdminField):
    """A number in a range, by default a whole one; in a query it is text."""

    def __init__(
        self, low: int, high: int, *, is_whole: bool = True, is_text: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.low, self.high, self.is_whole = low, high, is_whole
        self._is_text = is_text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> float:  # noqa: ARG002  marshmallow's signature
        if self._is_text and isinstance(value, str) and value.isascii() and value.isdecimal():
            value = int(value) if len(value) < len(str(self.high)) + 1 else self.high + 1
        kinds = int if self.is_whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise ValidationError(coded("wrong_type", f"Must be a {self._kind}."))
        if not self.low <= value <= self.high:
            detail = f"Must be a {self._kind} from {self.low:,} to {self.high:,}."
            raise ValidationError(coded("out_of_range", detail))
        return value

    @property
    def _kind(self) -> str:
        return "whole number" if self.is_whole else "number"


class Flag(AdminField):
    """true or false."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> bool:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, bool):
            raise ValidationError(coded("wrong_type", "Must be true or false."))
        return value


class Choice(AdminField):
    """One of some strings."""

    def __init__(self, choices: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> str:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, str) or value not in self.choices:
            raise ValidationError(coded("not_allowed", f"Must be one of {', '.join(self.choices)}."))
        return value


class Names(AdminField):
    """A list of names of fields."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> list[str]:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, list) or any(not isinstance(each, str) for each in value):
            raise ValidationError(coded("wrong_type", "Must be a list of strings."))
        return value


class Choices(AdminField):
    """A list of some strings, at least one unless it ``may_be_empty``."""

    def __init__(self, choices: tuple[str, ...], *, may_be_empty: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices
        self.may_be_empty = may_be_empty

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> list[str]:  # noqa: ARG002  marshmallow's signature
        is_given = isinstance(value, list) and (value or self.may_be_empty)
        if not is_given or any(each not in self.choices for each in value):
            raise ValidationError(coded("not_allowed", f"Must be a list of {', '.join(self.choices)}."))
        return list(dict.fromkeys(value))


class Origins(AdminField):
    """A list of origins of web pages."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> list[str]:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, list) or any(not isinstance(each, str) or "," in each for each in value):
            raise ValidationError(coded("wrong_type", "Must be a list of strings."))
        if len(value) > _MAX_ORIGINS:
            raise ValidationError(coded("too_many_members", f"Must be at most {_MAX_ORIGINS} origins."))
        try:
            return [each for text in value for each in origins(text).split(",") if each]
        except ValueError as error:
            detail = f"{error}."
            raise ValidationError(coded("invalid", detail[0].upper() + detail[1:])) from None


class Severities(AdminField):
    """An object of severities by event."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> dict[str, str]:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, dict) or len(value) > _MAX_PAIRS:
            raise ValidationError(coded("wrong_type", f"Must be an object of at most {_MAX_PAIRS} members."))
        expected = coded("not_allowed", f"Must be one of {', '.join(SEVERITIES)}, in uppercase.")
        if faults := {name: expected for name, each in value.items() if each not in SEVERITIES}:
            raise ValidationError(faults)
        return value


class Nested(AdminField):
    """An object with a schema of its own."""

    def __init__(self, schema: type[EventSchema], **options: Any) -> None:
        super().__init__(**options)
        self.schema = schema

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> dict[str, Any]:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, dict):
            raise ValidationError(coded("wrong_type", "Must be an object."))
        loaded: dict[str, Any] = self.schema().load(value)
        return loaded


class Moment(AdminField):
    """A time in RFC 3339, by default in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> datetime:  # noqa: ARG002  marshmallow's signature
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(coded("invalid", "Must be a time such as 2026-01-31T23:59:59Z.")) from None
