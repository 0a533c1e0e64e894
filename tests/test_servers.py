"""The test servers themselves: what is killed, frozen, cut or restarted behaves as the other tests assume."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import pytest
import redis
import sqlalchemy as sa

from tests.servers.cluster import ClusterSetup
from tests.servers.gunicorn import Service
from tests.servers.postgres import Postgres
from tests.servers.process import Process
from tests.servers.proxy import TcpProxy
from tests.servers.sentinel import SentinelSetup
from tests.servers.tls import make_tls
from tests.servers.valkey import User, Valkey, connect
from tests.servers.waiting import wait_until


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


def one(url: str) -> object:
    """Ask a database for 1 on a connection of its own."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": 5})
    with engine.connect() as connection:
        return connection.scalar(sa.text("SELECT 1"))


def runs(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


@pytest.mark.parametrize("unix", [True, False])
def test_a_killed_valkey_restarts_at_the_same_address_with_its_data(unix: bool) -> None:
    with Valkey(unix=unix, tcp=not unix, appendfsync="always") as server:
        url = server.url
        server.ask("SET", "kept", "yes")
        server.kill()
        assert not server.alive
        server.restart()
        assert server.url == url
        assert server.ask("GET", "kept") == "yes"


def test_a_frozen_valkey_does_not_answer_until_it_is_thawed() -> None:
    with Valkey() as server, server.client(socket_timeout=0.2) as client:
        server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.thaw()
        assert client.ping()


def test_a_frozen_server_can_be_stopped_and_killed() -> None:
    with Valkey() as server:
        server.freeze()
        server.stop()
        assert not server.alive
        server.start()
        server.freeze()
        server.kill()
        assert not server.alive


def test_a_valkey_with_a_password_and_a_user_lets_only_them_in() -> None:
    with Valkey(requirepass="door", user=User("ann", "key", "~own:* +@all"), maxmemory="64mb") as server:
        with server.client() as client:
            assert client.acl_whoami() == "ann"
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.set("others", "1")
        with connect(f"unix://{server.socket_path}") as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert server.ask("CONFIG GET", "maxmemory") == {"maxmemory": str(64 * 1024 * 1024)}


def test_a_replica_follows_its_primary() -> None:
    with Valkey(tcp=True) as primary, Valkey(replica_of=primary) as replica:
        primary.wait_replicas(1)
        primary.ask("SET", "copied", "yes")
        wait_until(lambda: replica.ask("GET", "copied") == "yes", 5, "the replica has the key")


def test_a_valkey_behind_tls_is_reached_by_rediss_and_comes_back_there(tmp_path: Path) -> None:
    with Valkey(tls=make_tls(tmp_path), requirepass="door") as server:
        assert server.url.startswith("rediss://:door@127.0.0.1:")
        with server.client() as client:
            assert client.set("long", "x" * 1_000_000)
            server.kill()
            with pytest.raises(redis.ConnectionError):
                client.ping()
            server.restart()
            assert client.strlen("long") == 1_000_000


def test_a_server_that_ends_before_it_is_ready_says_why() -> None:
    with pytest.raises(AssertionError, match=r"(?s)ended before Valkey answers.*no-such-setting"):
        Valkey(settings={"no-such-setting": "1"}).start()


def test_closing_a_server_leaves_no_process_and_no_folder() -> None:
    script = "sleep 100 & sleep 100 & echo started; wait"
    with Process(["/bin/sh", "-c", script]) as process:
        process.wait_for(lambda: "started" in process.log_text(), "the shell runs")
        assert len(process.children()) == 2
        tree = [process.pid, *process.children()]
    assert not any(runs(pid) for pid in tree)
    assert not process.folder.exists()


def test_sentinels_name_the_replica_when_the_primary_is_killed() -> None:
    with SentinelSetup() as setup:
        old = setup.kill_primary()
        new = setup.wait_failover(old)
        assert new != old
        assert setup.server_at(new).ask("SET", "written", "yes")
        setup.server_at(old).restart()
        setup.server_at(new).wait_replicas(1)
        assert setup.primary() == new


def test_a_cluster_promotes_the_replica_of_a_killed_primary() -> None:
    with ClusterSetup() as setup, redis.RedisCluster.from_url(setup.nodes[0].url) as client:
        client.set("kept", "yes")
        client.execute_command("WAIT", 1, 2000, target_nodes=client.get_node_from_key("kept"))
        old = setup.kill_primary_of("kept")
        new = setup.wait_failover(old)
        assert setup.primary_of("kept") is new
        assert client.get("kept") == b"yes"
        old.restart()
        setup.wait_ok()
        assert setup.primary_of("kept") is new


def test_postgres_stops_and_restarts_at_the_same_address_with_its_data(postgres: Postgres) -> None:
    url = postgres.new_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept AS SELECT 7 AS number"))
    postgres.stop()
    with pytest.raises(sa.exc.OperationalError):
        one(url)
    postgres.start()
    postgres.kill()
    postgres.restart()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT number FROM kept")) == 7


def test_a_frozen_postgres_does_not_answer_until_it_is_thawed(postgres: Postgres) -> None:
    engine = sa.create_engine(postgres.new_database())
    with engine.connect() as connection:
        connection.scalar(sa.text("SELECT 1"))
        postgres.freeze()
        asker = threading.Thread(target=connection.scalar, args=(sa.text("SELECT 1"),))
        asker.start()
        asker.join(0.3)
        assert asker.is_alive()
        postgres.thaw()
        asker.join(5)
        assert not asker.is_alive()
    engine.dispose()


def test_databases_are_apart_and_can_be_reached_through_a_proxy(postgres: Postgres) -> None:
    with TcpProxy(postgres.socket_path) as proxy:
        url = postgres.new_database(proxy.address)
        assert url != postgres.new_database(proxy.address)
        assert one(url) == 1
        proxy.cut()
        with pytest.raises(sa.exc.OperationalError):
            one(url)


@pytest.mark.parametrize("bind", ["unix", None])
def test_a_service_gets_only_its_own_settings_and_reloads(
    bind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGILRY_FOREIGN", "1")
    service = Service({"VIGILRY_OWN": 2}, workers=2, bind=bind, app="tests.servers.probe:app", config=None)
    with service, service.client() as client:
        answer = client.get("/where").text.splitlines()
        before = set(service.worker_pids())
        assert int(answer[0]) in before
        assert "VIGILRY_OWN=2" in answer
        assert "VIGILRY_FOREIGN=1" not in answer
        # A worker that is still being born does not hear yet that it is to end.
        answered: set[int] = set()

        def all_have_answered() -> bool:
            with service.client() as other:
                answered.add(int(other.get("/where").text.splitlines()[0]))
            return answered == before

        wait_until(all_have_answered, 10, "every worker has answered")
        service.reload()
        wait_until(lambda: not before & set(service.worker_pids()), 10, "the workers are new")
        assert client.get("/").is_success
