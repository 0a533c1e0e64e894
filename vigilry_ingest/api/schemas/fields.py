"""Marshmallow fields for the members of a JSON object."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from marshmallow import ValidationError, fields, missing

from vigilry_ingest.domain.json_object import JsonNumber, replace_lone_surrogates
from vigilry_ingest.domain.json_splitting import TooMany, split_members

_CODE_DIGITS = 3
# Converting a number takes time quadratic in its length.
_MAX_NUMBER_LENGTH = 10_000
MAX_CORRELATIONS = 64
MAX_NAME_LENGTH = 128
MAX_VALUE_BYTES = 1024

SEVERITIES = ("INFO", "WARN", "ERROR", "CRITICAL")


class CodedMessage(NamedTuple):
    """A marshmallow error message with an error code."""

    code: str
    detail: str


def coded(code: str, detail: str) -> list[CodedMessage]:
    """Make an error message that keeps its code: marshmallow formats strings, and passes lists on."""
    return [CodedMessage(code, detail)]


class EventField(fields.Field[Any]):
    """Base of the fields below.

    A validator in ``validate=`` may raise ValidationError with ``coded`` messages; plain strings get the
    code ``invalid``.
    """

    default_error_messages = {
        "required": coded("required", "This field is required."),
        "null": coded("required", "This field is required and must not be null."),
    }

    @property
    def is_plain(self) -> bool:
        """Whether ``parse`` has the same result as marshmallow's ``deserialize``."""
        return not (
            self.validators
            or self.pre_load
            or self.post_load
            or self.data_key is not None
            or self.attribute is not None
            or callable(self.load_default)
        )

    def json_type(self) -> Any:
        """Return the type by which msgspec decodes a valid value, or Raw where ``from_raw`` is to do it."""
        return msgspec.Raw

    def from_raw(self, raw: msgspec.Raw) -> Any:
        """Return the value of a JSON text; raises ValueError for one that is not certainly valid."""
        raise NotImplementedError

    def parse(self, value: Any, name: str, members: Mapping[str, Any]) -> Any:
        """Deserialize a value without validators, hooks and renaming.

        Raises marshmallow.ValidationError.
        """
        if value is missing:
            if self.required:
                raise self.make_error("required")
            return self.load_default
        if value is None:
            if not self.allow_none:
                raise self.make_error("null")
            return None
        return self._deserialize(value, name, members)


class Text(EventField):
    """A JSON string. A required one is not empty, unless ``allow_empty`` is set."""

    default_error_messages = {
        "type": coded("wrong_type", "Must be a string."),
        "empty": coded("empty", "Must not be empty."),
    }

    def __init__(
        self, *, allow_empty: bool | None = None, max_length: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.allow_empty = not self.required if allow_empty is None else allow_empty
        self.max_length = max_length

    def json_type(self) -> Any:
        """Return a string of an allowed length."""
        bounds = msgspec.Meta(min_length=None if self.allow_empty else 1, max_length=self.max_length)
        return Annotated[str, bounds] | None if self.allow_none else Annotated[str, bounds]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> str:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, str):
            raise self.make_error("type")
        if not value and not self.allow_empty:
            raise self.make_error("empty")
        if self.max_length is not None and len(value) > self.max_length:
            raise ValidationError(coded("too_long", f"Must be at most {self.max_length} characters."))
        return value


class Severity(EventField):
    """One of ``SEVERITIES``, in uppercase."""

    default_error_messages = {
        "choice": coded("not_allowed", f"Must be one of {', '.join(SEVERITIES)}, in uppercase.")
    }

    def json_type(self) -> Any:
        """Return the four strings."""
        return Literal[SEVERITIES] | None if self.allow_none else Literal[SEVERITIES]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> str:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, str) or value not in SEVERITIES:
            raise self.make_error("choice")
        return value


class Object(EventField):
    """A JSON object, kept as the bytes that were sent."""

    default_error_messages = {"type": coded("wrong_type", "Must be an object.")}

    def from_raw(self, raw: msgspec.Raw) -> bytes | None:
        """Return an object's text, or None for a null where that is allowed."""
        text = bytes(raw)
        if text.startswith(b"{"):
            return text
        if text == b"null" and self.allow_none:
            return None
        raise ValueError("not an object")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> bytes:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, msgspec.Raw):
            raise self.make_error("type")
        text = bytes(value)
        if not text.startswith(b"{"):
            raise self.make_error("type")
        return text


class Correlation(Object):
    """A JSON object of few and short members, each of which is stored as a row of its own."""

    default_error_messages = {
        "members": coded("too_many_members", f"Must have at most {MAX_CORRELATIONS} members."),
        "name": coded("too_long", f"Names must be at most {MAX_NAME_LENGTH} characters."),
        "value": coded("too_long", f"Values must be at most {MAX_VALUE_BYTES:,} bytes of JSON each."),
    }

    def from_raw(self, raw: msgspec.Raw) -> bytes | None:
        """Return an object's text, or None for a null where that is allowed."""
        text = super().from_raw(raw)
        # Most are too short for any of the limits.
        if text is not None and len(text) > MAX_NAME_LENGTH and self._excess(text):
            raise ValueError("not a correlation")
        return text

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bytes:
        text = super()._deserialize(value, attr, data, **options)
        if excess := self._excess(text):
            raise self.make_error(excess)
        return text

    def _excess(self, text: bytes) -> str | None:
        """Return the key of the error message for a limit that an object exceeds, or None."""
        try:
            members = split_members(replace_lone_surrogates(text), MAX_CORRELATIONS)
        except TooMany:
            return "members"
        if any(len(raw) > MAX_VALUE_BYTES for raw in members.values()):
            return "value"
        return "name" if any(len(name) > MAX_NAME_LENGTH for name in members) else None


class StatusCode(EventField):
    """An HTTP status code: a JSON number with an integral value from 100 to 599."""

    default_error_messages = {
        "type": coded("wrong_type", "Must be a number, not a string or a boolean."),
        "range": coded("out_of_range", "Must be a whole number from 100 to 599."),
    }

    def from_raw(self, raw: msgspec.Raw) -> int:
        """Return a code that is written with three digits, as nearly every one is."""
        code = int(bytes(raw)) if len(raw) == _CODE_DIGITS else 0
        if not 100 <= code <= 599:
            raise ValueError("not certainly a status code")
        return code

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_options: Any) -> int:  # noqa: ARG002  marshmallow's signature
        if not isinstance(value, JsonNumber):
            raise self.make_error("type")
        if len(value.text) > _MAX_NUMBER_LENGTH:
            raise self.make_error("range")
        try:
            number = Decimal(value.text)
        except InvalidOperation:
            # The exponent is too large even for Decimal.
            raise self.make_error("range") from None
        # The range is checked first: converting 1e999999 to an int would take gigabytes.
        if not 100 <= number <= 599 or number != int(number):
            raise self.make_error("range")
        return int(number)
