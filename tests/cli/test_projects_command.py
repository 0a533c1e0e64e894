"""``flask projects`` and what is new in ``flask keys``, as an operator types them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import assert_misuse, assert_readable_help, failure_of, flask_well
from vigilry_ingest.api_keys.projects import rename
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.cli.projects import projects_group
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.usefixtures("through")


@pytest.fixture
def url(tmp_path: Any) -> str:
    url = f"sqlite:///{tmp_path}/projects.db"
    migrate(url)
    return url


def objects(out: str) -> list[dict[str, Any]]:
    """Read lines of JSON."""
    return [json.loads(line) for line in out.splitlines()]


def test_projects_are_listed_renamed_archived_and_limited(url: str) -> None:
    assert "There are no projects" in flask_well("projects", "list", DATABASE_URL=url)
    flask_well("keys", "mint", "shop", "--expires-in-days", "3", "--json", DATABASE_URL=url)
    flask_well("keys", "mint", "shop", "--json", DATABASE_URL=url)
    said = flask_well("projects", "limit", "shop", "--per-second", "100", DATABASE_URL=url)
    assert "limit: 100/s, 100 at once." in said
    (limited,) = objects(
        flask_well(
            "projects", "limit", "shop", "--per-second", "5", "--burst", "9", "--json", DATABASE_URL=url
        )
    )
    assert (limited["per_second"], limited["burst"], limited["bytes_per_second"]) == (5, 9, None)
    said = flask_well("projects", "limit", "shop", "--bytes-per-second", "1000000", DATABASE_URL=url)
    assert "limit: 1,000,000 bytes/s." in said
    flask_well(
        "projects", "limit", "shop", "--per-second", "5", "--burst", "9", "--bytes-per-second", "7000",
        DATABASE_URL=url,
    )  # fmt: skip
    flask_well("projects", "rename", "shop", "store", DATABASE_URL=url)
    assert "is archived" in flask_well("projects", "archive", "store", DATABASE_URL=url)
    assert "archived" in flask_well("keys", "list", DATABASE_URL=url)
    table = flask_well("projects", "list", DATABASE_URL=url)
    assert "store" in table
    assert "5/s, 9 at once, 7,000 bytes/s" in table
    (listed,) = objects(flask_well("projects", "list", "--json", DATABASE_URL=url))
    assert (listed["project"], listed["state"], listed["live_keys"]) == ("store", "archived", 0)
    assert "is archived: restore it with `flask projects unarchive`" in failure_of(
        "keys", "mint", "store", DATABASE_URL=url
    )
    flask_well("projects", "unarchive", "store", DATABASE_URL=url)
    assert "limit: none." in flask_well("projects", "limit", "store", "--none", DATABASE_URL=url)


def test_a_key_is_rotated_and_both_are_listed(url: str) -> None:
    (minted,) = objects(flask_well("keys", "mint", "shop", "--json", DATABASE_URL=url))
    said = flask_well("keys", "rotate", minted["key_id"], "--grace-hours", "0", DATABASE_URL=url)
    assert "is the production key of shop" in said
    states = {
        row["key_id"]: row["state"] for row in objects(flask_well("keys", "list", "--json", DATABASE_URL=url))
    }
    assert states.pop(minted["key_id"]) == "expired"
    assert list(states.values()) == ["live"]
    for hours in ("NaN", "inf", "-1"):
        assert_misuse("keys", "rotate", minted["key_id"], "--grace-hours", hours, DATABASE_URL=url)
    assert "mint a new key instead" in failure_of("keys", "rotate", minted["key_id"], DATABASE_URL=url)
    assert "No key has the id" in failure_of("keys", "rotate", "key_x", DATABASE_URL=url)


def test_a_rotation_says_what_becomes_of_both_keys(url: str) -> None:
    (minted,) = objects(
        flask_well("keys", "mint", "shop", "--expires-in-days", "9", "--json", DATABASE_URL=url)
    )
    rotate = ("keys", "rotate", minted["key_id"])
    (first,) = objects(flask_well(*rotate, "--grace-hours", "5", "--json", DATABASE_URL=url))
    assert first["old_key_id"] == minted["key_id"]
    assert timedelta(hours=4.9) < moment(first["old_expires_at"]) - datetime.now(UTC) < timedelta(hours=5)
    assert timedelta(days=8.9) < moment(first["expires_at"]) - datetime.now(UTC) < timedelta(days=9)
    assert first["younger_key_id"] is None
    said = flask_well(*rotate, "--expires-in-days", "3", DATABASE_URL=url)
    assert f"The old key ({minted['key_id']}) expires at {first['old_expires_at'][:10]} " in said
    assert f"It expires at {datetime.now(UTC) + timedelta(days=3):%Y-%m-%d} " in said
    assert f"It may have been rotated before: {first['key_id']}" in said


def moment(text: str) -> datetime:
    """Read a moment of JSON."""
    return datetime.fromisoformat(text)


def test_no_name_can_be_taken_for_an_id(url: str) -> None:
    (minted,) = objects(flask_well("keys", "mint", "shop", "--json", DATABASE_URL=url))
    id_ = minted["project_id"]
    assert "the form of a project's id" in assert_misuse("keys", "mint", id_, DATABASE_URL=url)
    assert "the form of a project's id" in assert_misuse("projects", "rename", "shop", id_, DATABASE_URL=url)
    for name in (" shop", "shop ", "\u00a0", ""):
        assert "no space before or after" in assert_misuse("keys", "mint", name, DATABASE_URL=url)
    # One that an earlier version has made hides nobody.
    engine = make_engine(url)
    mint(engine, id_, "production")
    renamed = rename(engine, id_, "the real one")
    engine.dispose()
    assert renamed.id == id_


def test_what_is_mistyped_is_said(url: str) -> None:
    flask_well("keys", "mint", "one", DATABASE_URL=url)
    flask_well("keys", "mint", "two", DATABASE_URL=url)
    for words in (("archive", "three"), ("limit", "three", "--none"), ("rename", "three", "x")):
        assert "No project has the name or id three" in failure_of("projects", *words, DATABASE_URL=url)
    assert "Another project has the name two" in failure_of(
        "projects", "rename", "one", "two", DATABASE_URL=url
    )
    mistyped: list[tuple[str, ...]] = [
        ("limit", "one"),
        ("limit", "one", "--none", "--per-second", "1"),
        ("limit", "one", "--burst", "1"),
        ("limit", "one", "--burst", "1", "--bytes-per-second", "1"),
        ("limit", "one", "--bytes-per-second", "0"),
        ("limit", "one", "--bytes-per-second", "1", "--none"),
        ("limit", "one", "--per-second", "0"),
        ("limit", "one", "--per-second", "1000001"),
        ("rename", "one", " "),
    ]
    for each in mistyped:
        assert_misuse("projects", *each, DATABASE_URL=url)
    for days in ("0", "-1", "x", "36501"):
        assert_misuse("keys", "mint", "one", "--expires-in-days", days, DATABASE_URL=url)


@pytest.mark.local
def test_the_help_helps() -> None:
    assert_readable_help(projects_group)
