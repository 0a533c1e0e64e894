"""Quotas as the publisher counts them, on a real Valkey."""

import pytest

from tests.servers.valkey import Valkey
from tests.stream import an_event, new_project, publisher_on
from vigilry_ingest.event import Quota
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.publisher import Published


@pytest.mark.parametrize("per_second", [1, 3, 7, 9, 11])
@pytest.mark.parametrize("burst", [1, 9, 50])
def test_a_burst_is_let_through_to_the_last_event_whatever_the_rate(
    valkey: Valkey, per_second: int, burst: int
) -> None:
    project = new_project()
    publisher = publisher_on(valkey.url)
    events = [(an_event(project, str(number)), ()) for number in range(burst + 1)]
    outcomes = publisher.publish_all(events, project, Quota(per_second, burst))
    publisher.close()
    left = [outcome.left for outcome in outcomes if isinstance(outcome, Published)]
    assert left == list(reversed(range(burst)))
    assert isinstance(outcomes[-1], RateLimited)
    assert outcomes[-1].retry_after == 1
    assert outcomes[-1].reset_us == pytest.approx(burst / per_second * 1e6, abs=1e6)
