"""Brokers of more than one server, and brokers behind TLS and logins: events arrive there, once."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from redis.crc import key_slot

from tests.fixtures.databases import KeyStore
from tests.fixtures.flask_commands import Running, failure_of, flask
from tests.fixtures.publishing import (
    STREAM,
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
from tests.fixtures.servers.cluster import ClusterSetup
from tests.fixtures.servers.sentinel import Address, SentinelSetup
from tests.fixtures.servers.tls import Tls, make_tls
from tests.fixtures.servers.valkey import HOST, NOT_READY, User, Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.stream.connection.client import open_client
from vigilry_ingest.stream.redis_keys import partition_of

PARTITIONS = 8
USER, PASSWORD = "operator", "s3same"
LOGIN = f"{USER}:{PASSWORD}@"


def post(sender: Sender, text: int | str = 0, key: str = "") -> httpx.Response:
    return sender.post("events", an_example(text), headers={"Idempotency-Key": key} if key else {})


def with_login(url: str) -> str:
    """Put the login into a URL."""
    return url.replace("://", f"://{LOGIN}")


def assert_tails(sender: Sender, url: str, partitions: int = 1) -> None:
    """Check that `flask events tail` shows the newest events on a broker, and the next one as it comes."""
    ids = job_ids(post(sender, text) for text in ("older", "old"))
    settings = {"REDIS_URL": url, "STREAM_PARTITIONS": str(partitions)}
    with Running("events", "tail", "-n", "2", "--json", **settings) as tail:
        assert [json.loads(tail.line())["jobId"] for _ in range(2)] == ids
        (job_id,) = job_ids([post(sender, "new")])
        assert json.loads(tail.line())["jobId"] == job_id
        tail.interrupt()
        tail.wait()


def users_of(server: Valkey) -> set[str]:
    """Name who has appended to a server by now."""
    with server.client() as client:
        clients: Any = client.client_list()
    return {each["user"] for each in clients if each["cmd"].startswith("eval")}


def let_in(server: Valkey) -> None:
    """Make the user whom the URLs name, which a server forgets when it ends."""
    server.ask("ACL SETUSER", USER, "on", f">{PASSWORD}", "allkeys", "+@all")


class Sentinels:
    """A primary with a replica under three sentinels, and a sender to a service that asks them."""

    def __init__(self, key_store: KeyStore) -> None:
        self._stack = ExitStack()
        self.setup = self._stack.enter_context(SentinelSetup())
        for server in self.setup.servers:
            let_in(server)
        self.url = with_login(self.setup.url)
        service = self._stack.enter_context(key_store.service(self.url))
        self.sender = self._stack.enter_context(closing(key_store.sender(service, self.setup.servers[0])))

    def close(self) -> None:
        """Stop them all."""
        self._stack.close()

    def primary(self) -> Valkey:
        """Return the server that the sentinels name."""
        return self.setup.server_at(self.setup.primary())

    def published(self) -> list[str]:
        """Return the jobIds of all that is on the primary."""
        return [job_id_of_entry(entry_id) for entry_id, _ in entries_of(self.primary())]

    def copy(self) -> None:
        """Wait until the replica has all that the primary has."""
        ids = self.published()

        def is_copied() -> bool:
            return all(len(entries_of(server)) == len(ids) for server in self.setup.servers)

        wait_until(is_copied, 10, "the replica has all", ignoring=NOT_READY)

    def repair(self, old: Address) -> None:
        """Bring the old primary back as a replica."""
        server = self.setup.server_at(old)
        server.thaw()
        if not server.alive:
            server.start()
            let_in(server)
        self.primary().wait_replicas(1)
        self.setup.wait_ready()


@pytest.fixture(scope="module")
def sentinels(key_store: KeyStore) -> Iterator[Sentinels]:
    with closing(Sentinels(key_store)) as sentinels:
        yield sentinels


def test_events_go_to_the_primary_that_the_sentinels_name(sentinels: Sentinels) -> None:
    ids = job_ids(post(sentinels.sender, number) for number in range(5))
    assert sentinels.published() == ids
    assert users_of(sentinels.primary()) == {USER}
    assert_tails(sentinels.sender, sentinels.url)


def test_a_service_goes_on_with_two_sentinels_of_three(sentinels: Sentinels) -> None:
    first, *_ = sentinels.setup.sentinels
    first.freeze()
    try:
        publisher = publisher_on(sentinels.url)
        published = publisher.publish(an_event(new_project()))
        publisher.close()
    finally:
        first.thaw()
    assert sentinels.published()[-1] == published.job_id


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_failover_is_followed_without_a_restart(sentinels: Sentinels, fault: str) -> None:
    job_ids([wait_accepted(lambda: post(sentinels.sender, "before"))])
    sentinels.copy()
    before = sentinels.published()
    old = sentinels.setup.primary()
    getattr(sentinels.setup.server_at(old), fault)()
    assert_503(post(sentinels.sender), "broker_unavailable", "broker_timeout")
    new = sentinels.setup.wait_failover(old)
    ids = job_ids([wait_accepted(lambda: post(sentinels.sender, "after"))])
    ids += job_ids(at_once(lambda number: post(sentinels.sender, number), range(32)))
    assert sentinels.primary().address == new
    assert sentinels.published()[: len(before)] == before
    assert sorted(sentinels.published()[len(before) :]) == sorted(ids)
    sentinels.repair(old)
    # Who was the primary, and is none now, gets nothing more.
    ids += job_ids([post(sentinels.sender, "later")])
    assert sentinels.primary().address == new
    assert sorted(sentinels.published()[len(before) :]) == sorted(ids)


class Cluster:
    """A cluster, and a sender for each partition to a service that knows all of its nodes."""

    def __init__(self, key_store: KeyStore) -> None:
        self._stack = ExitStack()
        self.setup = self._stack.enter_context(ClusterSetup())
        for node in self.setup.nodes:
            let_in(node)
        self.url = with_login(self.setup.url)
        self.service = self._stack.enter_context(key_store.service(self.url, stream_partitions=PARTITIONS))
        self.senders: dict[int, Sender] = {}
        while len(self.senders) < PARTITIONS:
            sender = self._stack.enter_context(closing(key_store.sender(self.service, self.setup.nodes[0])))
            self.senders[partition_of(sender.minted.project_id, PARTITIONS)] = sender

    def close(self) -> None:
        """Stop them all."""
        self._stack.close()

    def key(self, partition: int) -> str:
        """Name a partition's stream."""
        return f"vigilry:{{{partition}}}:events"

    def node(self, partition: int) -> Valkey:
        """Return the node that serves a partition."""
        return self.setup.primary_of(self.key(partition))

    def entries(self, partition: int) -> list[dict[bytes, bytes]]:
        """Read a partition's stream from its node."""
        return [
            fields | {b"_id": entry_id}
            for entry_id, fields in entries_of(self.node(partition), self.key(partition))
        ]

    def published(self, partition: int) -> list[str]:
        """Return the jobIds on a partition's stream."""
        return [job_id_of_entry(fields[b"_id"]) for fields in self.entries(partition)]

    def begin_move(self, partition: int, target: Valkey | None = None) -> tuple[Valkey, Valkey]:
        """Begin to move a partition's slot to another node; return both nodes."""
        source = self.node(partition)
        if target is None:
            running = [first if first is not source else None for first, _ in self.setup.shards]
            target = next(node for node in running if node and self._is_primary(node))
        slot = key_slot(self.key(partition).encode())
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.ask("CLUSTER MYID"))
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", target.ask("CLUSTER MYID"))
        return source, target

    def move(self, partition: int, source: Valkey, target: Valkey) -> None:
        """Move all keys of a partition's slot."""
        slot = key_slot(self.key(partition).encode())
        for key in source.ask("CLUSTER GETKEYSINSLOT", slot, 1000):
            source.ask("MIGRATE", HOST, target.port, key, 0, 5000)

    def end_move(self, partition: int, target: Valkey) -> None:
        """Assign a partition's slot to a node, on all nodes."""
        slot = key_slot(self.key(partition).encode())
        others = [node for node in self.setup.nodes if self._is_primary(node) and node is not target]
        for node in [target, *others]:
            node.ask("CLUSTER SETSLOT", slot, "NODE", target.ask("CLUSTER MYID"))
        wait_until(lambda: self.node(partition) is target, 10, "the slot has moved")

    def _is_primary(self, node: Valkey) -> bool:
        return bool(node.ask("ROLE")[0] == "master")


@pytest.fixture(scope="module")
def cluster(key_store: KeyStore) -> Iterator[Cluster]:
    with closing(Cluster(key_store)) as cluster:
        yield cluster


def test_a_clusters_events_land_on_the_nodes_of_their_partitions_and_in_order(cluster: Cluster) -> None:
    def send(partition: int) -> list[str]:
        return job_ids(post(cluster.senders[partition], number) for number in range(25))

    sent = at_once(send, range(PARTITIONS))
    for partition in range(PARTITIONS):
        assert cluster.published(partition) == sent[partition]
        projects = {entry[b"project_id"].decode() for entry in cluster.entries(partition)}
        assert projects == {cluster.senders[partition].minted.project_id}
        messages = [entry[b"message"].decode() for entry in cluster.entries(partition)]
        assert messages == [f"event {number}" for number in range(25)]
    nodes = {cluster.node(partition).port: cluster.node(partition) for partition in range(PARTITIONS)}
    assert len(nodes) == 3
    for node in nodes.values():
        assert users_of(node) == {USER}


def test_the_commands_see_every_node_of_a_cluster(cluster: Cluster, key_store: KeyStore) -> None:
    for partition in (0, PARTITIONS - 1):
        assert_tails(cluster.senders[partition], cluster.url, PARTITIONS)
    settings = {
        "REDIS_URL": cluster.url,
        "STREAM_PARTITIONS": str(PARTITIONS),
        "DATABASE_URL": key_store.url,
        "DURABILITY": "replicas:1",
    }
    looked = flask("doctor", **settings)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    for partition in range(PARTITIONS):
        assert f"{HOST}:{cluster.node(partition).port}" in looked.stdout
    assert PASSWORD not in looked.stdout


def test_a_killed_primary_of_a_cluster_is_replaced_without_a_restart(cluster: Cluster) -> None:
    for sender in cluster.senders.values():
        wait_accepted(lambda sender=sender: post(sender, "before"))  # type: ignore[misc]  # bound now
    before = {partition: cluster.published(partition) for partition in range(PARTITIONS)}
    primary = cluster.node(0)
    replica = cluster.setup.replica_of(primary)
    offset = primary.ask("INFO", "replication")["master_repl_offset"]
    wait_until(
        lambda: replica.ask("INFO", "replication")["slave_repl_offset"] >= offset, 10, "the replica has all"
    )
    primary.kill()
    assert_503(post(cluster.senders[0]), "broker_unavailable", "broker_timeout", "broker_cluster_down")
    cluster.setup.wait_failover(primary)
    for partition, sender in cluster.senders.items():
        answers = [wait_accepted(lambda sender=sender: post(sender, "after"))]  # type: ignore[misc]
        answers += at_once(lambda number, sender=sender: post(sender, number), range(8))  # type: ignore[misc]
        ids = cluster.published(partition)
        assert ids[: len(before[partition])] == before[partition]
        assert sorted(ids[len(before[partition]) :]) == sorted(job_ids(answers))
    primary.start()
    let_in(primary)
    cluster.setup.wait_ok()
    assert post(cluster.senders[0], "later").status_code == 202


def assert_once(cluster: Cluster, partition: int, before: list[str], answers: list[httpx.Response]) -> None:
    """Check that a partition has what it had before, and each accepted event once."""
    assert cluster.published(partition) == before + job_ids(answers)


def test_a_partition_whose_slot_was_given_to_another_node_by_hand_is_found_there(cluster: Cluster) -> None:
    partition = 1
    before = cluster.published(partition)
    sender = cluster.senders[partition]
    source, target = cluster.begin_move(partition)
    cluster.move(partition, source, target)
    cluster.end_move(partition, target)
    answers = [post(sender, "first"), *(post(sender, number) for number in range(5))]
    assert_once(cluster, partition, before, answers)
    assert cluster.node(partition) is target
    keyed = [post(sender, "keyed", "moved") for _ in range(3)]
    assert len(set(job_ids(keyed))) == 1
    assert_once(cluster, partition, before, [*answers, keyed[0]])


def test_many_at_once_find_a_partition_that_was_moved_by_hand(cluster: Cluster) -> None:
    partition = 2
    before = cluster.published(partition)
    sender = cluster.senders[partition]
    source, target = cluster.begin_move(partition)
    cluster.move(partition, source, target)
    cluster.end_move(partition, target)
    ids = job_ids(at_once(lambda number: post(sender, number), range(64)))
    assert sorted(cluster.published(partition)) == sorted(before + ids)


def test_a_batch_finds_a_partition_that_was_moved_by_hand(cluster: Cluster) -> None:
    partition = 1
    before = cluster.published(partition)
    sender = cluster.senders[partition]
    source, target = cluster.begin_move(partition)
    cluster.move(partition, source, target)
    cluster.end_move(partition, target)
    answer = sender.post("batch", {"events": [an_example(number) for number in range(300)]})
    assert answer.json()["accepted"] == 300, answer.text
    ids = [result["jobId"] for result in answer.json()["results"]]
    assert cluster.published(partition) == before + ids


def test_a_partition_that_is_being_moved_takes_each_event_once(cluster: Cluster) -> None:
    partition = 3
    sender = cluster.senders[partition]
    (known,) = job_ids([post(sender, "known", "known")])
    before = cluster.published(partition)
    source, target = cluster.begin_move(partition)
    answers = [post(sender, f"at the source {number}") for number in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    source.ask("MIGRATE", HOST, target.port, cluster.key(partition), 0, 5000)
    answers += [post(sender, f"on its way {number}") for number in range(3)]
    answers += at_once(lambda number: post(sender, f"on its way {number}"), range(3, 8))
    # A stream and its keys are on two nodes now, and no node can do both in one step.
    for key in ("known", "new"):
        answer = post(sender, key, key)
        if answer.status_code != 202:
            assert_503(answer, "broker_cluster_down")
    cluster.move(partition, source, target)
    answers += [post(sender, f"all moved {number}") for number in range(3)]
    cluster.end_move(partition, target)
    answers += [post(sender, f"at the target {number}") for number in range(3)]
    ids = job_ids(answers)
    replayed = wait_accepted(lambda: post(sender, "known", "known"))
    assert job_ids([replayed]) == [known]
    ids += job_ids([wait_accepted(lambda: post(sender, "new", "new"))])
    assert sorted(cluster.published(partition)) == sorted(before + ids)
    assert cluster.node(partition) is target


def client_ids(node: Valkey) -> set[str]:
    """Return the ids of a server's connections, without that of the query."""
    with node.client() as client:
        own = str(client.client_id())
        return {each["id"] for each in client.client_list()} - {own}


def test_connections_to_a_node_that_serves_no_partition_any_more_are_closed(cluster: Cluster) -> None:
    def publish(partition: int) -> None:
        project = next(name for name in iter(new_project, None) if partition_of(name, 2) == partition)
        publisher.publish(an_event(project))

    if cluster.node(1) is cluster.node(0):
        source, target = cluster.begin_move(1)
        cluster.move(1, source, target)
        cluster.end_move(1, target)
    left, kept = cluster.node(1), cluster.node(0)
    before = client_ids(left)
    publisher = publisher_on(cluster.url, partitions=2)
    for partition in (0, 1):
        publish(partition)
    opened = client_ids(left) - before
    assert opened
    cluster.begin_move(1, kept)
    cluster.move(1, left, kept)
    cluster.end_move(1, kept)

    def are_closed() -> bool:
        # The first is redirected, and a later one finds the partition by the new table.
        publish(1)
        return not opened & client_ids(left)

    wait_until(are_closed, 5, "the connections are closed")
    publisher.close()


def test_a_broker_that_is_away_is_told_in_one_line_in_each_form() -> None:
    for url in (
        f"redis://{LOGIN}{HOST}:1",
        f"redis+sentinel://{LOGIN}{HOST}:1,{HOST}:2/vigilry",
        f"redis+cluster://{LOGIN}{HOST}:1,{HOST}:2",
    ):
        line = failure_of("events", "tail", "-n", "1", REDIS_URL=url)
        assert PASSWORD not in line
        assert len(line) < 300, line


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def behind_tls(tls: Tls) -> Iterator[Valkey]:
    with Valkey(tls=tls, requirepass="door", user=User(USER, PASSWORD)) as server:
        yield server


def test_a_broker_behind_tls_is_reached_with_its_authority_and_a_login(
    key_store: KeyStore, behind_tls: Valkey
) -> None:
    with (
        key_store.service(behind_tls.url) as service,
        closing(key_store.sender(service, behind_tls)) as sender,
    ):
        ids = job_ids(at_once(lambda number: post(sender, number), range(32)))
        assert sorted(published_ids(sender)) == sorted(ids)
        assert users_of(behind_tls) == {USER}
        assert_tails(sender, behind_tls.url)


def test_a_broker_with_another_authority_is_refused_and_gets_nothing(
    behind_tls: Valkey, tmp_path: Path
) -> None:
    stranger = make_tls(tmp_path)
    assert behind_tls.tls
    for url in (
        behind_tls.url.replace(str(behind_tls.tls.ca), str(stranger.ca)),
        behind_tls.url.partition("?")[0],
        behind_tls.url.replace("127.0.0.1:", "ip6-localhost:") + "&ssl_check_hostname=true",
    ):
        publisher = publisher_on(url)
        project = new_project()
        assert refusal_of(publisher, an_event(project)).code == "broker_unavailable"
        publisher.close()
        assert not [entry for _, entry in entries_of(behind_tls) if entry[b"project_id"] == project.encode()]


@pytest.mark.parametrize("protocol", [2, 3])
def test_every_option_of_a_url_is_taken_by_the_publisher_and_by_the_commands(
    behind_tls: Valkey, protocol: int
) -> None:
    tls = behind_tls.tls
    assert tls
    options = f"db=0&client_name=shop&protocol={protocol}"
    encrypted = (
        f"&ssl_ca_path={tls.ca.parent}&ssl_certfile={tls.cert}&ssl_keyfile={tls.key}&ssl_password=none"
        "&ssl_cert_reqs=required&ssl_check_hostname=yes&ssl_ciphers=HIGH"
    )
    with Valkey(tcp=True) as plain:
        for broker, url in (
            (plain, f"unix://{plain.socket_path}?{options}"),
            (plain, f"{plain.tcp_url}?{options}&socket_keepalive=yes"),
            (behind_tls, f"{behind_tls.url}&{options}&socket_keepalive=no{encrypted}"),
        ):
            publisher = publisher_on(url)
            published = publisher.publish(an_event(new_project()))
            with broker.client() as client:
                clients: Any = client.client_list()
            assert "shop" in [each["name"] for each in clients]
            publisher.close()
            with open_client(url, timeout_s=1.0) as client:
                assert job_id_of_entry(client.xrevrange(STREAM, count=1)[0][0]) == published.job_id


@pytest.mark.parametrize(
    "url",
    ["rediss://{login}{host}", "rediss+cluster://{login}{host}", "rediss+sentinel://{login}{host}/vigilry"],
    ids=["single", "cluster", "sentinel"],
)
def test_nothing_goes_out_in_plain_text_where_tls_is_asked_for(url: str) -> None:
    received: list[bytes] = []

    def listen() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            received.append(connection.recv(65536))

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=listen)
        thread.start()
        address = f"{HOST}:{listener.getsockname()[1]}"
        publisher = publisher_on(url.format(login=LOGIN, host=address), timeout_s=0.5)
        assert refusal_of(publisher, an_event(new_project())).code == "broker_unavailable"
        publisher.close()
        thread.join(10)
    # A TLS record of a handshake, its version 3.x (RFC 8446, section 5.1).
    assert received[0][:2] == b"\x16\x03", received


SIGNS = "p@ss:w/rd%?#&=ü"


def test_a_password_of_any_signs_is_taken_when_it_is_escaped() -> None:
    with Valkey(tcp=True) as broker:
        broker.ask("ACL SETUSER", USER, "on", f">{SIGNS}", "allkeys", "+@all")
        broker.ask("ACL SETUSER", "default", ">door", "resetpass", ">door")
        broker.requirepass = "door"
        login = f"{USER}:{quote(SIGNS, safe='')}@"
        for url in (
            f"redis://{login}{HOST}:{broker.port}",
            f"redis://{login}{HOST}:{broker.port}/0",
            f"redis://{HOST}:{broker.port}/0?username={USER}&password={quote(SIGNS, safe='')}",
            f"unix://{login}{broker.socket_path}",
        ):
            publisher = publisher_on(url)
            published = publisher.publish(an_event(new_project()))
            assert job_id_of_entry(entries_of(broker, STREAM)[-1][0]) == published.job_id
            assert users_of(broker) == {USER}
            publisher.close()
