"""The audit log: rows that were altered or are missing are found, and many writers make one chain."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.commands import Commands
from tests.fixtures.databases import dispose, new_database
from tests.fixtures.flask_commands import ROOT, command, environment
from vigilry_ingest.api_keys.projects import NameTaken, rename
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.actor import acting_as
from vigilry_ingest.storage.audit_log import NO_DIGEST
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries, verify
from vigilry_ingest.storage.engine import make_engine

ALTERATIONS = {
    "actor": "'eve'",
    "action": "'key.revoke'",
    "target_id": "'key_other'",
    "project_id": "NULL",
    "before": "'{}'",
    "after": "'{}'",
    "at": "'2026-01-01 00:00:00.000000'",
    "digest": f"'{NO_DIGEST}'",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return a database of the test's own."""
    return new_database(request.param, request, tmp_path)


@pytest.fixture
def own_engine(url: str) -> Iterator[Engine]:
    """Return an engine on a database with six rows of the log."""
    engine = make_engine(url)
    mint(engine, "shop", "production")
    for number in range(3):
        rename(engine, "shop" if number == 0 else f"shop {number - 1}", f"shop {number}")
    yield engine
    dispose(engine)


@pytest.fixture
def commands(own_engine: Engine, url: str) -> Iterator[Commands]:
    assert own_engine.url
    with Commands(database_url=url) as commands:
        yield commands


def change(engine: Engine, statement: str) -> None:
    """Do what the log is there to reveal."""
    with engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.usefixtures("through")
def test_an_untouched_log_is_verified(own_engine: Engine, commands: Commands) -> None:
    rows, head, faults = verify(own_engine)
    assert (rows, faults) == (6, ())
    assert commands.json("audit", "verify") == [{"ok": True, "rows": 6, "head": head, "faults": []}]
    assert head in commands.well("audit", "verify", "--expect-head", head)


@pytest.mark.parametrize("column", ALTERATIONS)
def test_an_altered_field_is_found(own_engine: Engine, column: str) -> None:
    change(own_engine, f"UPDATE audit_log SET {column} = {ALTERATIONS[column]} WHERE id = 4")  # noqa: S608  the test's own text
    assert verify(own_engine).faults[0].startswith("Row 4 was altered")


@pytest.mark.parametrize(
    ("removed", "fault"),
    [
        ("id = 1", "Row 1 is missing."),
        ("id = 3", "Row 3 is missing."),
        ("id IN (2, 3)", "Rows 2 to 3 are missing."),
    ],
)
@pytest.mark.usefixtures("through")
def test_a_missing_row_is_found(own_engine: Engine, commands: Commands, removed: str, fault: str) -> None:
    change(own_engine, f"DELETE FROM audit_log WHERE {removed}")  # noqa: S608  the test's own text
    assert verify(own_engine).faults == (fault,)
    done = commands.run("audit", "verify")
    assert done.exit_code == 1
    assert fault in done.stdout


def test_a_missing_row_is_found_although_the_ids_are_closed_up(own_engine: Engine) -> None:
    change(own_engine, "DELETE FROM audit_log WHERE id = 3")
    for id_ in (4, 5, 6):
        change(own_engine, f"UPDATE audit_log SET id = {id_ - 1} WHERE id = {id_}")  # noqa: S608  the test's own text
    assert verify(own_engine).faults[0].startswith("Row 3 was altered")


@pytest.mark.usefixtures("through")
def test_missing_newest_rows_are_found_by_an_earlier_digest_alone(
    own_engine: Engine, commands: Commands
) -> None:
    head = verify(own_engine).head
    mint(own_engine, "shop 2", "production")
    assert verify(own_engine, head).faults == ()
    change(own_engine, "DELETE FROM audit_log WHERE id > 5")
    assert verify(own_engine).faults == ()
    assert "newest rows are missing" in verify(own_engine, head).faults[0]
    done = commands.run("audit", "verify", "--json", "--expect-head", head.upper())
    assert (done.exit_code, '"ok": false' in done.stdout) == (1, True)
    change(own_engine, "DELETE FROM audit_log")
    assert verify(own_engine) == (0, NO_DIGEST, ())
    assert len(verify(own_engine, head).faults) == 1


def test_a_change_that_fails_leaves_no_row(own_engine: Engine) -> None:
    mint(own_engine, "other", "production")
    before = verify(own_engine)
    with pytest.raises(NameTaken):
        rename(own_engine, "other", "shop 2")
    assert verify(own_engine) == before


def test_processes_that_change_something_at_once_make_one_chain(own_engine: Engine, url: str) -> None:
    ready = environment(DATABASE_URL=url)
    minting = [
        subprocess.Popen(
            command("keys", "mint", f"project {number % 2}"),
            cwd=ROOT, env=ready, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for number in range(6)
    ]  # fmt: skip
    assert [each.communicate(timeout=60)[1] for each in minting] == [b""] * 6
    rows, _, faults = verify(own_engine)
    assert (rows, faults) == (6 + 6 + 2, ())


@pytest.mark.usefixtures("through")
def test_the_list_is_filtered_and_ordered(own_engine: Engine, commands: Commands) -> None:
    with acting_as("ada"):
        project = mint(own_engine, "ada's", "production").project_id
    lines = commands.json("audit", "list", "--project", "ada's")
    assert [line["action"] for line in lines] == ["key.mint", "project.create"]
    assert {(line["actor"], line["project_id"]) for line in lines} == {("ada", project)}
    assert commands.json("audit", "list", "--actor", "ada", "--project", project) == lines
    assert len(commands.json("audit", "list", "--action", "project.rename")) == 3
    assert [line["id"] for line in commands.json("audit", "list", "-n", "2")] == [8, 7]
    assert len(commands.json("audit", "list", "--since", "1h", "--until", "0s")) == 8
    assert commands.json("audit", "list", "--until", "1h") == []
    assert commands.well("audit", "list", "--actor", "eve") == "There are no matching changes.\n"
    table = commands.well("audit", "list", "--action", "project.rename").splitlines()
    assert table[0].split() == ["ID", "TIME", "ACTOR", "ACTION", "TARGET", "CHANGE"]
    assert "name: shop 1 → shop 2" in table[1]


def test_before_and_after_hold_what_changed(own_engine: Engine) -> None:
    newest, *_ = newest_entries(own_engine, AuditFilter(), 1)
    assert (newest.before, newest.after) == ('{"name":"shop 1"}', '{"name":"shop 2"}')
