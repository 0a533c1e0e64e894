"""``flask events groups|regroup`` and ``flask events list --group``, on both databases."""

import json
from collections.abc import Iterator
from itertools import count

import pytest
from sqlalchemy import Engine, delete, update

from tests.fixtures.commands import Commands
from tests.fixtures.publishing import new_project
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.domain.ids import new_id
from vigilry_ingest.storage.engine import session_on
from vigilry_ingest.storage.event_groups import regroup
from vigilry_ingest.storage.event_queries import Filter, newest_events
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.storage.models import StoredEvent

_numbers = count(1)


@pytest.fixture
def commands(database_url: str) -> Iterator[Commands]:
    with Commands(redis_url="redis://127.0.0.1:1/0", database_url=database_url) as commands:
        yield commands


@pytest.fixture
def project(engine: Engine) -> str:
    """Make a project of the test's own and return its id."""
    return mint(engine, f"shop {new_project()}", "production").project_id


def store(engine: Engine, project: str, message: str, kind: str = "server_error", second: int = 0) -> None:
    """Store an error without a stack, or an event of another kind."""
    event = Delivered(
        id=new_id("evt"), project_id=project, environment="production", kind=kind, type=kind,
        severity="ERROR", message=message, payload=json.dumps({"message": message}).encode(),
        received_at=f"2026-01-31T10:00:{second:02}.000Z", request_id="r",
        job_id=f"bull-{1_769_903_999_123_000_000 + next(_numbers)}", attempts=1,
    )  # fmt: skip
    Store(engine).write([event, event])


def test_groups_are_listed_by_count_with_their_times_and_newest_message(
    engine: Engine, commands: Commands, project: str
) -> None:
    for second in range(3):
        store(engine, project, f"Order {second} not found", second=second)
    store(engine, project, "Card declined")
    store(engine, project, "Order 9 not found", kind="sentry")
    store(engine, project, "Order 9 not found", kind="event")
    first, *others = commands.json("events", "groups", "--project", project)
    assert (first["events"], first["message"], first["kind"]) == (3, "Order 2 not found", "server_error")
    assert (first["firstSeen"], first["lastSeen"]) == ("2026-01-31T10:00:00.000Z", "2026-01-31T10:00:02.000Z")
    assert first["projectId"] == project
    assert [each["events"] for each in others] == [1, 1]
    (only,) = commands.json("events", "groups", "--project", project, "--kind", "sentry")
    assert only["kind"] == "sentry"
    (late,) = commands.json("events", "groups", "--project", project, "--from", "2026-01-31T10:00:01")
    assert (late["group"], late["events"]) == (first["group"], 2)
    table = commands.well("events", "groups", "--project", project, "-n", "1").splitlines()
    assert len(table) == 2
    assert first["group"] in table[1]
    listed = commands.json("events", "list", "--group", first["group"])
    assert [each["message"] for each in listed] == [f"Order {each} not found" for each in (2, 1, 0)]
    assert {each["group"] for each in listed} == {first["group"]}


def test_the_counts_follow_a_deletion_of_events(engine: Engine, commands: Commands, project: str) -> None:
    for number in range(4):
        store(engine, project, f"Order {number} not found", second=number)
    with session_on(engine) as session:
        session.execute(
            delete(StoredEvent).where(StoredEvent.project_id == project, StoredEvent.message.like("Order 3%"))
        )
    (group,) = commands.json("events", "groups", "--project", project)
    assert (group["events"], group["message"]) == (3, "Order 2 not found")


def test_older_events_are_grouped_in_steps_that_can_be_stopped_and_repeated(
    engine: Engine, commands: Commands, project: str
) -> None:
    for number in range(30):
        store(engine, project, f"Order {number} not found")
    store(engine, project, "Order 1 not found", kind="event")
    expected = commands.json("events", "groups", "--project", project)
    ungroup(engine, project)
    assert commands.json("events", "groups", "--project", project) == []
    next(regroup(engine, after="", is_all=False))
    commands.json("events", "regroup")
    assert commands.json("events", "groups", "--project", project) == expected
    assert commands.json("events", "regroup") == [{"grouped": 0}]
    set_group(engine, project, "wrong")
    assert commands.json("events", "regroup", "--all") == [{"grouped": 30}]
    assert commands.json("events", "groups", "--project", project) == expected
    # Ids of one millisecond are in no order.
    last = max(newest_events(engine, Filter(project=project), 100), key=lambda row: row.id)
    ungroup(engine, project)
    assert commands.json("events", "regroup", "--after", last.id) == [{"grouped": 0}]


def ungroup(engine: Engine, project: str) -> None:
    """Make a project's events those of an earlier version."""
    set_group(engine, project, None)


def set_group(engine: Engine, project: str, group: str | None) -> None:
    """Set the group of a project's errors."""
    with session_on(engine) as session:
        session.execute(
            update(StoredEvent)
            .where(StoredEvent.project_id == project, StoredEvent.kind != "event")
            .values(event_group=group)
        )


def test_no_groups_are_said_to_people(commands: Commands, project: str) -> None:
    assert "There are no groups" in commands.well("events", "groups", "--project", project)
