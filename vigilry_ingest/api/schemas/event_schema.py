"""Base schema of all event kinds."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import marshmallow
import msgspec
from marshmallow import missing
from marshmallow.exceptions import SCHEMA

from vigilry_ingest.api.schemas.faults import MAX_FAULTS, Fault, InvalidEvent, pointer_to
from vigilry_ingest.api.schemas.fields import CodedMessage, EventField
from vigilry_ingest.domain.json_object import JsonObject

_MAX_COMPARED_LENGTH = 100


class EventSchema(marshmallow.Schema):
    """Base schema: rejects unknown fields, and reads null as absent where a field allows it.

    A schema that declares validators, hooks or field options such as ``data_key`` is read with marshmallow's
    ``load``. Any other is plain: then msgspec decodes a valid body in one call, and the fields are called one
    by one only for a body that it does not take, with the same result as ``load``.
    """

    error_messages: dict[str, Any] = {  # noqa: RUF012  marshmallow reads it from the class
        "unknown": CodedMessage("unknown_field", "This field is unknown.")
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._plain_fields = self._find_plain_fields()
        self._decoder = (
            None if self._plain_fields is None else _PlainDecoder(self._plain_fields, self.unknown)
        )

    @property
    def is_plain(self) -> bool:
        """Whether ``read`` may bypass marshmallow's ``load``."""
        return self._plain_fields is not None

    def read(self, body: JsonObject) -> Mapping[str, Any]:
        """Return the values of an object's members by field name.

        Raises InvalidEvent with all validation errors.
        """
        if self._decoder is not None:
            with suppress(msgspec.DecodeError, ValueError):
                return self._decoder.decode(body.text)
        members = body.members
        if self._plain_fields is None:
            return self._load(members)
        with suppress(marshmallow.ValidationError):
            values = {
                name: field.parse(members.get(name, missing), name, members)
                for name, field in self._plain_fields.items()
            }
            if self.unknown == marshmallow.EXCLUDE or members.keys() <= values.keys():
                return values
        raise InvalidEvent(self._load_faults(members))

    def _find_plain_fields(self) -> Mapping[str, EventField] | None:
        """Return all fields if none of them and nothing in the schema needs ``load``, or None."""
        plain = {
            name: field
            for name, field in self.load_fields.items()
            if isinstance(field, EventField) and field.is_plain
        }
        needs_load = (
            len(plain) < len(self.load_fields)
            or any(type(self).resolve_hooks().values())
            or self.unknown == marshmallow.INCLUDE
            or self.many
            or bool(self.partial)
        )
        return None if needs_load else plain

    def _load(self, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what marshmallow's ``load`` returns.

        Raises InvalidEvent.
        """
        # A copy, because hooks may change it.
        data = self._without_excess(members)
        try:
            loaded: Mapping[str, Any] = self.load(data)
        except marshmallow.ValidationError as error:
            raise InvalidEvent(self._faults(error.messages_dict, data)) from None
        return loaded

    def _load_faults(self, members: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield the errors of an invalid body; as a generator it loads only if they are reported."""
        try:
            self._load(members)
        except InvalidEvent as invalid:
            yield from invalid.faults

    def _without_excess(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy with at most MAX_FAULTS unknown members, if each of them is an error."""
        if self.unknown != marshmallow.RAISE:
            return dict(members)
        known = self._names()
        unknown = islice((name for name in members if name not in known), MAX_FAULTS)
        kept = [*(name for name in known if name in members), *unknown]
        return {name: members[name] for name in kept}

    def _names(self) -> list[str]:
        return [
            name if field.data_key is None else field.data_key for name, field in self.load_fields.items()
        ]

    def _faults(self, messages: Mapping[Any, Any], data: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield errors in the order of the schema, then of the body; marshmallow's order is not stable."""
        for name in dict.fromkeys((*self._names(), *data, *messages)):
            pointer = "" if name == SCHEMA else pointer_to(str(name))
            for fault in _flatten(messages.get(name, []), pointer):
                if fault.code == "unknown_field" and fault.pointer == pointer:
                    yield Fault(pointer_to(name), fault.code, fault.detail + self._suggestion(name))
                else:
                    yield fault

    def _suggestion(self, name: str) -> str:
        names = self._names()
        # Comparing a name of a megabyte would take minutes.
        close = difflib.get_close_matches(name[:_MAX_COMPARED_LENGTH].lower(), names, n=1)
        return f" Did you mean {close[0]}?" if close else f" Known fields: {', '.join(names)}."


class _PlainDecoder:
    """Decodes a valid body of a plain schema."""

    def __init__(self, plain_fields: Mapping[str, EventField], unknown: str) -> None:
        types = {name: field.json_type() for name, field in plain_fields.items()}
        # Raw takes no default but Raw, and a default is not checked.
        struct = msgspec.defstruct(
            "Body",
            [
                (name, types[name]) if field.required else (name, types[name], field.load_default)
                for name, field in plain_fields.items()
            ],
            kw_only=True,
            forbid_unknown_fields=unknown == marshmallow.RAISE,
        )
        self._decode = msgspec.json.Decoder(struct).decode
        self._raw_fields = [
            (name, field.from_raw) for name, field in plain_fields.items() if types[name] is msgspec.Raw
        ]

    def decode(self, text: bytes) -> Mapping[str, Any]:
        """Return the values by field name.

        Raises msgspec.DecodeError or ValueError when the body is not valid, or not certainly so.
        """
        values = msgspec.structs.asdict(self._decode(text))
        for name, from_raw in self._raw_fields:
            if isinstance(raw := values[name], msgspec.Raw):
                values[name] = from_raw(raw)
        return values


def _flatten(messages: object, pointer: str) -> Iterator[Fault]:
    """Yield a fault for each message; mappings of messages point to members."""
    match messages:
        case CodedMessage(code=code, detail=detail):
            yield Fault(pointer, code, detail)
        case Mapping():
            for name, inner in messages.items():
                yield from _flatten(inner, pointer if name == SCHEMA else pointer + pointer_to(str(name)))
        case list() | tuple():
            for each in messages:
                yield from _flatten(each, pointer)
        case _:
            yield Fault(pointer, "invalid", str(messages))
