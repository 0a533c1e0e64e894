"""What ``/asyncapi.json`` says, held against what the service publishes."""

import json

import pytest

from tests.api.specs.schemas import is_valid
from tests.fixtures.sender import EXAMPLES, Sender
from tests.fixtures.services import NewSender
from vigilry_ingest.api.schemas.sentry import KIND as SENTRY_EVENT
from vigilry_ingest.api.specs.asyncapi import asyncapi
from vigilry_ingest.domain.event import Event

pytestmark = pytest.mark.one_database


def test_the_entry_of_asyncapi_has_every_field_and_its_examples_are_what_is_published(
    new_sender: NewSender,
) -> None:
    made = asyncapi()
    entry = made["components"]["schemas"]["Entry"]
    assert list(entry["properties"]) == ["v", *Event.__struct_fields__, "for_group", "first_entry"]
    examples = made["components"]["messages"]["event"]["examples"]
    sender = new_sender()
    for endpoint in EXAMPLES:
        assert sender.post(endpoint, EXAMPLES[endpoint]).status_code == 202
    key = {"X-Api-Key": sender.minted.api_key}
    assert sender.http.post("/api/1/store/", json=SENTRY_EVENT.example, headers=key).status_code == 200
    for example, published in zip(examples, sender.published(), strict=True):
        told = dict(example["payload"])
        seen = {name.decode(): value.decode() for name, value in published.items() if name != b"_id"}
        assert seen.keys() == told.keys()
        for name in ("payload", "correlation"):
            assert json.loads(seen.pop(name, "{}")) == json.loads(told.pop(name, "{}"))
        for name in ("v", "kind", "type", "severity", "message"):
            assert seen[name] == told[name]
        assert example["name"] == told["kind"]


def test_the_payload_of_a_server_error_is_as_asyncapi_describes_it(sender: Sender) -> None:
    stacks = [EXAMPLES["server-error"]["stack"], "not a stack", None]
    for stack in stacks:
        assert sender.post("server-error", EXAMPLES["server-error"] | {"stack": stack}).status_code == 202
    for entry in sender.published():
        payload = json.loads(entry[b"payload"])
        assert is_valid(asyncapi(), "ServerErrorPayload", payload)
        assert (
            payload.keys() <= asyncapi()["components"]["schemas"]["ServerErrorPayload"]["properties"].keys()
        )


def test_an_item_of_stripe_is_published_with_its_members_joined_again(sender: Sender) -> None:
    item = b'{ "kind": "stripe",  "id":"evt_2", "type" : "x", "data": {"n": 1.50} }'
    assert sender.post("batch", b'{"events": [%b]}' % item).json()["accepted"] == 1
    (entry,) = sender.published()
    assert entry[b"payload"] == b'{"id":"evt_2","type":"x","data":{"n": 1.50}}'
