"""``flask keys``: what an operator types to give a sender a key, and to take it away."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from tests.fixtures.databases import migrate
from tests.fixtures.flask_commands import (
    assert_misuse,
    assert_no_traceback,
    assert_readable_help,
    failure_of,
    flask,
    flask_well,
    on_terminal_of,
)
from tests.fixtures.servers.gunicorn import Service
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import require
from vigilry_ingest.api_keys.registry import list_keys, mint
from vigilry_ingest.cli.keys import keys_group
from vigilry_ingest.storage.engine import make_engine

pytestmark = pytest.mark.usefixtures("through")

KEY = re.compile(r"vig_(?:live|test)_[0-9A-Za-z]{36}")
UNREACHABLE = "postgresql+psycopg://user:hunter2@127.0.0.1:1/none"


def new_name() -> str:
    """Make up the name of a project that does not exist."""
    return f"project {uuid4().hex}"


def mint_by_command(database_url: str, project: str, *options: str) -> dict[str, Any]:
    """Mint a key and return the JSON object that is printed."""
    out = flask_well("keys", "mint", project, *options, "--json", DATABASE_URL=database_url)
    assert out.count("\n") == 1
    minted: dict[str, Any] = json.loads(out)
    return minted


def listed(database_url: str) -> dict[str, dict[str, Any]]:
    """List the keys as JSON lines, by their ids."""
    out = flask_well("keys", "list", "--json", DATABASE_URL=database_url)
    assert not KEY.search(out)
    rows = [json.loads(line) for line in out.splitlines()]
    return {row["key_id"]: row for row in rows}


@pytest.fixture
def fresh_database_url(tmp_path: Path) -> str:
    """Return a migrated database without any key."""
    url = f"sqlite:///{tmp_path}/fresh.db"
    migrate(url)
    return url


@pytest.fixture
def fresh_engine(fresh_database_url: str) -> Iterator[Engine]:
    """Return an engine on that database."""
    engine = make_engine(fresh_database_url)
    yield engine
    engine.dispose()


def test_a_minted_key_is_shown_with_a_curl_line_that_works_when_pasted(
    service: Service, database_url: str, valkey: Valkey
) -> None:
    bash = shutil.which("bash") or require("bash is not installed")
    if not shutil.which("curl"):
        require("curl is not installed")
    project = new_name()
    out = flask_well("keys", "mint", project, DATABASE_URL=database_url, BIND=service.bind)
    (key,) = set(KEY.findall(out))
    assert out.splitlines()[0] == key
    assert project in out
    assert "not be shown again" in out
    (curl,) = [line for line in out.splitlines() if line.startswith("curl ")]
    pasted = subprocess.run([bash, "-c", curl], capture_output=True, text=True, timeout=20)
    assert re.search(r"^HTTP/1\.1 202 ", pasted.stdout), pasted.stdout + pasted.stderr
    job_id = re.search(r'"jobId":"bull-(\d+)"', pasted.stdout)
    assert job_id
    milliseconds, sequence = divmod(int(job_id[1]), 1_000_000)
    assert valkey.ask("XRANGE", "vigilry:{0}:events", f"{milliseconds}-{sequence}", "+", "COUNT", 1)


def test_json_is_one_object_with_the_key_and_what_it_belongs_to(fresh_database_url: str) -> None:
    project = new_name()
    minted = mint_by_command(fresh_database_url, project)
    assert minted.keys() == {
        "api_key", "key_id", "project_id", "project", "environment", "expires_at", "scopes", "origins", "dsn",
    }  # fmt: skip
    assert (minted["scopes"], minted["origins"]) == (["send", "read"], [])
    assert minted["dsn"] == f"http://{minted['api_key']}@127.0.0.1:4100/1"
    assert KEY.fullmatch(minted["api_key"])
    assert re.fullmatch(r"key_[0-9A-HJKMNP-TV-Z]{26}", minted["key_id"])
    assert re.fullmatch(r"proj_[0-9A-HJKMNP-TV-Z]{26}", minted["project_id"])
    assert (minted["project"], minted["environment"]) == (project, "production")


def test_each_environment_has_its_prefix_and_a_project_keeps_its_id(fresh_database_url: str) -> None:
    project = new_name()
    prefixes = {"production": "vig_live_", "staging": "vig_test_", "development": "vig_test_"}
    minted = [mint_by_command(fresh_database_url, project, "--environment", each) for each in prefixes]
    assert [each["environment"] for each in minted] == list(prefixes)
    assert [each["api_key"][:9] for each in minted] == list(prefixes.values())
    assert len({each["project_id"] for each in minted}) == 1
    assert len({each["key_id"] for each in minted}) == 3


def test_the_list_shows_what_is_known_of_a_key_but_never_the_key(
    fresh_engine: Engine, fresh_database_url: str
) -> None:
    minted = mint(fresh_engine, new_name(), "staging", "the build server")
    row = listed(fresh_database_url)[minted.key_id]
    assert minted.api_key.startswith(row["hint"])
    assert len(row["hint"]) < 20
    assert (row["project"], row["project_id"]) == (minted.project, minted.project_id)
    assert (row["environment"], row["name"], row["state"]) == ("staging", "the build server", "live")
    table = flask_well("keys", "list", DATABASE_URL=fresh_database_url)
    assert not KEY.search(table)
    (line,) = [line for line in table.splitlines() if minted.key_id in line]
    for shown in (minted.project, row["hint"], "staging", "live", "the build server"):
        assert shown in line


def test_a_revoked_key_is_listed_as_revoked_and_can_be_revoked_again(
    fresh_engine: Engine, fresh_database_url: str
) -> None:
    minted = mint(fresh_engine, new_name(), "production")
    out = flask_well("keys", "revoke", minted.key_id, DATABASE_URL=fresh_database_url)
    assert minted.key_id in out
    assert minted.project in out
    assert not KEY.search(out)
    (row,) = [row for row in list_keys(fresh_engine) if row.id == minted.key_id]
    assert row.revoked_at
    again = json.loads(flask_well("keys", "revoke", minted.key_id, "--json", DATABASE_URL=fresh_database_url))
    assert (again["state"], again["revoked_at"]) == ("revoked", row.revoked_at.isoformat())


def test_revoking_an_unknown_id_fails_and_names_it(fresh_database_url: str) -> None:
    assert "key_0NOSUCHKEY" in failure_of("keys", "revoke", "key_0NOSUCHKEY", DATABASE_URL=fresh_database_url)


def test_without_keys_the_list_says_how_to_make_one(fresh_database_url: str) -> None:
    assert "flask keys mint" in flask_well("keys", "list", DATABASE_URL=fresh_database_url)


def test_any_name_of_a_project_is_listed_as_it_is(fresh_engine: Engine, fresh_database_url: str) -> None:
    names = ["[/oops]", "[red]team", "über-Größe ✓", "a" * 200]
    minted = [mint(fresh_engine, name, "production") for name in names]
    table = flask_well("keys", "list", DATABASE_URL=fresh_database_url)
    assert [each.project for each in minted if each.project not in table] == []
    assert [each.key_id for each in minted if each.key_id not in table] == []


@pytest.mark.parametrize(
    "words",
    [
        ["keys", "mint", b"caf\xe9"],
        ["keys", "rotate", b"\xff"],
        ["keys", "revoke", b"\xff"],
        ["projects", "limit", b"\xff", "--none"],
        ["projects", "archive", b"\xff"],
        ["events", "show", b"\xff"],
        ["events", "list", "--project", b"\xff"],
        ["events", "list", b"--type=\xff"],
        ["events", "list", "--correlation", b"x\xff=1"],
        ["events", "tail", "--project", b"\xff"],
        ["events", "replay", "--group", b"\xff"],
        ["events", "forget-group", b"\xff", "--yes"],
        ["worker", "--group", b"\xff"],
    ],
)
@pytest.mark.local
def test_what_is_no_text_is_refused_with_the_usage(fresh_database_url: str, words: list[str | bytes]) -> None:
    assert "is not UTF-8" in assert_misuse(*words, DATABASE_URL=fresh_database_url)


@pytest.mark.local
def test_the_curl_line_is_for_the_socket_where_the_service_has_one(fresh_database_url: str) -> None:
    out = flask_well("keys", "mint", "x", DATABASE_URL=fresh_database_url, BIND="unix:///run/a b.sock")
    assert "curl -i --unix-socket '/run/a b.sock' http://localhost/ingest/events " in out


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_no_terminal_is_too_narrow_for_what_the_other_commands_need(
    fresh_engine: Engine, fresh_database_url: str, columns: int
) -> None:
    minted = mint(fresh_engine, "my shop with a long name", "production", "the build server " * 5)
    wanted = {minted.key_id, f"{minted.api_key[:17]}…", "production", "live", "KEY ID", "STATE"}
    code, shown = on_terminal_of(columns, {}, "keys", "list", DATABASE_URL=fresh_database_url)
    assert (code, {each for each in wanted if each not in shown}) == (0, set())
    code, shown = on_terminal_of(columns, {}, "projects", "list", DATABASE_URL=fresh_database_url)
    assert (code, minted.project_id in shown, "LIVE KEYS" in shown) == (0, True, True)


def test_a_long_name_is_broken_and_not_cut_where_that_makes_the_table_fit(
    fresh_engine: Engine, fresh_database_url: str
) -> None:
    mint(fresh_engine, "shop", "production", "number " + "0123456789" * 10)
    _, shown = on_terminal_of(140, {}, "keys", "list", DATABASE_URL=fresh_database_url)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()
    assert 100 < max(map(len, lines)) <= 140
    assert "".join(line.split()[-1] for line in lines[1:]).endswith("0123456789" * 10), shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.local
def test_an_encoding_without_a_sign_is_no_reason_to_fail(
    fresh_engine: Engine, fresh_database_url: str, encoding: str
) -> None:
    mint(fresh_engine, "Größe ✓ \U0001f600", "production")
    for words in (["keys", "list"], ["keys", "list", "--json"], ["events", "dead", "drop", "--help"]):
        code, shown = on_terminal_of(
            80, {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, *words, DATABASE_URL=fresh_database_url
        )
        assert code == 0, shown
        if "--json" in words:
            # Click writes UTF-8 where Python is set to write ASCII.
            written = "utf-8" if encoding == "ascii" else encoding
            read = json.loads(shown.encode(errors="surrogateescape").decode(written))
            assert read["project"] == "Größe ✓ \U0001f600"


def test_a_label_longer_than_the_database_holds_is_refused(fresh_database_url: str) -> None:
    done = flask("keys", "mint", new_name(), "--name", "n" * 300, DATABASE_URL=fresh_database_url)
    assert done.returncode in (1, 2), done.stdout
    assert_no_traceback(done.stderr)


@pytest.mark.parametrize("words", [["x" * 201], ["x", "--environment", "live"]])
@pytest.mark.local
def test_a_misuse_of_mint_is_refused_with_the_usage(empty_database_url: str, words: list[str]) -> None:
    assert_misuse("keys", "mint", *words, DATABASE_URL=empty_database_url)


@pytest.mark.parametrize("words", [["mint", "x"], ["list"]])
@pytest.mark.local
def test_an_unmigrated_database_is_told_in_one_line_that_says_what_to_do(
    empty_database_url: str, words: list[str]
) -> None:
    assert "flask db upgrade" in failure_of("keys", *words, DATABASE_URL=empty_database_url)


@pytest.mark.local
def test_an_unreachable_database_is_told_in_one_line_without_its_password() -> None:
    said = failure_of("keys", "list", DATABASE_URL=UNREACHABLE)
    assert "127.0.0.1" in said
    assert "hunter2" not in said


@pytest.mark.local
def test_a_file_that_is_no_database_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("These are notes, and no database at all.\n" * 100)
    failure_of("keys", "list", DATABASE_URL=f"sqlite:///{file}")


@pytest.mark.parametrize(
    ("name", "value"),
    [("DATABASE_URL", "user:hunter2@host"), ("REDIS_URL", "hunter2"), ("WORKERZ", "hunter2")],
)
@pytest.mark.local
def test_a_setting_that_cannot_be_used_is_told_in_one_line_without_its_value(name: str, value: str) -> None:
    said = failure_of("keys", "list", **{name: value})
    assert f"VIGILRY_{name}" in said
    assert value not in said


@pytest.mark.local
def test_help_is_readable() -> None:
    assert_readable_help(keys_group)


def test_a_key_for_web_pages_can_only_send(fresh_database_url: str) -> None:
    origin = "https://shop.example"
    words = ("keys", "mint", new_name(), "--allow-origin", origin)
    assert "add --scope send" in assert_misuse(*words, DATABASE_URL=fresh_database_url)
    invalid = (*words, "--scope", "send", "--allow-origin", "shop.example")
    assert "--allow-origin" in assert_misuse(*invalid, DATABASE_URL=fresh_database_url)
    minted = mint_by_command(fresh_database_url, new_name(), "--scope", "send", "--allow-origin", origin)
    assert (minted["scopes"], minted["origins"]) == (["send"], [origin])
    row = listed(fresh_database_url)[minted["key_id"]]
    assert (row["scopes"], row["origins"]) == (["send"], [origin])
    rotated = json.loads(
        flask_well("keys", "rotate", minted["key_id"], "--json", DATABASE_URL=fresh_database_url)
    )
    assert (rotated["scopes"], rotated["origins"]) == (["send"], [origin])
