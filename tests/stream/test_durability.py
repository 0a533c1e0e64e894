"""VIGILRY_DURABILITY: what a 202 promises is there, and what is not there is never a 202."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import pytest

from tests.fixtures.databases import KeyStore
from tests.fixtures.publishing import (
    an_event,
    entries_of,
    job_id_of_entry,
    new_project,
    publisher_on,
    refusal_of,
)
from tests.fixtures.sender import (
    Sender,
    an_example,
    assert_503,
    at_once,
    job_ids,
    published_ids,
    wait_accepted,
)
from tests.fixtures.servers.valkey import NOT_READY, Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.stream.publishing.append_script import IdempotencyKey
from vigilry_ingest.stream.publishing.publisher import Published

TIMEOUT_S = 1.0
GRACE_S = 0.5


@contextmanager
def sending(key_store: KeyStore, broker: Valkey, durability: str) -> Iterator[Sender]:
    """Run a service with a durability, and give a sender to it."""
    with (
        key_store.service(broker.url, durability=durability) as service,
        closing(key_store.sender(service, broker)) as sender,
    ):
        yield sender


def post(sender: Sender, key: str = "") -> httpx.Response:
    """Post an event, and check that the answer comes in time."""
    begun = time.monotonic()
    answer = sender.post("events", an_example(key), headers={"Idempotency-Key": key} if key else {})
    assert time.monotonic() - begun < TIMEOUT_S + GRACE_S
    return answer


@pytest.fixture(scope="module")
def disk() -> Iterator[Valkey]:
    """Run a broker that writes to its disk before it answers."""
    with Valkey(appendfsync="always") as server:
        yield server


@pytest.fixture(scope="module")
def to_disk(key_store: KeyStore, disk: Valkey) -> Iterator[Sender]:
    with sending(key_store, disk, "fsync") as sender:
        yield sender


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_fsync_is_acknowledged_whenever_the_broker_syncs(
    to_disk: Sender, disk: Valkey, appendfsync: str
) -> None:
    before = published_ids(to_disk)
    disk.ask("CONFIG SET", "appendfsync", appendfsync)
    ids = job_ids(post(to_disk) for _ in range(5))
    disk.ask("CONFIG SET", "appendfsync", "always")
    assert published_ids(to_disk) == before + ids


def test_what_was_acknowledged_after_an_fsync_outlives_the_broker(to_disk: Sender, disk: Valkey) -> None:
    before = published_ids(to_disk)
    ids = job_ids(at_once(lambda _number: post(to_disk), range(64)))
    disk.kill()
    disk.start()
    assert sorted(published_ids(to_disk)) == sorted(before + ids)
    wait_accepted(lambda: post(to_disk))


def test_a_broker_that_stops_writing_its_file_is_refused_until_it_writes_again(
    to_disk: Sender, disk: Valkey
) -> None:
    job_ids([wait_accepted(lambda: post(to_disk, "known"))])
    disk.ask("CONFIG SET", "appendonly", "no")
    try:
        assert_503(post(to_disk), "broker_not_durable")
        assert_503(post(to_disk, "doubtful"), "broker_not_durable")
        assert_503(post(to_disk, "doubtful"), "broker_not_durable")
        assert_503(post(to_disk, "known"), "broker_not_durable")
        stands = published_ids(to_disk)
    finally:
        disk.ask("CONFIG SET", "appendonly", "yes")
    retried = wait_accepted(lambda: post(to_disk, "doubtful"))
    assert retried.headers["idempotent-replayed"] == "true"
    assert job_ids([retried]) == stands[-1:]
    assert published_ids(to_disk) == stands


def run_until_it_ends(
    key_store: KeyStore, broker_url: str, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Start a service that is to end by itself."""
    with closing(key_store.service(broker_url, **settings)) as service:
        return subprocess.run(
            service.command, env=service.env, cwd=service.cwd, capture_output=True, text=True, timeout=20
        )


def test_a_service_refuses_to_start_where_nothing_is_written_to_disk(key_store: KeyStore) -> None:
    with Valkey(appendonly=False, requirepass="hush") as broker:
        ended = run_until_it_ends(key_store, broker.url, durability="fsync")
    assert ended.returncode != 0
    assert "VIGILRY_DURABILITY=fsync" in ended.stderr
    assert "appendonly yes" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hush" not in ended.stderr + ended.stdout


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("redis_url", "redis://h?foo=1"),
        ("redis_url", "redis://h:port/0"),
        ("database_url", "sqlite://"),
        ("database_url", "no url"),
    ],
)
def test_a_url_that_cannot_be_used_ends_the_start_in_one_line(
    key_store: KeyStore, name: str, url: str
) -> None:
    ended = run_until_it_ends(key_store, "redis://127.0.0.1:1/0", **{name: url})
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    (told,) = (line for line in ended.stderr.splitlines() if line.startswith("Error: "))
    assert f"VIGILRY_{name.upper()}" in told
    assert "VIGILRY_DURABILITY" not in told


def test_a_service_starts_without_its_broker_and_takes_it_when_it_writes_its_file(
    key_store: KeyStore,
) -> None:
    with Valkey(appendonly=False) as broker:
        broker.stop()
        with sending(key_store, broker, "fsync") as sender:
            assert_503(post(sender), "broker_unavailable")
            broker.start()
            assert_503(post(sender), "broker_not_durable")
            assert_503(post(sender), "broker_not_durable")
            broker.ask("CONFIG SET", "appendonly", "yes")
            wait_accepted(lambda: post(sender))


def test_a_service_that_waits_for_replicas_starts_without_a_file_and_without_them(
    key_store: KeyStore,
) -> None:
    with Valkey(appendonly=False) as broker, sending(key_store, broker, "replicas:1") as sender:
        assert_503(post(sender), "broker_not_durable")


class Replicated:
    """A primary, its one replica, and a sender to a service that waits for the replica."""

    def __init__(self, key_store: KeyStore) -> None:
        self._stack = ExitStack()
        self.primary = self._stack.enter_context(Valkey(tcp=True))
        self.replica = self._stack.enter_context(Valkey(replica_of=self.primary))
        self.primary.wait_replicas(1)
        self.sender = self._stack.enter_context(sending(key_store, self.primary, "replicas:1"))

    def close(self) -> None:
        """Stop them all."""
        self._stack.close()

    def copied(self) -> list[bytes]:
        """Return the ids of the entries that the replica has."""
        return [entry_id for entry_id, _ in entries_of(self.replica)]

    def entries(self) -> list[bytes]:
        """Return the ids of the entries that the primary has."""
        return [entry_id for entry_id, _ in entries_of(self.primary)]

    def repair(self) -> None:
        """Bring the replica back, whatever was done to it, and wait until it follows."""
        self.replica.thaw()
        if not self.replica.alive:
            self.replica.start()
        self.primary.wait_replicas(1)
        wait_until(lambda: self.copied() == self.entries(), 10, "the replica has all", ignoring=NOT_READY)


@pytest.fixture(scope="module")
def replicated_servers(key_store: KeyStore) -> Iterator[Replicated]:
    with closing(Replicated(key_store)) as servers:
        yield servers


@pytest.fixture
def replicated(replicated_servers: Replicated) -> Iterator[Replicated]:
    """Return the replicated pair, well before and after."""
    replicated_servers.repair()
    wait_accepted(lambda: post(replicated_servers.sender))
    yield replicated_servers
    replicated_servers.repair()


def test_what_was_acknowledged_is_on_the_replica(replicated: Replicated) -> None:
    for _ in range(20):
        job_ids([post(replicated.sender)])
        assert replicated.copied() == replicated.entries()


def test_what_many_at_once_were_acknowledged_is_on_the_replica(replicated: Replicated) -> None:
    before = published_ids(replicated.sender)
    ids = job_ids(at_once(lambda _number: post(replicated.sender), range(160)))
    assert replicated.copied() == replicated.entries()
    assert sorted(published_ids(replicated.sender)) == sorted(before + ids)


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["freeze", "kill"])
def test_without_its_replica_nothing_is_acknowledged_and_a_retry_gets_the_entry_that_exists(
    replicated: Replicated, fault: str
) -> None:
    before = published_ids(replicated.sender)
    getattr(replicated.replica, fault)()
    assert_503(post(replicated.sender, fault), "broker_not_durable")
    (entry,) = published_ids(replicated.sender)[len(before) :]
    # A replay is no more durable than the entry that it stands for.
    assert_503(post(replicated.sender, fault), "broker_not_durable")
    replicated.repair()
    retried = wait_accepted(lambda: post(replicated.sender, fault))
    assert job_ids([retried]) == [entry]
    assert retried.headers["idempotent-replayed"] == "true"
    assert published_ids(replicated.sender) == [*before, entry]


@pytest.mark.alone
def test_a_replay_over_a_new_connection_is_not_acknowledged_before_the_replica_has_the_entry(
    replicated: Replicated,
) -> None:
    before = published_ids(replicated.sender)
    replicated.replica.freeze()
    assert_503(post(replicated.sender, "new connection"), "broker_not_durable")
    for _ in range(2):
        assert replicated.primary.ask("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes") >= 1
        # The connection in use may be found broken only when its answer does not come.
        assert_503(post(replicated.sender, "new connection"), "broker_not_durable", "broker_timeout")
        assert_503(post(replicated.sender, "new connection"), "broker_not_durable")
    replicated.repair()
    retried = wait_accepted(lambda: post(replicated.sender, "new connection"))
    assert published_ids(replicated.sender) == [*before, *job_ids([retried])]


def test_a_replay_by_another_process_is_not_acknowledged_before_the_replica_has_the_entry(
    replicated: Replicated,
) -> None:
    publishers = [publisher_on(replicated.primary.url, durability="replicas:1") for _ in range(2)]
    event, once = an_event(new_project()), IdempotencyKey("event", "doubtful", "fingerprint")
    before = len(replicated.entries())
    replicated.replica.freeze()
    for publisher in publishers:
        assert refusal_of(publisher, event, once).code == "broker_not_durable"
    replicated.repair()
    answers = [publisher.publish(event, [once]) for publisher in publishers]
    for publisher in publishers:
        publisher.close()
    (entry,) = replicated.entries()[before:]
    assert answers == [Published(job_id_of_entry(entry), True)] * 2


@pytest.mark.alone
def test_many_at_once_without_the_replica_are_all_refused_in_time(replicated: Replicated) -> None:
    before = published_ids(replicated.sender)
    replicated.replica.freeze()
    keys = [f"key {number}" for number in range(32)]
    for answer in at_once(lambda key: post(replicated.sender, key), keys, threads=32):
        # Who waited behind the group in flight had little time left, or was never sent.
        assert_503(answer, "broker_not_durable", "broker_timeout", "broker_unavailable")
    replicated.repair()
    wait_accepted(lambda: post(replicated.sender, keys[0]))
    ids = job_ids(at_once(lambda key: post(replicated.sender, key), keys))
    assert sorted(published_ids(replicated.sender)) == sorted(before + ids)
    assert len(set(ids)) == len(keys)
