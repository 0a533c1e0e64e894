"""Deliveries of every provider are scrubbed after their signature was verified."""

import pytest
from sqlalchemy import Engine

from tests.webhooks.deliveries import CASES, delivery_of
from tests.webhooks.fixtures import NewReceiver
from vigilry_ingest.api_keys.projects import scrub
from vigilry_ingest.domain.scrubbing.rules import ScrubbingRules


@pytest.mark.parametrize("name", CASES)
def test_a_field_of_a_delivery_is_replaced(name: str, new_receiver: NewReceiver, engine: Engine) -> None:
    case = CASES[name]
    receiver = new_receiver(case)
    # Of each word that a body may have, none is left after its name.
    scrub(engine, receiver.source.project_id, ScrubbingRules.checked(["*a*", "*e*", "*i*", "*o*"], []))
    answer = receiver.send(delivery_of(case, receiver.url))
    assert answer.status_code == 202, answer.text
    assert int(answer.headers["vigilry-scrubbed"]) > 0
    (entry,) = receiver.published()
    # One provider's example has an empty body, and all is in the correlation.
    assert b'"[scrubbed]"' in entry[b"payload"] + entry.get(b"correlation", b"")
