"""Keys over their lives: expiry, rotation, use, and the archive."""

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fixtures.databases import dispose
from tests.fixtures.sender import EXAMPLES, Sender, assert_refused
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from tests.fixtures.services import NewSender
from vigilry_ingest.api_keys.project_lookup import UnknownProject
from vigilry_ingest.api_keys.projects import NameTaken, archive, list_projects, rename
from vigilry_ingest.api_keys.registry import (
    ArchivedProject,
    UnknownKey,
    UnusableKey,
    mint,
    revoke,
    rotate,
)
from vigilry_ingest.config.settings import Config
from vigilry_ingest.storage.engine import make_engine, session_on
from vigilry_ingest.storage.migrate import upgrade
from vigilry_ingest.storage.models import ApiKey

EVENT = EXAMPLES["events"]
TTL_S = Config().key_cache_ttl_s
HOUR = timedelta(hours=1)


def row_of(engine: Engine, key_id: str) -> ApiKey:
    """Read a key."""
    with session_on(engine) as session:
        row = session.get(ApiKey, key_id)
        assert row is not None
        return row


@pytest.mark.parametrize(("days", "is_told"), [(13.9, True), (14.1, False), (400, False)])
def test_answers_say_in_a_keys_last_two_weeks_when_it_ends(
    sender: Sender, engine: Engine, days: float, is_told: bool
) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=days)
    minted = mint(engine, sender.minted.project, "production", expires_at=expires_at)
    accepted = sender.post("events", EVENT, key=minted.api_key)
    refused = sender.post("events", {}, key=minted.api_key)
    assert (accepted.status_code, refused.status_code) == (202, 400)
    for answer in (accepted, refused):
        assert ("sunset" in answer.headers) == is_told
        if is_told:
            told = parsedate_to_datetime(answer.headers["sunset"])
            assert abs(told - expires_at) < timedelta(seconds=1)


def test_a_rotated_key_works_beside_its_successor_until_the_grace_is_over(
    sender: Sender, engine: Engine
) -> None:
    successor = rotate(engine, sender.minted.key_id, grace=timedelta(seconds=3)).successor
    assert (successor.project_id, successor.environment) == (sender.minted.project_id, "production")
    assert sender.post("events", EVENT, key=successor.api_key).status_code == 202
    old = sender.post("events", EVENT)
    assert old.status_code == 202
    assert "sunset" in old.headers
    time.sleep(3.1)
    assert_refused(sender.post("events", EVENT), 401, "invalid_api_key")
    assert sender.post("events", EVENT, key=successor.api_key).status_code == 202


def test_a_rotation_shortens_a_keys_life_and_never_lengthens_it(sender: Sender, engine: Engine) -> None:
    soon = datetime.now(UTC) + HOUR
    minted = mint(engine, sender.minted.project, "production", expires_at=soon)
    rotate(engine, minted.key_id, grace=24 * HOUR)
    assert row_of(engine, minted.key_id).expires_at == soon
    rotate(engine, minted.key_id, grace=HOUR / 2)
    assert (row_of(engine, minted.key_id).expires_at or soon) < soon


def test_a_successor_lives_as_long_as_its_predecessor_was_to_or_as_it_is_told(
    sender: Sender, engine: Engine
) -> None:
    def days_of(key_id: str, lifetime: timedelta | None = None) -> float | None:
        successor = rotate(engine, key_id, grace=HOUR, lifetime=lifetime).successor
        row = row_of(engine, successor.key_id)
        assert row.expires_at == successor.expires_at
        return (row.expires_at - row.created_at) / timedelta(days=1) if row.expires_at else None

    in_ninety_days = datetime.now(UTC) + timedelta(days=90)
    expiring = mint(engine, sender.minted.project, "production", expires_at=in_ninety_days)
    assert days_of(expiring.key_id, timedelta(days=7)) == 7
    assert days_of(sender.minted.key_id) is None
    other = mint(engine, sender.minted.project, "production", expires_at=in_ninety_days)
    assert days_of(other.key_id) == pytest.approx(90, abs=0.01)


def test_a_rotation_tells_when_the_old_key_ends_and_of_a_key_that_may_be_its_successor_already(
    sender: Sender, engine: Engine
) -> None:
    key_id = sender.minted.key_id
    mint(engine, sender.minted.project, "staging")
    first = rotate(engine, key_id, grace=HOUR)
    assert (first.old_key_id, first.old_expires_at) == (key_id, row_of(engine, key_id).expires_at)
    assert first.younger_key_id is None
    second = rotate(engine, key_id, grace=24 * HOUR)
    assert second.old_expires_at == first.old_expires_at
    assert second.younger_key_id == first.successor.key_id
    for each in (first.successor, second.successor):
        revoke(engine, each.key_id)
    assert rotate(engine, key_id, grace=HOUR).younger_key_id is None


def test_what_is_over_is_not_rotated(new_sender: NewSender, engine: Engine) -> None:
    with pytest.raises(UnknownKey):
        rotate(engine, "key_nobody", grace=HOUR)
    revoked, archived = new_sender(), new_sender()
    revoke(engine, revoked.minted.key_id)
    archive(engine, archived.minted.project, is_archived=True)
    expired = mint(engine, revoked.minted.project, "production", expires_at=datetime.now(UTC) - HOUR)
    for key_id in (revoked.minted.key_id, archived.minted.key_id, expired.key_id):
        with pytest.raises(UnusableKey):
            rotate(engine, key_id, grace=HOUR)


def test_several_keys_of_a_project_live_side_by_side(sender: Sender, engine: Engine) -> None:
    keys = [mint(engine, sender.minted.project, "production").api_key for _ in range(3)]
    assert {sender.post("events", EVENT, key=key).status_code for key in keys} == {202}
    assert {entry[b"project_id"] for entry in sender.published()} == {sender.minted.project_id.encode()}


def test_the_use_of_a_key_is_written_down_soon_and_then_seldom(sender: Sender, engine: Engine) -> None:
    assert row_of(engine, sender.minted.key_id).last_used_at is None
    sender.post("events", EVENT)
    deadline = time.monotonic() + 5
    while (used := row_of(engine, sender.minted.key_id).last_used_at) is None:
        assert time.monotonic() < deadline, "it was not written down"
        time.sleep(0.05)
    assert abs(datetime.now(UTC) - used) < timedelta(seconds=10)
    time.sleep(TTL_S + 0.1)
    sender.post("events", EVENT)
    time.sleep(0.3)
    assert row_of(engine, sender.minted.key_id).last_used_at == used
    (listed,) = [each for each in list_projects(engine) if each.project.id == sender.minted.project_id]
    assert (listed.live_keys, listed.last_used_at) == (1, used)


def test_the_use_of_a_key_that_was_not_let_in_is_not_written_down(
    sender: Sender, new_sender: NewSender, engine: Engine
) -> None:
    expired = mint(engine, sender.minted.project, "production", expires_at=datetime.now(UTC) - HOUR)
    archived = new_sender()
    archive(engine, archived.minted.project, is_archived=True)
    for key in (expired.api_key, archived.minted.api_key):
        assert_refused(sender.post("events", EVENT, key=key), 401, "invalid_api_key")
    time.sleep(0.5)
    for key_id in (expired.key_id, archived.minted.key_id):
        assert row_of(engine, key_id).last_used_at is None


def test_a_database_that_somebody_else_writes_to_keeps_no_sender_waiting(
    valkey: Valkey, tmp_path: Path
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/vigilry.db")
    upgrade(engine)
    keys = [mint(engine, "locked", "production") for _ in range(12)]
    settings = {"VIGILRY_REDIS_URL": valkey.url, "VIGILRY_DATABASE_URL": str(engine.url)}
    with Service(settings, workers=1) as service, service.client() as client:
        with closing(sqlite3.connect(tmp_path / "vigilry.db", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            for key in keys:
                headers = {"X-Api-Key": key.api_key}
                assert client.post("/ingest/events", json=EVENT, headers=headers).status_code == 202
            # It took five seconds for each.
            assert time.monotonic() - began < 3
            writer.execute("ROLLBACK")
        wait_until(
            lambda: all(row_of(engine, key.key_id).last_used_at for key in keys), 5, "each use is written"
        )
    dispose(engine)


def live_keys_of(engine: Engine, sender: Sender) -> int:
    """Count a project's live keys, as the list does."""
    (live,) = [row.live_keys for row in list_projects(engine) if row.project.id == sender.minted.project_id]
    return live


def test_an_archived_projects_keys_open_nothing_until_it_is_taken_back(
    sender: Sender, engine: Engine
) -> None:
    assert sender.post("events", EVENT).status_code == 202
    archive(engine, sender.minted.project, is_archived=True)
    assert live_keys_of(engine, sender) == 0
    time.sleep(TTL_S + 0.2)
    assert_refused(sender.post("events", EVENT), 401, "invalid_api_key")
    with pytest.raises(ArchivedProject):
        mint(engine, sender.minted.project, "production")
    archive(engine, sender.minted.project_id, is_archived=False)
    assert live_keys_of(engine, sender) == 1
    time.sleep(TTL_S + 0.2)
    assert sender.post("events", EVENT).status_code == 202


def test_a_project_is_renamed_and_stays_itself(new_sender: NewSender, engine: Engine) -> None:
    sender, other = new_sender(), new_sender()
    renamed = rename(engine, sender.minted.project, f"{sender.minted.project} renamed")
    assert renamed.id == sender.minted.project_id
    assert sender.post("events", EVENT).status_code == 202
    with pytest.raises(NameTaken):
        rename(engine, sender.minted.project_id, other.minted.project)
    with pytest.raises(UnknownProject):
        rename(engine, sender.minted.project, "anything")
