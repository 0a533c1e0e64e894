"""``flask projects scrub``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.commands import Commands
from tests.fixtures.databases import dispose, migrate
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.domain.scrubbing.rules import DEFAULT_FIELDS, DEFAULT_PATTERNS
from vigilry_ingest.storage.engine import make_engine

pytestmark = [pytest.mark.one_database, pytest.mark.usefixtures("through")]


@pytest.fixture
def commands(broker: Valkey, tmp_path: Path) -> Iterator[Commands]:
    url = f"sqlite:///{tmp_path}/own.db"
    migrate(url)
    engine = make_engine(url)
    mint(engine, "shop", "production")
    dispose(engine)
    with Commands(redis_url=broker.url, database_url=url) as commands:
        yield commands


def rules_of(commands: Commands) -> object:
    """Return the rules of the project as they are listed."""
    (project,) = commands.json("projects", "list")
    return project["scrubbing"]


def test_rules_are_set_listed_replaced_and_removed(commands: Commands) -> None:
    assert rules_of(commands) is None
    shown = commands.well("projects", "scrub", "shop", "--fields", "*password*, card", "--patterns", "email")
    assert "these are replaced by [scrubbed]:" in shown
    assert ("  fields    *password*, card" in shown, "  patterns  email" in shown) == (True, True)
    assert rules_of(commands) == {"fields": ["*password*", "card"], "patterns": ["email"]}
    (changed,) = commands.json("projects", "scrub", "shop", "--patterns", "ip")
    assert changed["scrubbing"] == {"fields": [], "patterns": ["ip"]}
    assert rules_of(commands) == changed["scrubbing"]
    assert "are published as they are sent" in commands.well("projects", "scrub", "shop", "--off")
    assert rules_of(commands) is None


def test_the_default_rules_can_have_more(commands: Commands) -> None:
    words = ("projects", "scrub", "shop", "--default", "--fields", "x", "--patterns", "email")
    (changed,) = commands.json(*words)
    fields, patterns = [*DEFAULT_FIELDS, "x"], [*DEFAULT_PATTERNS, "email"]
    assert changed["scrubbing"] == {"fields": fields, "patterns": patterns}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "Specify --fields, --patterns or --default; or else --off."),
        (("--default", "--off"), "Specify --fields, --patterns or --default; or else --off."),
        (("--patterns", "phone"), "'phone' is not a pattern: there are card-number, email"),
        (("--fields", "a!"), "'a!' is not a field"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_and_nothing_is_changed(
    words: tuple[str, ...], why: str, commands: Commands
) -> None:
    done = commands.run("projects", "scrub", "shop", *words)
    assert (done.exit_code, why in done.stderr) == (2, True), done.stderr
    assert rules_of(commands) is None


def test_a_project_that_is_unknown_is_refused(commands: Commands) -> None:
    done = commands.run("projects", "scrub", "other", "--default")
    assert (done.exit_code, "other" in done.stderr) == (1, True), done.stderr
