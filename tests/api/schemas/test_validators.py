"""Validators and hooks that a schema declares: honoured for every body, and reported as faults."""

from collections.abc import Mapping
from typing import Any

import marshmallow
import msgspec
import pytest
from marshmallow import ValidationError, validate

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.events import CustomEventSchema
from vigilry_ingest.api.schemas.faults import MAX_FAULTS, Fault, InvalidEvent
from vigilry_ingest.api.schemas.fields import Object, Text
from vigilry_ingest.api.schemas.server_error import ServerErrorSchema
from vigilry_ingest.api.schemas.stripe import StripeSchema
from vigilry_ingest.api.schemas.webhook import WebhookSchema
from vigilry_ingest.domain.json_object import JsonObject


class FieldValidator(EventSchema):
    type = Text(required=True, validate=[validate.Length(max=3), validate.OneOf(["abc"])])
    source = Text(load_default=None, allow_none=True)


class MemberValidator(EventSchema):
    type = Text(required=True)

    @marshmallow.validates("type")
    def check_type(self, value: str, data_key: str) -> None:
        if value.isupper():
            raise ValidationError(f"{data_key} must be in lowercase.")


class SchemaValidator(EventSchema):
    start = Text(required=True)
    end = Text(required=True)

    @marshmallow.validates_schema
    def check_order(self, data: Mapping[str, Any], **_options: Any) -> None:
        if data["start"] > data["end"]:
            raise ValidationError("start must not be after end.")
        if data["end"] == "z":
            raise ValidationError({"end": ["Must be before z.", "Must be a day."]})
        if data["end"] == "y":
            raise ValidationError("Must be before y.", "end")


class Hooks(EventSchema):
    type = Text(required=True)
    attributes = Object(load_default=None)

    @marshmallow.pre_load
    def rename(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
        if "name" in data:
            data["type"] = data.pop("name")
        if data.get("type") == "early":
            raise ValidationError("Too early.")
        return data

    @marshmallow.post_load
    def shorten(self, data: dict[str, Any], **_options: Any) -> dict[str, Any]:
        if data["type"] == "late":
            raise ValidationError("Too late.")
        return data | {"type": data["type"][:3]}


class FieldOptions(EventSchema):
    kind = Text(required=True, data_key="type", attribute="event_type")
    source = Text(load_default=lambda: "unknown")
    path = Text(load_default="", pre_load=str.strip, post_load=str.lower)


class Open(EventSchema):
    class Meta:
        unknown = marshmallow.INCLUDE

    type = Text(required=True)


def read(schema: EventSchema, **members: Any) -> Mapping[str, Any]:
    return schema.read(JsonObject(b"", members))


def faults_of(schema: EventSchema, **members: Any) -> list[Fault]:
    with pytest.raises(InvalidEvent) as invalid:
        read(schema, **members)
    return list(invalid.value.faults)


def test_a_validator_of_a_field_is_honoured_and_each_of_its_messages_is_a_fault() -> None:
    assert read(FieldValidator(), type="abc") == {"type": "abc", "source": None}
    assert faults_of(FieldValidator(), type="abcd") == [
        Fault("/type", "invalid", "Longer than maximum length 3."),
        Fault("/type", "invalid", "Must be one of: abc."),
    ]


def test_a_validator_of_the_schema_for_one_member_is_honoured() -> None:
    assert read(MemberValidator(), type="abc") == {"type": "abc"}
    assert faults_of(MemberValidator(), type="ABC") == [
        Fault("/type", "invalid", "type must be in lowercase.")
    ]


def test_a_validator_of_the_schema_points_to_the_object_or_to_the_members_that_it_names() -> None:
    assert read(SchemaValidator(), start="a", end="b") == {"start": "a", "end": "b"}
    assert faults_of(SchemaValidator(), start="b", end="a") == [
        Fault("", "invalid", "start must not be after end.")
    ]
    assert faults_of(SchemaValidator(), start="a", end="y") == [Fault("/end", "invalid", "Must be before y.")]
    assert faults_of(SchemaValidator(), start="a", end="z") == [
        Fault("/end", "invalid", "Must be before z."),
        Fault("/end", "invalid", "Must be a day."),
    ]


def test_a_validator_may_report_a_code_of_its_own_and_point_into_an_object() -> None:
    class Nested(EventSchema):
        payload = Object(required=True)

        @marshmallow.validates_schema
        def check(self, _data: Mapping[str, Any], **_options: Any) -> None:
            try:
                Text(max_length=3).deserialize("text")
            except ValidationError as error:
                raise ValidationError({"payload": {"a/b": {0: "No."}, "c": error.messages}}) from None

    assert faults_of(Nested(), payload=msgspec.Raw(b"{}")) == [
        Fault("/payload/a~1b/0", "invalid", "No."),
        Fault("/payload/c", "too_long", "Must be at most 3 characters."),
    ]


def test_hooks_before_and_after_loading_run_and_may_refuse() -> None:
    members = {"name": "checkout"}
    assert Hooks().read(JsonObject(b"", members)) == {"type": "che", "attributes": None}
    assert members == {"name": "checkout"}, "the body belongs to the caller"
    assert faults_of(Hooks(), type="early") == [Fault("", "invalid", "Too early.")]
    assert faults_of(Hooks(), type="late") == [Fault("", "invalid", "Too late.")]


def test_the_options_of_a_field_are_honoured() -> None:
    assert read(FieldOptions(), type="a", path=" /A ") == {
        "event_type": "a",
        "source": "unknown",
        "path": "/a",
    }
    assert [fault[:2] for fault in faults_of(FieldOptions(), kind="a")] == [
        ("/type", "required"),
        ("/kind", "unknown_field"),
    ]


def test_a_schema_that_includes_unknown_fields_returns_them() -> None:
    assert read(Open(), type="a", other=True) == {"type": "a", "other": True}


def test_the_usual_faults_stay_as_they_are_beside_validators() -> None:
    faults = faults_of(FieldValidator(), sauce="a", source=True)
    assert [fault[:2] for fault in faults] == [
        ("/type", "required"),
        ("/source", "wrong_type"),
        ("/sauce", "unknown_field"),
    ]
    assert faults[2].detail.endswith("Did you mean source?")
    many = faults_of(FieldValidator(), **{f"x{number}": "" for number in range(10_000)})
    assert len(many) == MAX_FAULTS
    assert {fault.code for fault in many[1:]} == {"unknown_field"}


@pytest.mark.parametrize("schema", [CustomEventSchema(), SchemaValidator()])
def test_an_unknown_field_named_as_marshmallow_names_the_schema_is_pointed_to(schema: EventSchema) -> None:
    assert ("/_schema", "unknown_field") in [fault[:2] for fault in faults_of(schema, _schema="a")]


@pytest.mark.parametrize("schema", [CustomEventSchema, ServerErrorSchema, WebhookSchema, StripeSchema])
def test_the_schemas_of_the_service_declare_none_and_are_read_without_marshmallows_load(
    schema: type[EventSchema],
) -> None:
    assert schema().is_plain


@pytest.mark.parametrize(
    "schema", [FieldValidator, MemberValidator, SchemaValidator, Hooks, FieldOptions, Open]
)
def test_a_schema_that_declares_some_is_read_with_marshmallows_load(schema: type[EventSchema]) -> None:
    assert not schema().is_plain
