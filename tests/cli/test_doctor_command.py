"""``flask doctor``: each thing that endangers events is seen on a real server, and named."""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.databases import KeyStore, dispose, new_database
from tests.fixtures.flask_commands import flask, on_terminal, on_terminal_of
from tests.fixtures.servers.postgres import Postgres
from tests.fixtures.servers.proxy import TcpProxy
from tests.fixtures.servers.sentinel import SentinelSetup
from tests.fixtures.servers.valkey import HOST, User, Valkey
from vigilry_ingest.app import create_app
from vigilry_ingest.config.settings import Config
from vigilry_ingest.services import services
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.migrate import upgrade

MEMORY = ("maxmemory", "1gb")


class Report(NamedTuple):
    """What the doctor said: its exit code, and its findings as (level, subject, text)."""

    exit_code: int
    findings: list[tuple[str, str, str]]

    def of(self, level: str) -> list[str]:
        """Return the subjects and texts of one level."""
        return [f"{subject}: {text}" for each, subject, text in self.findings if each == level]


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    """Run a broker that is set up as it should be."""
    with Valkey(tcp=True, settings=dict([MEMORY])) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_of_its_own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Return a migrated database of each kind, to be spoilt."""
    engine = make_engine(new_database(request.param, request, tmp_path))
    yield engine
    dispose(engine)


def execute(engine: Engine, *statements: str) -> None:
    """Change a database as its owner."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@contextmanager
def changed(broker: Valkey, name: str, value: str) -> Iterator[None]:
    """Change a broker's setting for a while."""
    before = broker.ask("CONFIG GET", name)[name]
    broker.ask("CONFIG SET", name, value)
    try:
        yield
    finally:
        broker.ask("CONFIG SET", name, before)


def look(broker_url: str, database_url: str, role: str | None = None, **settings: Any) -> Report:
    """Run the doctor in this process, and read its JSON."""
    app = create_app(Config(redis_url=broker_url, database_url=database_url, **settings))
    result = app.test_cli_runner().invoke(args=["doctor", "--json", *(["--role", role] if role else [])])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    with app.app_context():
        dispose(services().engine)
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    for finding in findings:
        assert finding.keys() == {"level", "subject", "text"}
    return Report(result.exit_code, [(each["level"], each["subject"], each["text"]) for each in findings])


def assert_danger(report: Report, *words: str) -> None:
    """Check that there is exactly one danger, and that it says these words."""
    (danger,) = report.of("danger")
    for word in words:
        assert word in danger
    assert report.exit_code == 1


def assert_warning(report: Report, *words: str) -> None:
    """Check that there is no danger and exactly one warning, and that it says these words."""
    (warning,) = report.of("warning")
    for word in words:
        assert word in warning
    assert report.of("danger") == []
    assert report.exit_code == 0


def assert_well(report: Report) -> None:
    """Check that all is right."""
    assert {level for level, _, _ in report.findings} == {"ok"}, report
    assert report.exit_code == 0


def test_a_good_setup_is_called_good(broker: Valkey, key_store: KeyStore) -> None:
    report = look(broker.url, key_store.url)
    assert_well(report)
    said = " ".join(report.of("ok"))
    for word in ("database", "Valkey", "noeviction", "append-only file", "replicas", "clock"):
        assert word in said


def test_the_report_for_people_has_a_line_for_each_finding(broker: Valkey, key_store: KeyStore) -> None:
    looked = flask("doctor", REDIS_URL=broker.url, DATABASE_URL=key_store.url)
    assert (looked.returncode, looked.stderr) == (0, "")
    lines = looked.stdout.splitlines()
    assert len(lines) == len(look(broker.url, key_store.url).findings)
    assert all(line.startswith("ok ") for line in lines)


def test_on_a_terminal_the_report_is_in_colour_unless_that_is_not_wanted(
    broker: Valkey, key_store: KeyStore
) -> None:
    settings = {"REDIS_URL": broker.url, "DATABASE_URL": key_store.url}
    assert "\x1b[" in on_terminal("doctor", **settings)[1]
    assert "\x1b[" not in on_terminal_of(80, {"NO_COLOR": "1"}, "doctor", **settings)[1]


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_broker_that_evicts_is_a_danger(broker: Valkey, key_store: KeyStore, policy: str) -> None:
    with changed(broker, "maxmemory-policy", policy):
        assert_danger(look(broker.url, key_store.url), "broker", policy, "noeviction")


def test_a_broker_that_may_use_all_memory_is_a_warning(broker: Valkey, key_store: KeyStore) -> None:
    with changed(broker, "maxmemory", "0"):
        assert_warning(look(broker.url, key_store.url), "broker", "maxmemory")


@pytest.mark.parametrize("durability", ["memory", "fsync"])
def test_a_broker_without_an_append_only_file_is_a_danger(
    broker: Valkey, key_store: KeyStore, durability: str
) -> None:
    with changed(broker, "appendonly", "no"):
        assert_danger(look(broker.url, key_store.url, durability=durability), "broker", "appendonly yes")


def test_a_broker_that_never_syncs_is_a_danger(broker: Valkey, key_store: KeyStore) -> None:
    with changed(broker, "appendfsync", "no"):
        assert_danger(look(broker.url, key_store.url), "broker", "appendfsync")


def test_a_broker_that_syncs_each_second_is_a_warning_where_senders_wait_for_it(
    broker: Valkey, key_store: KeyStore
) -> None:
    assert_warning(look(broker.url, key_store.url, durability="fsync"), "broker", "everysec", "always")
    assert_well(look(broker.url, key_store.url, durability="memory"))
    with changed(broker, "appendfsync", "always"):
        assert_well(look(broker.url, key_store.url, durability="fsync"))


def test_missing_replicas_are_a_danger_until_they_are_there(broker: Valkey, key_store: KeyStore) -> None:
    assert_danger(look(broker.url, key_store.url, durability="replicas:1"), "broker", "0 replicas", "1")
    with Valkey(replica_of=broker) as replica:
        broker.wait_replicas(1)
        assert_well(look(broker.url, key_store.url, durability="replicas:1"))
        assert_danger(look(broker.url, key_store.url, durability="replicas:2"), "broker", "1 replica", "2")
        replica.stop()
    assert_well(look(broker.url, key_store.url))


def test_a_broker_that_is_a_replica_itself_is_a_danger(broker: Valkey, key_store: KeyStore) -> None:
    with Valkey(replica_of=broker, settings=dict([MEMORY])) as replica:
        broker.wait_replicas(1)
        assert_danger(look(replica.url, key_store.url), "broker", "replica")


def test_a_broker_that_forbids_config_is_looked_at_as_far_as_it_lets(key_store: KeyStore) -> None:
    user = User("ann", "hush", "~vigilry:* +@all -config")
    with Valkey(user=user, settings=dict([MEMORY])) as broker:
        report = look(broker.url, key_store.url)
    assert report.of("danger") == []
    assert report.exit_code == 0


def test_a_broker_that_is_away_is_a_danger(key_store: KeyStore) -> None:
    with Valkey() as broker:
        broker.stop()
        assert_danger(look(broker.url, key_store.url), "No such file or directory (broker_unavailable).")


def test_a_broker_that_does_not_answer_is_a_danger_in_time(key_store: KeyStore) -> None:
    with Valkey() as broker, TcpProxy(broker.socket_path or broker.address) as proxy:
        proxy.stall()
        url = f"redis://{HOST}:{proxy.port}"
        assert_danger(look(url, key_store.url, publish_timeout_ms=200), "broker")


def test_a_wrong_password_is_a_danger_and_is_not_repeated(key_store: KeyStore) -> None:
    with Valkey(requirepass="door") as broker:
        for login in (":wr0ng@", ""):
            report = look(broker.url.replace(":door@", login), key_store.url)
            assert_danger(
                report, "broker", "(broker_unavailable).", "uthenticat" if not login else "user is disabled"
            )
            assert "wr0ng" not in str(report)


def test_every_server_that_holds_a_partition_is_looked_at(key_store: KeyStore) -> None:
    with SentinelSetup() as setup:
        primary = setup.server_at(setup.primary())
        primary.ask("CONFIG SET", *MEMORY)
        assert_well(look(setup.url, key_store.url, durability="replicas:1"))
        primary.ask("CONFIG SET", "maxmemory-policy", "allkeys-lru")
        assert_danger(look(setup.url, key_store.url), f"{HOST}:{primary.port}", "allkeys-lru")
        for sentinel in setup.sentinels:
            sentinel.stop()
        assert_danger(
            look(setup.url, key_store.url), "broker", "No master found for 'vigilry' (broker_unavailable)"
        )


def test_a_database_that_is_not_migrated_is_a_danger(broker: Valkey, tmp_path: Path) -> None:
    assert_danger(look(broker.url, f"sqlite:///{tmp_path}/new.db"), "database", "flask db upgrade")


def test_a_database_that_is_not_migrated_is_a_danger_on_postgresql(
    broker: Valkey, postgres: Postgres
) -> None:
    assert_danger(look(broker.url, postgres.new_database()), "database", "flask db upgrade")


@pytest.mark.parametrize(
    "statement", ["DROP TABLE api_keys", "ALTER TABLE api_keys DROP COLUMN last_used_at"]
)
def test_a_table_that_is_no_longer_as_it_was_made_is_a_danger(
    broker: Valkey, database_of_its_own: Engine, statement: str
) -> None:
    execute(database_of_its_own, statement)
    url = database_of_its_own.url.render_as_string(hide_password=False)
    assert_danger(look(broker.url, url), "database", "api_keys", "restore")


def test_a_database_of_a_later_version_is_a_warning(broker: Valkey, database_of_its_own: Engine) -> None:
    execute(database_of_its_own, "UPDATE alembic_version SET version_num = '9999'")
    url = database_of_its_own.url.render_as_string(hide_password=False)
    assert_warning(look(broker.url, url), "database", "9999", "later version")


@pytest.mark.parametrize(
    ("revoked", "said"),
    [
        ("SELECT ON events", "permission denied for table events"),
        ("UPDATE ON api_keys", "lacks the privilege UPDATE on the table api_keys"),
        ("INSERT ON event_correlations", "lacks the privilege INSERT on the table event_correlations"),
        ("TEMPORARY ON DATABASE {database}", "temporary tables"),
    ],
)
def test_what_a_role_of_postgresql_may_not_do_is_a_danger(
    broker: Valkey, postgres: Postgres, revoked: str, said: str
) -> None:
    url = postgres.new_database()
    engine = make_engine(url)
    upgrade(engine)
    role = f"role_{engine.url.database}"
    execute(
        engine,
        f"CREATE ROLE {role} LOGIN",
        f"REVOKE ALL ON DATABASE {engine.url.database} FROM PUBLIC",
        f"GRANT ALL ON DATABASE {engine.url.database} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {role}",
    )
    url = url.replace("postgres@", f"{role}@")
    assert_well(look(broker.url, url))
    execute(engine, f"REVOKE {revoked.format(database=engine.url.database)} FROM {role}")
    assert_danger(look(broker.url, url), "database", said)
    dispose(engine)


def test_a_database_that_is_away_is_a_danger_and_its_password_is_not_told(broker: Valkey) -> None:
    with closing(TcpProxy((HOST, 1))) as proxy:
        url = f"postgresql+psycopg://ann:hush-hush@{HOST}:{proxy.port}/vigilry"
        report = look(broker.url, url)
    assert_danger(report, "database")
    assert "hush-hush" not in str(report)


def test_several_dangers_are_all_told(tmp_path: Path) -> None:
    with Valkey(appendonly=False, settings={"maxmemory-policy": "allkeys-lru"}) as broker:
        looked = flask(
            "doctor",
            REDIS_URL=broker.url,
            DATABASE_URL=f"sqlite:///{tmp_path}/new.db",
            DURABILITY="replicas:2",
        )
    assert looked.returncode == 1
    dangers = [line for line in looked.stdout.splitlines() if line.startswith("danger")]
    assert len(dangers) == 4
    for word, line in zip(("migrated", "allkeys-lru", "append-only", "replicas"), dangers, strict=True):
        assert word in line


def test_the_secrets_of_a_good_setup_are_not_told(key_store: KeyStore) -> None:
    with Valkey(requirepass="hush-hush", tcp=True, unix=False) as broker:
        for words in (("doctor",), ("doctor", "--json")):
            looked = flask(*words, REDIS_URL=broker.url, DATABASE_URL=key_store.url)
            assert looked.returncode == 0, looked.stdout
            assert "hush-hush" not in looked.stdout + looked.stderr


@pytest.mark.parametrize(
    "url",
    [
        # What was not escaped makes a port of a password.
        "redis://:hush/hush@127.0.0.1:6379",
        "redis://:hush#hush@127.0.0.1:6379",
        "redis://:hush?hush@127.0.0.1:6379",
        "redis+sentinel://ann:hush/hush@127.0.0.1:26379/vigilry",
        "redis+sentinel://ann:hush#hush@127.0.0.1:26379/vigilry",
        "redis+cluster://:hush/hush@127.0.0.1:6379",
        "redis://:hush@[127.0.0.1:6379",
        "redis://:hush@127.0.0.1:65536",
        "redis://:hush@127.0.0.1:6379?socket_timeout=hush",
        "http://:hush@127.0.0.1",
    ],
)
def test_the_secret_of_a_url_that_cannot_be_read_is_not_told(key_store: KeyStore, url: str) -> None:
    settings = {"VIGILRY_REDIS_URL": url, "VIGILRY_DATABASE_URL": key_store.url}
    with pytest.raises(ValueError, match="VIGILRY_REDIS_URL") as caught:
        create_app(Config.from_environ(settings))
    assert "hush" not in str(caught.value)


def test_the_secret_of_a_url_that_cannot_be_read_is_not_told_by_the_command(key_store: KeyStore) -> None:
    url = "redis+sentinel://ann:hush/hush@127.0.0.1:26379/vigilry"
    looked = flask("doctor", REDIS_URL=url, DATABASE_URL=key_store.url)
    assert looked.returncode != 0
    assert "VIGILRY_REDIS_URL" in looked.stderr
    assert "hush" not in looked.stdout + looked.stderr


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        ("~other:* +@all", "eval on vigilry:{*}:events"),
        ("~vigilry:{0}:* ~vigilry:members:* +@all", "eval on vigilry:{*}:events"),
        ("~vigilry:* +@all -@scripting", "eval on vigilry:{*}:events"),
        ("~vigilry:* +@all -xadd", "xadd on vigilry:{*}:events"),
        ("%R~vigilry:* +@all", "eval on vigilry:{*}:events"),
        ("~vigilry:* +@all -multi", "multi"),
        ("~vigilry:* +@all -info", "info"),
    ],
)
@pytest.mark.parametrize("role", ["web", None])
def test_a_user_that_may_connect_and_not_append_is_a_danger_with_the_line_to_set(
    key_store: KeyStore, rules: str, missing: str, role: str | None
) -> None:
    with Valkey(user=User("ann", "hush", rules), settings=dict([MEMORY])) as broker:
        broker.ask("XADD", "vigilry:{0}:events", "1-0", "id", "evt_1")
        before = broker.ask("INFO", "keyspace")
        report = look(broker.url, key_store.url, role, stream_partitions=3)
        dangers = report.of("danger")
        assert len(dangers) == (1 if role else 3)
        assert missing in dangers[0]
        assert "ann may not do what web needs" in dangers[0]
        line = dangers[0].partition("Set in the ACL: user ")[2]
        assert "hush" not in dangers[0]
        # What it says is right: with that line there is no danger any more.
        broker.ask("ACL", "SETUSER", *rules_of(line.replace("PASSWORD", "hush")))
        assert look(broker.url, key_store.url, "web", stream_partitions=3).of("danger") == []
        assert broker.ask("INFO", "keyspace") == before
        assert broker.ask("XLEN", "vigilry:{0}:events") == 1


def rules_of(line: str) -> list[str]:
    """Split a user's line into the arguments of ACL SETUSER; each selector is one of them."""
    name, *rules = re.findall(r"\([^)]*\)|\S+", line)
    return [name, "reset", *rules]


@pytest.mark.parametrize("role", ["worker", "operator"])
def test_a_role_that_lacks_a_permission_is_a_danger(key_store: KeyStore, role: str) -> None:
    with Valkey(user=User("ann", "hush", "~vigilry:* +@all -hset"), settings=dict([MEMORY])) as broker:
        report = look(broker.url, key_store.url, role)
        assert_danger(report, f"ann may not do what {role} needs: hset on vigilry:{{*}}:dead:index.")
        assert "may do what these roles need: web. For worker and operator" in str(
            look(broker.url, key_store.url)
        )
