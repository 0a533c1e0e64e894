"""A broker that refuses: each reason is a 503 with its own code, never a 500, and ends with its cause."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import httpx
import pytest

from tests.fixtures.databases import KeyStore
from tests.fixtures.publishing import STREAM, an_event, entries_of, new_project, publisher_on, refusal_of
from tests.fixtures.sender import (
    EXAMPLES,
    Sender,
    an_example,
    assert_503,
    at_once,
    job_ids,
    published_ids,
    wait_accepted,
)
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import HOST, User, Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.stream.redis_keys import partition_of

MOST = 60
# Loads its data slowly, and answers between one key and the next.
SLOW_LOADING = {"key-load-delay": "15000", "loading-process-events-interval-bytes": "1024"}

# A node takes its cluster for whole again after this long.
QUICK_CLUSTER = {"cluster-node-timeout": "500"}


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    """Run the broker that is broken here; the service comes to it as the user `ann`."""
    settings = SLOW_LOADING | {"save": "3600 1000000"}
    with Valkey(tcp=True, user=User("ann", "key"), settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def service(key_store: KeyStore, broker: Valkey) -> Iterator[Service]:
    with key_store.service(broker.url) as service:
        yield service


@pytest.fixture
def sender(key_store: KeyStore, service: Service, broker: Valkey) -> Iterator[Sender]:
    """Return a sender to a broker that is well and empty."""
    broker.ask("FLUSHALL")
    with closing(key_store.sender(service, broker)) as sender:
        assert sender.post("events", an_example("before")).status_code == 202
        yield sender


def post_everywhere(sender: Sender) -> list[httpx.Response]:
    """Post to every endpoint, with an Idempotency-Key and without."""
    return [
        sender.post(endpoint, example, headers=headers)
        for endpoint, example in EXAMPLES.items()
        for headers in ({}, {"Idempotency-Key": "refused"})
    ]


def assert_refuses(sender: Sender, code: str) -> None:
    """Check that whatever is posted is refused with one word."""
    for answer in post_everywhere(sender):
        assert_503(answer, code)


def assert_recovered(sender: Sender) -> None:
    """Check that the service goes on, and that the stream has exactly what was acknowledged."""
    (before,) = published_ids(sender)
    accepted = wait_accepted(lambda: sender.post("events", an_example("after")))
    later = job_ids(post_everywhere(sender))
    # Both of the Stripe events are one.
    assert published_ids(sender) == [before, *dict.fromkeys(job_ids([accepted]) + later)]


def readiness(sender: Sender) -> httpx.Response:
    """Return what a load balancer sees."""
    with sender.service.client() as client:
        return client.get("/health/ready")


class Fault(NamedTuple):
    """What breaks a broker, what repairs it, and the error code."""

    code: str
    breaks: list[tuple[str | int, ...]]
    repairs: list[tuple[str | int, ...]]


FAULTS = {
    "memory": Fault(
        "broker_out_of_memory",
        [("CONFIG SET", "maxmemory", 1)],
        [("CONFIG SET", "maxmemory", 0)],
    ),
    "a replica": Fault(
        "broker_read_only",
        [("REPLICAOF", HOST, 1)],
        [("REPLICAOF", "NO", "ONE")],
    ),
    "a replica without its primary": Fault(
        "broker_primary_down",
        [("CONFIG SET", "replica-serve-stale-data", "no"), ("REPLICAOF", HOST, 1)],
        [("REPLICAOF", "NO", "ONE"), ("CONFIG SET", "replica-serve-stale-data", "yes")],
    ),
    "too few replicas": Fault(
        "broker_not_durable",
        [("CONFIG SET", "min-replicas-to-write", 1)],
        [("CONFIG SET", "min-replicas-to-write", 0)],
    ),
    "no right to append": Fault(
        "broker_refused",
        [("ACL SETUSER", "ann", "-xadd")],
        [("ACL SETUSER", "ann", "+@all")],
    ),
    "no right to run scripts": Fault(
        "broker_refused",
        [("ACL SETUSER", "ann", "-@scripting")],
        [("ACL SETUSER", "ann", "+@all")],
    ),
    "no right to the keys": Fault(
        "broker_refused",
        [("ACL SETUSER", "ann", "resetkeys", "~others:*")],
        [("ACL SETUSER", "ann", "allkeys")],
    ),
    "a key of another kind": Fault(
        "broker_refused",
        [("RENAME", STREAM, "aside"), ("SET", STREAM, "no stream")],
        [("RENAME", "aside", STREAM)],
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_broker_that_refuses_is_named_and_its_recovery_noticed(
    sender: Sender, broker: Valkey, fault: Fault
) -> None:
    for command in fault.breaks:
        broker.ask(*command)
    try:
        assert_refuses(sender, fault.code)
        ready = readiness(sender)
        assert (ready.status_code, ready.json()["checks"]["broker"]) == (503, fault.code)
        assert ready.json()["reasons"]["broker"].endswith(".")
    finally:
        for command in fault.repairs:
            broker.ask(*command)
    assert_recovered(sender)
    assert readiness(sender).status_code == 200
    if fault.code == "broker_refused":
        # Our word for it says little; what the broker said of it is in the operator's log.
        assert re.search("permissions|WRONGTYPE", sender.service.log_text())


def test_a_broker_that_cannot_save_is_named_and_its_recovery_noticed(sender: Sender, broker: Valkey) -> None:
    # The snapshot cannot replace a folder, whichever user runs the server.
    snapshot = broker.folder / "dump.rdb"
    snapshot.unlink(missing_ok=True)
    snapshot.mkdir()
    try:
        save(broker, "err")
        assert_refuses(sender, "broker_cannot_persist")
    finally:
        snapshot.rmdir()
        save(broker, "ok")
    assert_recovered(sender)


def save(broker: Valkey, outcome: str) -> None:
    """Try to save a snapshot, and wait for its outcome."""
    broker.ask("BGSAVE")

    def is_over() -> bool:
        info = broker.ask("INFO", "persistence")
        return bool((info["rdb_bgsave_in_progress"], info["rdb_last_bgsave_status"]) == (0, outcome))

    wait_until(is_over, 10, f"a snapshot is {outcome}", log=broker.log_text)


def test_a_broker_that_loads_its_data_is_named_and_its_end_noticed(sender: Sender, broker: Valkey) -> None:
    with broker.client() as client:
        for number in range(100):
            client.set(f"load:{number}", "x" * 2048)
    broker.ask("BGREWRITEAOF")
    wait_until(lambda: is_rewritten(broker), 10, "the append-only file is new", log=broker.log_text)
    broker.stop()
    starting = threading.Thread(target=broker.start)
    starting.start()
    answers: list[httpx.Response] = []

    def is_loading() -> bool:
        answers.append(sender.post("events", an_example()))
        assert_503(answers[-1], "broker_unavailable", "broker_timeout", "broker_loading")
        return bool(answers[-1].json()["code"] == "broker_loading")

    wait_until(is_loading, 10, "the broker loads", log=broker.log_text)
    assert_503(sender.post("stripe", EXAMPLES["stripe"]), "broker_loading")
    starting.join(30)
    assert_recovered(sender)


def is_rewritten(broker: Valkey) -> bool:
    """Return whether no rewriting of the append-only file is under way or to come."""
    info = broker.ask("INFO", "persistence")
    return bool((info["aof_rewrite_in_progress"], info["aof_rewrite_scheduled"]) == (0, 0))


def test_a_changed_password_is_a_503_and_its_recovery_noticed(sender: Sender, broker: Valkey) -> None:
    broker.ask("ACL SETUSER", "ann", "resetpass", ">other")
    broker.ask("CLIENT KILL", "USER", "ann")
    # The connection in use may be found broken only when its answer does not come.
    assert_503(sender.post("events", an_example()), "broker_timeout", "broker_unavailable")
    assert_refuses(sender, "broker_unavailable")
    broker.ask("ACL SETUSER", "ann", "resetpass", ">key")
    assert_recovered(sender)


def test_a_wrong_password_from_the_start_is_a_503_and_its_recovery_noticed(key_store: KeyStore) -> None:
    with (
        Valkey(requirepass="door") as broker,
        key_store.service(broker.url.replace(":door@", ":wrong@")) as service,
        closing(key_store.sender(service, broker)) as sender,
    ):
        assert_refuses(sender, "broker_unavailable")
        broker.ask("CONFIG SET", "requirepass", "wrong")
        broker.requirepass = "wrong"
        wait_accepted(lambda: sender.post("events", an_example()))
        assert ":wrong@" not in service.log_text()


def test_a_missing_password_is_told_as_a_broker_that_cannot_be_used() -> None:
    with Valkey(requirepass="door") as broker:
        publisher = publisher_on(broker.url.replace(":door@", ""))
        assert refusal_of(publisher, an_event(new_project())).code == "broker_unavailable"
        broker.ask("CONFIG SET", "requirepass", "")
        broker.requirepass = None
        assert publisher.publish(an_event(new_project()))
        publisher.close()


def test_a_cluster_that_serves_no_slots_is_named_and_its_recovery_noticed(key_store: KeyStore) -> None:
    with Valkey(unix=False, cluster=True, settings=QUICK_CLUSTER) as broker:
        give_slots(broker)
        url = broker.url.replace("redis://", "redis+cluster://")
        with key_store.service(url) as service, closing(key_store.sender(service, broker)) as sender:
            assert sender.post("events", an_example("before")).status_code == 202
            broker.ask("CLUSTER DELSLOTSRANGE", 0, 16383)
            assert_refuses(sender, "broker_cluster_down")
            give_slots(broker)
            assert_recovered(sender)


def give_slots(broker: Valkey) -> None:
    """Let a node serve all slots, and wait until its cluster is whole."""
    broker.ask("CLUSTER ADDSLOTSRANGE", 0, 16383)
    wait_until(lambda: broker.ask("CLUSTER INFO")["cluster_state"] == "ok", 10, "the cluster is whole")


@pytest.mark.parametrize("form", ["redis", "redis+cluster"])
def test_a_cluster_that_was_never_seen_whole_is_named_too(form: str) -> None:
    with Valkey(unix=False, cluster=True, settings=QUICK_CLUSTER) as broker:
        publisher = publisher_on(broker.url.replace("redis://", f"{form}://"))
        assert refusal_of(publisher, an_event(new_project())).code == "broker_cluster_down"
        give_slots(broker)
        assert publisher.publish(an_event(new_project()))
        publisher.close()


def test_a_broker_that_lost_its_script_is_given_it_again(sender: Sender, broker: Valkey) -> None:
    ids = published_ids(sender)
    for number in range(20):
        broker.ask("SCRIPT FLUSH")
        headers = {"Idempotency-Key": f"key {number}"} if number % 2 else {}
        ids += job_ids([sender.post("events", an_example(number), headers=headers)])
    assert published_ids(sender) == ids


def test_a_broker_that_loses_its_script_under_load_gets_each_event_once(
    sender: Sender, broker: Valkey
) -> None:
    over = threading.Event()

    def flush() -> None:
        with broker.client() as client:
            while not over.is_set():
                client.script_flush()

    flusher = threading.Thread(target=flush)
    flusher.start()
    try:
        answers = at_once(lambda number: sender.post("events", an_example(number)), range(320))
    finally:
        over.set()
        flusher.join(10)
    ids = job_ids(answers)
    assert sorted(published_ids(sender)[1:]) == sorted(ids)
    assert len(set(ids)) == 320


@pytest.fixture(scope="module")
def small() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def two_workers(key_store: KeyStore, small: Valkey) -> Iterator[Service]:
    """Run a service of two workers whose stream takes 60 entries."""
    with key_store.service(small.url, workers=2, stream_max_entries=MOST) as service:
        yield service


@pytest.fixture
def senders(key_store: KeyStore, two_workers: Service, small: Valkey) -> Iterator[list[Sender]]:
    """Return four senders to an empty stream."""
    small.ask("FLUSHALL")
    several = [key_store.sender(two_workers, small) for _ in range(4)]
    yield several
    for sender in several:
        sender.close()


def test_sixteen_senders_at_once_fill_the_stream_to_the_last_entry_and_no_further(
    senders: list[Sender], small: Valkey
) -> None:
    answers = at_once(lambda n: senders[n % 4].post("events", an_example(n)), range(16 * 10))
    accepted = [answer for answer in answers if answer.status_code == 202]
    for answer in answers:
        if answer.status_code != 202:
            assert_503(answer, "stream_full")
    ids = [job_id for sender in senders for job_id in published_ids(sender)]
    assert len(entries_of(small)) == len(accepted) == MOST
    assert sorted(ids) == sorted(job_ids(accepted))


def test_a_full_stream_refuses_at_every_endpoint_until_there_is_room(
    senders: list[Sender], small: Valkey
) -> None:
    sender, *_ = senders
    key = {"Idempotency-Key": "known"}
    ids = job_ids([sender.post("events", an_example(0), headers=key)])
    ids += job_ids(sender.post("events", an_example(number)) for number in range(1, MOST))
    assert_refuses(sender, "stream_full")
    replayed = sender.post("events", an_example(0), headers=key)
    assert job_ids([replayed]) == ids[:1]
    assert replayed.headers["idempotent-replayed"] == "true"
    assert published_ids(sender) == ids
    # A worker that has processed the stream makes space for exactly one.
    small.ask("XTRIM", STREAM, "MAXLEN", MOST - 1)
    ids += job_ids([sender.post("events", an_example("one more"))])
    assert_refuses(sender, "stream_full")
    assert published_ids(sender) == ids[1:]


def test_a_full_partition_refuses_its_own_projects_alone(small: Valkey) -> None:
    small.ask("FLUSHALL")
    publisher = publisher_on(small.url, partitions=2, max_entries=1)
    projects = [new_project() for _ in range(24)]
    taken = {partition_of(project, 2): publisher.publish(an_event(project)) for project in firsts(projects)}
    assert taken.keys() == {0, 1}
    for project in projects:
        assert refusal_of(publisher, an_event(project)).code == "stream_full"
    publisher.close()
    assert [len(entries_of(small, f"vigilry:{{{number}}}:events")) for number in (0, 1)] == [1, 1]


def firsts(projects: list[str]) -> list[str]:
    """Choose one project of each of two partitions."""
    return list({partition_of(project, 2): project for project in projects}.values())


def test_a_full_stream_leaves_the_service_ready_because_another_host_has_the_same(
    key_store: KeyStore,
) -> None:
    with (
        Valkey(appendonly=False) as broker,
        key_store.service(broker.url, stream_max_entries=1) as service,
        closing(key_store.sender(service, broker)) as sender,
    ):
        assert sender.post("events", an_example("one")).status_code == 202
        assert_503(sender.post("events", an_example("two")), "stream_full")
        assert sender.http.get("/health/ready").status_code == 200
