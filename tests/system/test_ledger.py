"""The short form of the ledger: under load and faults nothing acknowledged is lost, and nothing is doubled.

Each test also holds the account against the other promises: bounded answers, quick recovery, and no answer
but 202 and 503. `make ledger` is the long form, and prints the table; it has faults besides these, for which
there are tests elsewhere too.
"""

from collections.abc import Iterator
from math import inf

import pytest

from benchmarks.ledger.account import Account, settle
from benchmarks.ledger.answer import Answer
from benchmarks.ledger.brokers import Entry
from benchmarks.ledger.projects import Projects, new_projects
from benchmarks.ledger.promises import broken_promises
from benchmarks.ledger.scenarios import SCENARIOS
from benchmarks.ledger.stage import play

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def projects() -> Iterator[Projects]:
    with new_projects(3) as made:
        yield made


def assert_promises_kept(name: str, projects: Projects) -> None:
    """Play the short form of a scenario, in which every promise must be kept."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    account = play(scenario, projects, is_short=True, worker_class="gevent")
    assert broken_promises(scenario, account) == [], account


def test_a_broker_that_is_killed_and_restarted_loses_nothing_acknowledged(projects: Projects) -> None:
    assert_promises_kept("broker-killed", projects)


def test_a_frozen_broker_delays_no_answer_and_doubles_no_event(projects: Projects) -> None:
    assert_promises_kept("broker-frozen", projects)


def test_lost_replies_of_the_broker_double_no_event(projects: Projects) -> None:
    assert_promises_kept("replies-lost", projects)


def test_a_broker_without_memory_refuses_and_loses_nothing_acknowledged(projects: Projects) -> None:
    assert_promises_kept("memory-full", projects)


def test_a_full_stream_refuses_and_loses_nothing_acknowledged(projects: Projects) -> None:
    assert_promises_kept("stream-full", projects)


def test_a_killed_worker_loses_nothing_acknowledged_and_doubles_no_retry_with_a_key(
    projects: Projects,
) -> None:
    assert_promises_kept("workers-killed", projects)


def test_a_sentinel_failover_to_a_replica_that_is_behind_loses_nothing_acknowledged(
    projects: Projects,
) -> None:
    assert_promises_kept("sentinel-behind", projects)


def test_a_cluster_that_loses_a_primary_loses_nothing_acknowledged(projects: Projects) -> None:
    assert_promises_kept("cluster-failover", projects)


def test_the_ledger_finds_the_loss_when_the_broker_keeps_no_file(projects: Projects) -> None:
    assert_promises_kept("control-loss", projects)


def test_the_account_counts_each_kind_of_broken_promise() -> None:
    def answer(event: str, status: int, *, word: str = "", job_id: str = "", ended_at: float = 1.5) -> Answer:
        return Answer(event, "sender", False, 1.0, ended_at, status, word, job_id)

    answers = [
        answer("stored", 202, job_id="bull-7000001"),
        answer("lost", 202, job_id="bull-7000002"),
        answer("mistaken for stored", 202, job_id="bull-7000001"),
        answer("belied", 503, word="broker_unavailable"),
        answer("uncertain", 503, word="broker_timeout", ended_at=4.0),
        answer("unanswered", 0),
        answer("failed", 500, word="internal_error"),
    ]
    entries = [
        Entry("7-1", "stored"),
        Entry("7-3", "belied"),
        Entry("7-4", "uncertain"),
        # Streams of two partitions may give out the same id.
        Entry("7-4", "unanswered"),
        Entry("7-5", "unanswered"),
    ]
    assert settle(answers, entries, [1.25]) == Account(
        sent=7,
        acknowledged=3,
        missing=2,
        duplicates=1,
        belied=1,
        refused={"broker_unavailable": 1, "broker_timeout": 1},
        unanswered=1,
        other={"500 internal_error": 1},
        slowest_ms=3000.0,
        recovery_s=0.25,
    )
    assert settle(answers, entries, [1.25, 1.75]).recovery_s == inf
