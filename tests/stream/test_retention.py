"""Trimming: only what every group has acknowledged goes, and the group that blocks it is named."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Notebook, Running, do_nothing
from tests.fixtures.databases import KeyStore, migrate
from tests.fixtures.flask_commands import on_terminal_of
from tests.fixtures.publishing import an_event
from tests.fixtures.sender import an_example, assert_503, wait_accepted
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.stream.consuming.retention import trim
from vigilry_ingest.stream.publishing.publisher import Publisher
from vigilry_ingest.stream.redis_keys import dead_key, events_key, lease_key

STREAM = events_key(0)
HOUR_MS = 3_600_000


@pytest.fixture
def client(broker: Valkey) -> Iterator[redis.Redis]:
    """Return a client that does what a foreign consumer does."""
    with broker.client() as client:
        yield client


@pytest.fixture
def commands(broker: Valkey, tmp_path: Path) -> Iterator[Commands]:
    """Return the commands, on the test's broker."""
    url = f"sqlite:///{tmp_path}/own.db"
    migrate(url)
    with Commands(redis_url=broker.url, database_url=url) as commands:
        yield commands


def publish(publisher: Publisher, count: int) -> None:
    """Publish some events of one project."""
    for number in range(count):
        publisher.publish(an_event("proj_1", f"event {number}"))


def wait_length(broker: Valkey, length: int, within_s: float = 5.0) -> None:
    """Wait until the stream has so many entries."""
    wait_until(
        lambda: broker.ask("XLEN", STREAM) == length,
        within_s,
        f"the stream has {length} entries",
        log=lambda: str(broker.ask("XLEN", STREAM)),
    )


def is_done(client: redis.Redis, group: str = "store") -> bool:
    """Return whether a group has acknowledged everything."""
    groups: Any = client.xinfo_groups(STREAM)
    return any(each["name"] == group and (each["lag"], each["pending"]) == (0, 0) for each in groups)


def stays(broker: Valkey, length: int) -> None:
    """Check that trimming, which comes by itself once a second, takes nothing now."""
    with broker.client() as client:
        assert trim(client, 0) == 0
    assert broker.ask("XLEN", STREAM) == length


def read(client: redis.Redis, group: str, count: int) -> list[str]:
    """Read a group's next entries, as a foreign consumer does, and return their ids."""
    reply: Any = client.xreadgroup(group, "foreign", {STREAM: ">"}, count=count)
    return [entry_id for _, entries in reply for entry_id, _ in entries]


# Trimming


def test_what_the_only_group_has_acknowledged_is_trimmed(broker: Valkey, publisher: Publisher) -> None:
    publish(publisher, 100)
    with Running(broker.url, do_nothing):
        wait_length(broker, 0)
        publish(publisher, 5)
        wait_length(broker, 0)


def test_nothing_is_trimmed_that_a_second_group_has_not_acknowledged(
    broker: Valkey, publisher: Publisher, client: redis.Redis
) -> None:
    publish(publisher, 10)
    client.xgroup_create(STREAM, "slow", id="0")
    with Running(broker.url, do_nothing):
        wait_until(lambda: is_done(client), 5.0, "the worker has done all")
        stays(broker, 10)
        client.xack(STREAM, "slow", *read(client, "slow", 4))
        wait_length(broker, 6)
        client.xack(STREAM, "slow", *read(client, "slow", 100))
        wait_length(broker, 0)


def test_an_entry_that_was_read_and_not_acknowledged_holds_what_comes_after_it(
    broker: Valkey, publisher: Publisher, client: redis.Redis
) -> None:
    publish(publisher, 10)
    client.xgroup_create(STREAM, "slow", id="0")
    with Running(broker.url, do_nothing):
        entry_ids = read(client, "slow", 10)
        client.xack(STREAM, "slow", *entry_ids[:3], *entry_ids[4:])
        wait_length(broker, 7)
        assert broker.ask("XRANGE", STREAM, "-", "+", "COUNT", 1)[0][0] == entry_ids[3]
        stays(broker, 7)
        client.xack(STREAM, "slow", entry_ids[3])
        wait_length(broker, 0)


def test_an_event_that_fails_is_kept_until_it_is_dead(
    broker: Valkey, publisher: Publisher, client: redis.Redis
) -> None:
    def fail(events: Sequence[Delivered]) -> None:
        raise ValueError(f"not {events[0].message}")

    publish(publisher, 1)
    with Running(broker.url, fail):
        wait_until(
            lambda: broker.ask("XPENDING", STREAM, "store")["pending"],
            5.0,
            "it is pending",
            ignoring=(redis.ResponseError,),
        )
        stays(broker, 1)
    assert client.xlen(dead_key(0)) == 0


def test_without_any_group_nothing_is_trimmed(broker: Valkey, publisher: Publisher) -> None:
    publish(publisher, 10)
    stays(broker, 10)


def test_a_stream_that_is_not_there_is_trimmed_of_nothing(client: redis.Redis) -> None:
    assert trim(client, 0) == 0
    assert client.exists(STREAM) == 0


def test_a_group_made_while_others_work_gets_all_that_was_there_when_it_was_made(
    broker: Valkey, publisher: Publisher, client: redis.Redis
) -> None:
    with Running(broker.url, do_nothing):
        for _ in range(5):
            publish(publisher, 200)
            made = client.pipeline(transaction=True)
            made.xgroup_create(STREAM, "new", id="0", mkstream=True)
            made.xlen(STREAM)
            length = made.execute()[1]
            wait_until(lambda: is_done(client), 5.0, "the worker has done all")
            stays(broker, length)
            assert len(read(client, "new", 10_000)) == length
            client.xgroup_destroy(STREAM, "new")


def test_what_another_group_has_done_is_kept_until_the_default_group_was_made(
    broker: Valkey, publisher: Publisher, client: redis.Redis
) -> None:
    # As after a broker has lost its data, when the other group's worker is the first to make its group again.
    notebook = Notebook()
    with Running(broker.url, do_nothing, group="chat"):
        publish(publisher, 10)
        wait_until(lambda: is_done(client, "chat"), 5.0, "the other group has done all")
        stays(broker, 10)
        with Running(broker.url, notebook.handle):
            wait_length(broker, 0)
    assert len(notebook.handled) == 10


def test_a_group_that_was_forgotten_holds_nothing(
    broker: Valkey, publisher: Publisher, client: redis.Redis, commands: Commands
) -> None:
    publish(publisher, 10)
    client.xgroup_create(STREAM, "left", id="0")
    with Running(broker.url, do_nothing):
        wait_until(lambda: is_done(client), 5.0, "the worker has done all")
        stays(broker, 10)
        said = commands.well("events", "forget-group", "left", "--yes")
        assert "left" in said
        wait_length(broker, 0)


def test_a_full_stream_refuses_until_the_worker_has_drained_it(broker: Valkey, key_store: KeyStore) -> None:
    with key_store.service(broker.url, stream_max_entries=20) as service:
        sender = key_store.sender(service, broker)
        for number in range(20):
            assert sender.post("events", an_example(number)).status_code == 202
        assert_503(sender.post("events", an_example()), "stream_full")
        with Running(broker.url, do_nothing):
            wait_accepted(lambda: sender.post("events", an_example()), within_s=5.0)
            wait_length(broker, 0)
        sender.close()


# What `flask events stats` and `forget-group` say


def stats(commands: Commands) -> dict[str, Any]:
    """Return what `flask events stats --json` says of the one partition."""
    (state,) = commands.json("events", "stats")
    return state | {"groups": {group["name"]: group for group in state["groups"]}}


def add_old(client: redis.Redis, *, hours: float) -> str:
    """Append an entry as it stands there when it was appended some hours ago."""
    added: Any = client.xadd(STREAM, {"v": "1"}, id=f"{int(time.time() * 1000 - hours * HOUR_MS)}-0")
    return str(added)


def test_the_stats_tell_what_waits_and_who_has_it(
    broker: Valkey, publisher: Publisher, client: redis.Redis, commands: Commands
) -> None:
    publish(publisher, 10)
    client.xgroup_create(STREAM, "slow", id="0")
    client.xack(STREAM, "slow", *read(client, "slow", 4)[1:2])
    client.xadd(dead_key(0), {"dead_group": "slow"})
    with Running(broker.url, do_nothing):
        wait_until(lambda: is_done(client), 5.0, "the worker has done all")
        state = stats(commands)
    assert (state["partition"], state["length"], state["dead"]) == (0, 10, 1)
    slow, store = state["groups"]["slow"], state["groups"]["store"]
    assert (slow["lag"], slow["pending"], slow["worker"]) == (6, 3, None)
    assert 0 < slow["oldest_s"] < 60
    assert (store["lag"], store["pending"], store["oldest_s"]) == (0, 0, 0)
    assert store["worker"]
    assert not slow["is_abandoned"], "it has read a moment ago"
    assert not store["is_abandoned"]


@pytest.mark.parametrize("count", [10, 700], ids=["few", "more than are counted"])
def test_the_lag_is_counted_when_the_server_no_longer_knows_it(
    publisher: Publisher, client: redis.Redis, commands: Commands, count: int
) -> None:
    publish(publisher, count)
    client.xgroup_create(STREAM, "slow", id="0")
    entries: Any = client.xrange(STREAM)
    client.xdel(STREAM, entries[5][0])
    assert stats(commands)["groups"]["slow"]["lag"] == count - 1


def test_the_stats_of_a_broker_without_any_stream_are_empty(commands: Commands) -> None:
    assert stats(commands) == {"partition": 0, "length": 0, "bytes": 0, "dead": 0, "groups": {}}
    table = commands.well("events", "stats")
    assert table.splitlines()[0].split()[:3] == ["PARTITION", "ENTRIES", "DEAD"]


def test_a_narrow_terminal_cuts_no_worker(broker: Valkey, client: redis.Redis, commands: Commands) -> None:
    with Running(broker.url, do_nothing):
        wait_until(lambda: bool(client.exists(lease_key(0, "store"))), 5.0, "the worker has its lease")
        # It makes the group once it has the lease.
        wait_until(lambda: "store" in stats(commands)["groups"], 5.0, "the worker has its group")
        worker = stats(commands)["groups"]["store"]["worker"]
        code, shown = on_terminal_of(40, {}, "events", "stats", REDIS_URL=broker.url)
    assert (code, worker in shown) == (0, True), shown


def test_a_group_that_nobody_has_read_for_hours_is_named_with_what_to_do(
    client: redis.Redis, commands: Commands
) -> None:
    add_old(client, hours=2)
    client.xgroup_create(STREAM, "left", id="0")
    assert stats(commands)["groups"]["left"]["is_abandoned"]
    table = commands.well("events", "stats")
    assert "flask events forget-group left" in table
    assert commands.well("events", "forget-group", "left", "--yes")
    assert "forget-group" not in commands.well("events", "stats")


def test_a_group_that_was_made_a_moment_ago_is_not_called_abandoned(
    publisher: Publisher, client: redis.Redis, commands: Commands
) -> None:
    publish(publisher, 3)
    client.xgroup_create(STREAM, "new", id="0")
    assert not stats(commands)["groups"]["new"]["is_abandoned"]


def test_a_group_with_nothing_to_do_is_not_called_abandoned(client: redis.Redis, commands: Commands) -> None:
    add_old(client, hours=2)
    client.xgroup_create(STREAM, "idle", id="$")
    assert not stats(commands)["groups"]["idle"]["is_abandoned"]


@pytest.mark.parametrize("name", ["", "a b\n", "x" * 300])
def test_a_group_of_any_name_can_be_forgotten(client: redis.Redis, commands: Commands, name: str) -> None:
    client.xgroup_create(STREAM, name, id="0", mkstream=True)
    assert len(commands.well("events", "stats").splitlines()) == 2
    assert commands.json("events", "forget-group", name, "--yes") == [{"group": name, "streams": 1}]


def test_an_unknown_group_cannot_be_forgotten(publisher: Publisher, commands: Commands) -> None:
    assert "nobody" in commands.failure_of("events", "forget-group", "nobody", "--yes")
    publish(publisher, 1)
    assert "nobody" in commands.failure_of("events", "forget-group", "nobody", "--yes")


def test_a_group_is_not_forgotten_without_a_yes(client: redis.Redis, commands: Commands) -> None:
    client.xgroup_create(STREAM, "kept", id="0", mkstream=True)
    done = commands.run("events", "forget-group", "kept")
    assert done.exit_code == 1
    groups: Any = client.xinfo_groups(STREAM)
    assert [group["name"] for group in groups] == ["kept"]
