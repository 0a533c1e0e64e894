"""Quotas as the publisher counts them, on a real Valkey."""

import time
from contextlib import closing
from math import ceil

import pytest
from msgspec.structs import replace

from tests.fixtures.publishing import an_event, new_project, publisher_on
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.domain.event import Quota
from vigilry_ingest.stream.errors import RateLimited
from vigilry_ingest.stream.publishing.publisher import Published, Publisher
from vigilry_ingest.stream.redis_keys import quota_key


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
    left = [outcome.remaining for outcome in outcomes if isinstance(outcome, Published)]
    assert left == list(reversed(range(burst)))
    assert isinstance(outcomes[-1], RateLimited)
    assert outcomes[-1].retry_after == 1


def used_up(valkey: Valkey, project: str, quota: Quota) -> Publisher:
    """Use a project's quota up."""
    publisher = publisher_on(valkey.url)
    events = [(an_event(project, str(number)), ()) for number in range(quota.burst + 1)]
    assert isinstance(publisher.publish_all(events, project, quota)[-1], RateLimited)
    return publisher


def test_a_raised_quota_holds_at_once_whatever_the_old_one_had_used_up(valkey: Valkey) -> None:
    project = new_project()
    with closing(used_up(valkey, project, Quota(1, 100))) as publisher:
        raised = Quota(1000, 1000)
        assert isinstance(publisher.publish_all([(an_event(project), ())], project, raised)[0], RateLimited)
        time.sleep(0.05)
        assert publisher.publish(an_event(project), quota=raised).remaining is not None


def test_a_lowered_quota_waits_no_longer_than_its_own_burst(valkey: Valkey) -> None:
    project = new_project()
    with closing(used_up(valkey, project, Quota(1, 50))) as publisher:
        outcome = publisher.publish_all([(an_event(project), ())], project, Quota(1, 2))[0]
        assert isinstance(outcome, RateLimited)
        assert outcome.retry_after_s == 1


@pytest.mark.parametrize("rate", [10_000, 300_000])
@pytest.mark.parametrize("size", [10, 5_000, 200_000])
def test_a_quota_of_bytes_lets_its_rate_through(valkey: Valkey, rate: int, size: int) -> None:
    project, quota = new_project(), Quota(bytes_per_second=rate)
    event = replace(an_event(project), payload=b'{"a":"%s"}' % (b"x" * size))
    each = sum(len(part) for part in event.to_entry())
    per_step = ceil(rate / 5 / each) + 1
    key, through, steps = quota_key(0, project), 0, 500
    began = time.monotonic()
    # Megabytes at once may take long on a busy machine.
    with closing(publisher_on(valkey.url, timeout_s=10.0)) as publisher:
        for _ in range(steps):
            outcomes = publisher.publish_all([(event, ())] * per_step, project, quota)
            through += each * sum(isinstance(outcome, Published) for outcome in outcomes)
            # A tenth of a second passes, without waiting for it.
            if (state := valkey.ask("GET", key)) is not None:
                due, level, at = map(float, state.split())
                valkey.ask("SET", key, f"{due:.2f} {level:.0f} {at - 100_000:.0f}")
    seconds = steps / 10 + time.monotonic() - began
    # Beside the rate, the events of a second were let through at once, and the last one in advance.
    assert through == pytest.approx(rate * (seconds + 1) + each / 2, rel=0.02, abs=each)


def test_one_event_larger_than_the_rate_is_let_through_and_the_next_waits(valkey: Valkey) -> None:
    project, quota = new_project(), Quota(bytes_per_second=1000)
    event = replace(an_event(project), payload=b'{"a":"%s"}' % (b"x" * 10_000))
    with closing(publisher_on(valkey.url)) as publisher:
        first, second = publisher.publish_all([(event, ()), (an_event(project), ())], project, quota)
    assert isinstance(first, Published)
    assert isinstance(second, RateLimited)
    assert (second.unit, second.retry_after_s) == ("bytes", 10)


def test_both_quotas_hold_together(valkey: Valkey) -> None:
    project, quota = new_project(), Quota(1, 3, 100_000)
    with closing(publisher_on(valkey.url)) as publisher:
        outcomes = publisher.publish_all([(an_event(project), ())] * 4, project, quota)
    assert [getattr(each, "remaining", None) for each in outcomes] == [2, 1, 0, None]
    assert isinstance(outcomes[-1], RateLimited)
    assert outcomes[-1].unit == "events"


def test_a_clock_that_was_set_back_blocks_nobody(valkey: Valkey) -> None:
    project, quota = new_project(), Quota(1, 3)
    with closing(used_up(valkey, project, quota)) as publisher:
        key = quota_key(0, project)
        an_hour_us = 3600 * 1_000_000
        due, level, at = map(float, valkey.ask("GET", key).split())
        valkey.ask("SET", key, f"{due + an_hour_us:.2f} {level:.0f} {at + an_hour_us:.0f}")
        outcome = publisher.publish_all([(an_event(project), ())], project, quota)[0]
        assert isinstance(outcome, RateLimited)
        assert outcome.retry_after_s == 1
        time.sleep(1.05)
        assert publisher.publish(an_event(project), quota=quota).remaining == 0
