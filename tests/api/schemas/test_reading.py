"""EventSchema.read against marshmallow's own load: the same values, and the same faults."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vigilry_ingest.api.schemas.event_schema import EventSchema
from vigilry_ingest.api.schemas.events import CustomEventSchema
from vigilry_ingest.api.schemas.faults import InvalidEvent, pointer_to
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
