"""Every command either only reads or leaves a row in the audit log, and no row holds a secret."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy import inspect, text

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Running
from tests.fixtures.databases import dispose
from tests.fixtures.partitions import make_plain
from tests.fixtures.publishing import an_event, publisher_on
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.stored_events import delivered, store
from vigilry_ingest.app import create_app
from vigilry_ingest.cli.recording import recorded_actions
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.stream.redis_keys import dead_key, events_key
from vigilry_ingest.webhooks.encryption import new_key

# Commands that change nothing which an administrator decides. A command that does gets `@records` instead.
READ_ONLY = {
    "admin serve",
    "admin-keys list",
    "audit list",
    "audit verify",
    "db compact",
    "doctor",
    "events dead list",
    "events dead show",
    "events groups",
    "events list",
    "events show",
    "events stats",
    "events tail",
    "keys list",
    "projects list",
    "secrets new-key",
    "sources list",
    "sources show",
    "sources test",
    "worker",
}
PERSON = "usr_9_of_the_audit"
SECRETS = ("whsec_first_of_the_audit", "whsec_second_of_the_audit")


def commands_of(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group and its groups, by what is typed."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands_of(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands_of(create_app(Config()).cli))
CHANGING = {name: recorded_actions(command) for name, command in COMMANDS.items() if name not in READ_ONLY}


def test_every_command_is_known_to_read_only_or_declares_what_it_records() -> None:
    assert set(COMMANDS) >= READ_ONLY
    assert {name for name, actions in CHANGING.items() if not actions} == set()
    assert {name for name in READ_ONLY if recorded_actions(COMMANDS[name])} == set()


class Ops:
    """Runs changing commands, and checks that each records what it declares, under the name it was given."""

    def __init__(self, url: str, broker: Valkey, folder: Path) -> None:
        self.engine = make_engine(url)
        self.broker = broker
        self.keys = [new_key()]
        self._url = url
        # Each way to give a name is tried with one kind of database.
        self._has_setting = url.startswith("postgresql")
        self._secret_file = folder / "secret"
        self.done: set[str] = set()
        self.output = ""

    def run(self, name: str, *words: str, secret: str = "") -> list[str]:
        """Run a command, and return the ids that its rows are about."""
        if secret:
            self._secret_file.write_text(secret)
            words = (*words, "--secret-file", str(self._secret_file))
        before = self.last_id()
        actor = f"ada of {name}"
        settings: dict[str, Any] = {"secrets_keys": ",".join(self.keys), "key_cache_ttl_s": 0}
        if self._has_setting:
            settings["actor"] = actor
        else:
            words = (*words, "--as", actor)
        with Commands(redis_url=self.broker.url, database_url=self._url, **settings) as commands:
            self.output += commands.well(*name.split(), *words)
        with self.engine.connect() as connection:
            rows = connection.execute(
                text("SELECT action, actor, target_id FROM audit_log WHERE id > :id ORDER BY id"),
                {"id": before},
            ).all()
        assert {row.actor for row in rows} == {actor}
        assert set(CHANGING[name]) >= {row.action for row in rows}
        self.done |= {f"{name}: {row.action}" for row in rows}
        return [row.target_id for row in rows]

    def last_id(self) -> int:
        """Return the newest row's id, or 0."""
        if not inspect(self.engine).has_table("audit_log"):
            return 0
        with self.engine.connect() as connection:
            return connection.scalar(text("SELECT max(id) FROM audit_log")) or 0


@pytest.fixture
def broker() -> Iterator[Valkey]:
    with Valkey(appendonly=False) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def ops(request: pytest.FixtureRequest, tmp_path: Path, broker: Valkey) -> Iterator[Ops]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/vigilry.db"
    else:
        url = request.getfixturevalue("postgres").new_database()
    ops = Ops(url, broker, tmp_path)
    ops.run("db upgrade")
    yield ops
    dispose(ops.engine)


def dead_letter(broker: Valkey, project: str) -> None:
    """Let a group give up on an event."""

    def fail(_events: object) -> None:
        raise ValueError(f"no {PERSON}")

    publisher = publisher_on(broker.url)
    publisher.publish(an_event(project, PERSON))
    publisher.close()
    with Running(broker.url, fail, group="store", deliveries=1):
        wait_until(lambda: broker.ask("XLEN", dead_key(0)) == 1, 10.0, "the event is dead")


def run_keys_and_projects(ops: Ops) -> str:
    """Run the commands of keys and projects, and return the project's id."""
    project, key = ops.run("keys mint", "shop", "--name", "web")
    ops.run("keys revoke", ops.run("keys rotate", key)[1])
    ops.run("projects rename", "shop", "store")
    ops.run("projects archive", "store")
    ops.run("projects unarchive", "store")
    ops.run("projects limit", "store", "--per-second", "5")
    ops.run("projects retain", "store", "--days", "30")
    ops.run("projects scrub", "store", "--default")
    return project


def run_admin_keys(ops: Ops) -> None:
    """Run the commands of admin keys."""
    (key,) = ops.run("admin-keys mint", "ci", "--scope", "read")
    ops.run("admin-keys revoke", key)


def run_sources(ops: Ops) -> None:
    """Run the commands of sources and their secrets."""
    (source,) = ops.run("sources add", "store", "--provider", "stripe", secret=SECRETS[0])
    ops.run("sources rotate", source, secret=SECRETS[1])
    ops.run("sources disable", source)
    ops.run("sources enable", source)
    ops.keys.insert(0, new_key())
    assert len(ops.run("secrets rotate")) == 2
    ops.run("sources remove", source)


def run_events(ops: Ops, project: str) -> None:
    """Run the commands of events."""
    for verb, more in (("retry", ()), ("drop", ("--yes",))):
        dead_letter(ops.broker, project)
        assert len(ops.run(f"events dead {verb}", "--all", *more)) == 1
        ops.broker.ask("FLUSHALL")
    ops.broker.ask("XGROUP", "CREATE", events_key(0), "chat", "$", "MKSTREAM")
    store(ops.engine, delivered(project, correlation={"user_id": PERSON}), delivered(project, days_old=60))
    ops.run("events replay", "--group", "chat")
    ops.run("events regroup")
    ops.run("events forget-group", "chat", "--yes")
    ops.run("events purge", "--yes")
    ops.run("events erase", "--project", "store", "--correlation", f"user_id={PERSON}", "--yes")


def test_each_changing_command_leaves_the_rows_it_declares_and_none_holds_a_secret(ops: Ops) -> None:
    project = run_keys_and_projects(ops)
    run_admin_keys(ops)
    run_sources(ops)
    run_events(ops, project)
    ops.run("projects delete", "store", "--confirm", "store")
    if ops.engine.dialect.name == "postgresql":
        make_plain(ops.engine)
        ops.run("db partition")
    expected = {f"{name}: {action}" for name, actions in CHANGING.items() for action in actions}
    # There are no partitions on SQLite.
    assert ops.done | {"db partition: db.partition"} == expected
    minted = {word for word in ops.output.split() if word.startswith(("vig_live_", "vig_admin_"))}
    assert len(minted) >= 3
    with ops.engine.connect() as connection:
        written = "\n".join(map(str, connection.execute(text("SELECT * FROM audit_log"))))
    for secret in (*SECRETS, *ops.keys, *minted, PERSON, "vig_live_", "vig_admin_"):
        assert secret not in written


def test_without_a_name_the_setting_is_recorded_and_without_it_user_and_host(ops: Ops) -> None:
    for settings in ({"actor": "configuration management"}, {}):
        with Commands(database_url=str(ops.engine.url), **settings) as commands:
            commands.well("keys", "mint", "shop")
            (entry,) = commands.json("audit", "list", "-n", "1")
        assert (entry["actor"] == settings.get("actor")) is bool(settings)
        assert settings or "@" in entry["actor"]


def test_an_unprintable_name_is_refused(ops: Ops) -> None:
    with Commands(database_url=str(ops.engine.url)) as commands:
        for name in ("", " ", "a\nb", "a" * 201):
            before = ops.last_id()
            assert commands.run("keys", "mint", "shop", "--as", name).exit_code == 2
            assert ops.last_id() == before
