"""docs/administration.md against what there is: the actions, and the role that may only append."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from tests.administration.routes import ROUTES
from tests.cli.test_audit_coverage import CHANGING
from tests.fixtures.commands import Commands
from tests.fixtures.databases import migrate
from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.postgres import Postgres
from vigilry_ingest.api_keys.admin_keys import ADMIN_SCOPES
from vigilry_ingest.api_keys.refusal_log import ACTION
from vigilry_ingest.storage.diagnostics import table_faults
from vigilry_ingest.storage.engine import make_engine

ADMINISTRATION = (ROOT / "docs/administration.md").read_text()
USER = "ada_of_the_audit"


@pytest.fixture
def operator_url(postgres: Postgres) -> Iterator[str]:
    """Return the URL of a database for a user with the documented role."""
    url = postgres.new_database()
    migrate(url)
    owner = make_engine(url)
    (sql,) = re.findall(r"```sql\n(.*?)```", ADMINISTRATION, re.S)
    with owner.begin() as connection:
        connection.execute(text(sql))
        connection.execute(text(f"CREATE ROLE {USER} LOGIN IN ROLE vigilry_operator"))
    yield url.replace("postgres@", f"{USER}@")
    with owner.begin() as connection:
        for role in (USER, "vigilry_operator"):
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))
    owner.dispose()


@pytest.fixture
def operator(operator_url: str) -> Iterator[Engine]:
    engine = make_engine(operator_url)
    yield engine
    engine.dispose()


def test_the_documented_actions_are_those_of_the_commands() -> None:
    rows = re.findall(r"^\| (`[a-z_]+\.[a-z]+`.*) \| (?:with the|before the|after a) ", ADMINISTRATION, re.M)
    documented = [action for row in rows for action in re.findall(r"`([a-z_.]+)`", row)]
    assert len(set(documented)) == len(documented)
    by_command = {action for actions in CHANGING.values() for action in actions}
    by_route = {action for actions in ROUTES.values() for action in actions}
    assert set(documented) == by_command | by_route | {ACTION}


def test_the_documented_requests_and_scopes_are_those_of_the_admin_api() -> None:
    documented = set(re.findall(r"`((?:GET|PUT|POST|PATCH|DELETE) /admin[^`?]*)[^`]*`", ADMINISTRATION))
    names = {"name:project": "NAME", "name:name": "NAME", "project": "PROJECT"}
    routes = {re.sub(r"<([\w:]+)>", lambda found: names.get(found[1], "ID"), route) for route in ROUTES}
    assert documented == routes
    assert set(re.findall(r"^\| `([a-z]+)` \| (?:the same|list)", ADMINISTRATION, re.M)) == set(ADMIN_SCOPES)


def test_the_commands_work_with_the_role_that_may_only_append_to_the_log(operator_url: str) -> None:
    with Commands(database_url=operator_url) as commands:
        (minted,) = commands.json("keys", "mint", "shop")
        commands.well("keys", "rotate", minted["key_id"])
        commands.well("projects", "limit", "shop", "--per-second", "5")
        assert len(commands.json("audit", "list")) == 6
        assert commands.json("audit", "verify")[0]["ok"]


def test_doctor_misses_no_privilege_of_the_role(operator: Engine) -> None:
    assert table_faults(operator) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'eve'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DROP TABLE audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    ],
)
def test_the_role_may_not_alter_the_log(operator: Engine, statement: str) -> None:
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"), operator.begin() as it:
        it.execute(text(statement))
