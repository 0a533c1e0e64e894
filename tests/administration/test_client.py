"""``--server``: what the commands say when they cannot use an admin API, and when they are not for one."""

from collections.abc import Iterator, Mapping

import pytest
from sqlalchemy import Engine

from tests.cli.test_audit_coverage import COMMANDS
from tests.fixtures.commands import Commands
from tests.fixtures.servers.admin import AdminApi, an_admin_key
from tests.fixtures.servers.listener import Answer, Listener
from vigilry_ingest.api_keys.admin_keys import READ
from vigilry_ingest.api_keys.format import new_admin_key
from vigilry_ingest.domain.ids import new_ulid
from vigilry_ingest.storage.audit_queries import AuditFilter, newest_entries

pytestmark = pytest.mark.one_database

# Without a database: its folder does not exist.
NOWHERE = "sqlite:////nonexistent/vigilry.db"
REMOTE = {
    name
    for name, command in COMMANDS.items()
    if any("--server" in parameter.opts for parameter in command.params)
}


@pytest.fixture
def laptop(api: AdminApi, own_engine: Engine) -> Iterator[Commands]:
    """Run commands that have neither a database nor a broker."""
    key = an_admin_key(own_engine)
    with Commands(
        server=api.url, admin_key=key, database_url=NOWHERE, redis_url="redis://127.0.0.1:1"
    ) as commands:
        yield commands


def test_the_commands_of_these_groups_use_the_admin_api_and_no_others() -> None:
    local = {"secrets new-key", "sources test"}
    groups = ("keys ", "projects ", "sources ", "secrets ", "audit ")
    assert {name for name in COMMANDS if name.startswith(groups)} - local == REMOTE


def test_a_laptop_needs_neither_database_nor_broker(laptop: Commands, own_engine: Engine) -> None:
    project = f"project {new_ulid()}"
    (minted,) = laptop.json("keys", "mint", project, "--as", "ada")
    assert [row["key_id"] for row in laptop.json("keys", "list") if row["project"] == project] == [
        minted["key_id"]
    ]
    assert "limit: 7/s" in laptop.well("projects", "limit", project, "--per-second", "7")
    assert laptop.json("audit", "list", "--project", project, "-n", "2")[1]["action"] == "key.mint"
    entry = newest_entries(own_engine, AuditFilter(action="key.mint"), 1)[0]
    assert entry.actor.endswith(" as ada")
    assert "all as they were recorded" in laptop.well("audit", "verify")
    assert laptop.json("projects", "delete", project, "--confirm", project)[0]["dry_run"] is False


def test_the_option_takes_precedence_over_the_setting(api: AdminApi, own_engine: Engine) -> None:
    with Commands(server="http://127.0.0.1:1", admin_key=an_admin_key(own_engine)) as commands:
        assert "cannot be reached" in commands.failure_of("projects", "list")
        assert commands.run("projects", "list", "--server", api.url).exit_code == 0
        done = commands.run("projects", "list", "--server", "ftp://x")
        assert (done.exit_code, "must be empty, or an origin" in done.stderr) == (2, True)


def test_many_pages_are_read(laptop: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vigilry_ingest.cli.administration.PAGE", 2)
    project = f"project {new_ulid()}"
    ids = [laptop.json("keys", "mint", project)[0]["key_id"] for _ in range(5)]
    assert [row["key_id"] for row in laptop.json("keys", "list") if row["project"] == project] == ids


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - REMOTE))
def test_every_other_command_says_that_it_is_not_for_an_admin_api(name: str) -> None:
    words = name.split()
    with Commands() as commands:
        done = commands.run(*words, "--server", "http://127.0.0.1:1")
        assert done.exit_code == 2
        assert "not an admin API" in done.stderr
    if name == "secrets new-key":
        return
    arguments = ["x" for parameter in COMMANDS[name].params if parameter.param_type_name == "argument"]
    options = [
        word
        for parameter in COMMANDS[name].params
        if parameter.required and parameter.param_type_name == "option"
        for word in (parameter.opts[0], _value_of(parameter.opts[0]))
    ]
    # Some ask before they do anything.
    options += ["--yes" for parameter in COMMANDS[name].params if "--yes" in parameter.opts]
    with Commands(server="http://127.0.0.1:1") as commands:
        done = commands.run(*words, *arguments, *options)
        assert done.exit_code == 2, done.output
        assert "Unset VIGILRY_SERVER" in done.stderr


def _value_of(option: str) -> str:
    return {"--scope": "read"}.get(option, "x")


def test_without_a_key_or_with_a_wrong_one_it_says_what_to_do(api: AdminApi, own_engine: Engine) -> None:
    for key, said in (
        ("", "VIGILRY_ADMIN_KEY is not set"),
        (new_admin_key(), "unknown, mistyped, expired or revoked"),
        (an_admin_key(own_engine, [READ]), "has the scopes read; keys is required"),
    ):
        with Commands(server=api.url, admin_key=key) as commands:
            line = commands.failure_of("keys", "revoke", "key_x")
            assert said in line
            assert not key or key not in line


def test_a_key_is_not_sent_where_others_could_read_it() -> None:
    with Commands(server="http://admin.example", admin_key=new_admin_key()) as commands:
        assert "in the clear" in commands.failure_of("projects", "list")


class Stranger(Listener):
    """A server that is not an admin API."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer

    def take(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Respond with the answer."""
        assert body
        assert headers["Authorization"].startswith("Bearer vig_admin_")
        return self._answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, {}, b"<html>"), "not one of an admin API: it is no JSON object, with the status 200"),
        (Answer(502, {}, b""), "it is no JSON object, with the status 502"),
        (Answer(201, {}, b'{"api_key": 1}'), "it does not have this version's form"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}, b""), "it is no JSON object, with the status 302"),
        (Answer(400, {}, b"{}"), "no detail"),
    ],
)
def test_a_server_that_is_no_admin_api_is_told_in_one_line(answer: Answer, said: str) -> None:
    with (
        Stranger(answer) as stranger,
        Commands(server=stranger.address, admin_key=new_admin_key()) as commands,
    ):
        assert said in commands.failure_of("keys", "mint", "shop")


def test_a_unix_socket_is_a_server(settings: dict[str, str | int], own_engine: Engine) -> None:
    key = an_admin_key(own_engine)
    with (
        AdminApi(settings, bind="unix") as api,
        Commands(server=api.url, admin_key=key) as commands,
    ):
        assert commands.run("projects", "list").exit_code == 0
