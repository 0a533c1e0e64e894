"""The record of when a key was last used outlives every failure to write it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.fixtures.databases import dispose, new_database
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.threads import no_new_threads
from vigilry_ingest.api_keys.lookup import KeyLookup
from vigilry_ingest.api_keys.registry import Minted, mint
from vigilry_ingest.api_keys.usage import KeyUsage
from vigilry_ingest.storage.engine import make_engine, session_on
from vigilry_ingest.storage.models import ApiKey

# The violation of a constraint is an IntegrityError, which is not translated to DatabaseError.
REFUSAL = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'not now'); END",
    ],
    "postgresql": [
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = 'check_violation'; END $$""",
        "CREATE TRIGGER refuse BEFORE UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
END_OF_REFUSAL = {"sqlite": "DROP TRIGGER refuse", "postgresql": "DROP TRIGGER refuse ON api_keys"}


@pytest.fixture(params=["sqlite", "postgresql"])
def own_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Return an engine on a migrated database of each kind that only this test uses."""
    engine = make_engine(new_database(request.param, request, tmp_path))
    yield engine
    dispose(engine)


@contextmanager
def refused_updates(engine: Engine) -> Iterator[None]:
    """Let the database refuse every update of a key."""
    kind = engine.dialect.name
    execute(engine, *REFUSAL[kind])
    yield
    execute(engine, END_OF_REFUSAL[kind])


def execute(engine: Engine, *statements: str) -> None:
    """Execute statements in a transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def row_of(engine: Engine, minted: Minted) -> ApiKey:
    """Return the row of a key."""
    with session_on(engine) as session:
        row = session.get(ApiKey, minted.key_id)
        assert row is not None
        return row


def last_used_at(engine: Engine, minted: Minted) -> datetime | None:
    """Return when a key was last used."""
    return row_of(engine, minted).last_used_at


def test_any_exception_of_the_writing_thread_is_logged_and_later_uses_are_recorded(
    own_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (mint(own_engine, "shop", "production") for _ in range(2))
    lookup = KeyLookup(own_engine, ttl_s=60, stale_s=0)
    with refused_updates(own_engine):
        assert lookup.find(first.api_key)
        wait_until(lambda: "not recorded" in caplog.text, 5, "the failure is logged")
    assert "not now" in caplog.text
    assert lookup.find(second.api_key)
    wait_until(lambda: last_used_at(own_engine, second), 5, "the second use is recorded")


def test_a_database_that_cannot_be_written_to_is_logged_once_and_later_uses_are_recorded(
    own_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (mint(own_engine, "shop", "production") for _ in range(2))
    first_row, second_row = row_of(own_engine, first), row_of(own_engine, second)
    usage = KeyUsage(own_engine)
    execute(own_engine, "ALTER TABLE api_keys RENAME TO hidden_keys")
    usage.note(first_row)
    wait_until(lambda: "not recorded" in caplog.text, 10, "the failure is logged")
    execute(own_engine, "ALTER TABLE hidden_keys RENAME TO api_keys")
    usage.note(second_row)
    wait_until(lambda: last_used_at(own_engine, second), 5, "the second use is recorded")
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.message for record in warnings] == ["use of keys not recorded"]
    assert "flask db upgrade" in vars(warnings[0])["reason"]


@pytest.mark.one_database
def test_a_thread_that_cannot_be_started_is_logged_and_later_uses_are_recorded(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (mint(engine, "threadless", "production") for _ in range(2))
    first_row, second_row = row_of(engine, first), row_of(engine, second)
    usage = KeyUsage(engine)
    with no_new_threads():
        usage.note(first_row)
    assert "no thread can be started" in caplog.text
    usage.note(second_row)
    wait_until(lambda: last_used_at(engine, second), 5, "the second use is recorded")
