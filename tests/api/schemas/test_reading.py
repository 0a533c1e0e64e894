"""EventSchema.read beside marshmallow's load: the same values and faults."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.events import CustomEventSchema
from vigilry_ingest.api.schemas.faults import InvalidEvent, pointer_to
from vigilry_ingest.api.schemas.json_object import parse_object
from vigilry_ingest.api.schemas.server_error import ServerErrorSchema
from vigilry_ingest.api.schemas.stripe import StripeSchema
from vigilry_ingest.api.schemas.webhook import WebhookSchema
from vigilry_ingest.domain.json_object import JsonNumber, JsonObject

SCHEMAS = [CustomEventSchema(), ServerErrorSchema(), WebhookSchema(), StripeSchema()]
NAMES = sorted({name for schema in SCHEMAS for name in schema.fields} | {"unknown", "Type", ""})
VALUES = st.one_of(
    st.sampled_from(["", "text", "INFO", "info", "ERROR", None, True, False]),
    st.sampled_from(["500", "500.0", "5e2", "99", "600", "-1", "1e999999", "499.5"]).map(JsonNumber),
    st.sampled_from([b"{}", b'{"a": 1}', b"[]", b"[{}]"]).map(msgspec.Raw),
)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
@given(members=st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_a_body_is_read_as_marshmallow_loads_it(schema: EventSchema, members: dict[str, Any]) -> None:
    faults = schema.validate(members)
    if faults:
        with pytest.raises(InvalidEvent) as invalid:
            schema.read(JsonObject(b"", members))
        assert {fault.pointer for fault in invalid.value.faults} == set(map(pointer_to, faults))
    else:
        assert schema.read(JsonObject(b"", members)) == schema.load(members)


def text_of(members: dict[str, Any], gap: str) -> bytes:
    """Write members as JSON, with a gap around each separator."""

    def value(member: Any) -> bytes:
        if isinstance(member, JsonNumber):
            return member.text.encode()
        return bytes(member) if isinstance(member, msgspec.Raw) else msgspec.json.encode(member)

    pairs = [
        msgspec.json.encode(name) + f"{gap}:{gap}".encode() + value(each) for name, each in members.items()
    ]
    return b"{" + f"{gap},{gap}".encode().join(pairs) + b"}"


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: type(schema).__name__)
@given(members=st.dictionaries(st.sampled_from(NAMES), VALUES), gap=st.sampled_from(["", " ", "\n\t"]))
def test_a_text_is_read_as_marshmallow_loads_its_members(
    schema: EventSchema, members: dict[str, Any], gap: str
) -> None:
    body = parse_object(text_of(members, gap))
    assert dict(body.members) == members
    if faults := schema.validate(members):
        with pytest.raises(InvalidEvent) as invalid:
            schema.read(parse_object(body.text))
        assert {fault.pointer for fault in invalid.value.faults} == set(map(pointer_to, faults))
    else:
        assert schema.read(parse_object(body.text)) == schema.load(members)
