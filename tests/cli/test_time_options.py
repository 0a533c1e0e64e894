"""``--from``, ``--since``, ``--to`` and ``--limit``: the times that the product prints are accepted."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest
from sqlalchemy import Engine

from tests.fixtures.commands import Commands
from tests.fixtures.databases import new_database
from tests.fixtures.publishing import an_event
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.cli.time_options import Time
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.storage.engine import make_engine
from vigilry_ingest.storage.event_writer import Store

FIRST = datetime(2025, 11, 25, 23, 8, 9, 599_000, tzinfo=UTC)


class Stored:
    """A database with five events, a millisecond apart, and the commands on it."""

    def __init__(self, engine: Engine, commands: Commands) -> None:
        self._engine = engine
        self._commands = commands
        self.project = mint(engine, "shop", "production").project_id
        self._numbers = count(1)
        for number in range(5):
            self.store(f"{number}", FIRST + timedelta(milliseconds=number))

    def store(self, message: str, received_at: datetime, type_: str = "first") -> None:
        """Store an event."""
        number = next(self._numbers)
        event = msgspec.structs.asdict(an_event(self.project, message)) | {
            "id": f"evt_{number}",
            "type": type_,
            "received_at": received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        Store(self._engine).write([Delivered(**event, job_id=f"bull-{number}", attempts=1)])

    def listed(self, *options: str, type_: str = "first") -> list[str]:
        """Return the messages of the events that ``flask events list`` shows, oldest first."""
        return [line["message"] for line in self.lines("--type", type_, *options)][::-1]

    def lines(self, *options: str) -> list[dict[str, str]]:
        """Return the lines of ``flask events list --json``."""
        return self._commands.json("events", "list", *options)

    def usage_error(self, *words: str) -> str:
        """Return the error of a command that refuses its options."""
        done = self._commands.run("events", *words)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Usage: " in done.stderr
        return done.stderr


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    url = new_database(request.param, request, tmp_path_factory.mktemp("times"))
    engine = make_engine(url)
    with Commands(database_url=url) as commands:
        yield Stored(engine, commands)
    engine.dispose()


@pytest.mark.parametrize(
    "text",
    [
        "2025-11-25T23:08:09.601Z",
        "2025-11-25t23:08:09.601z",
        "2025-11-25 23:08:09.601Z",
        "2025-11-25T23:08:09.601",
        "2025-11-25T23:08:09.601000Z",
        "2025-11-25T23:08:09.601000000Z",
        "2025-11-25T23:08:09.601+00:00",
        "2025-11-26T01:08:09.601+02:00",
        "2025-11-25T17:38:09.601-05:30",
    ],
)
def test_a_time_in_rfc_3339_is_exact_to_the_millisecond(stored: Stored, text: str) -> None:
    assert stored.listed("--from", text) == ["2", "3", "4"]
    assert stored.listed("--since", text) == ["2", "3", "4"]
    assert stored.listed("--to", text) == ["0", "1"]


def test_the_time_of_a_listed_event_selects_it(stored: Stored) -> None:
    (event,) = stored.lines("--type", "first", "--limit", "1")
    assert stored.listed("--from", event["received_at"]) == [event["message"]]


@pytest.mark.parametrize(
    ("text", "is_selected"),
    [
        ("2025-11-25", True),
        ("2025-11-25T23:08", True),
        ("2025-11-25 23:08", True),
        ("2025-11-25T23:08:09", True),
        ("2025-11-25T23:08:10", False),
        ("2025-11-25T23:08Z", True),
        ("2025-11-25T23:08-01:00", False),
        ("2025-11-26", False),
    ],
)
def test_a_time_without_an_offset_is_in_utc(stored: Stored, text: str, is_selected: bool) -> None:
    assert bool(stored.listed("--from", text)) == is_selected


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta()),
    ],
)
def test_a_duration_is_a_time_before_now(text: str, duration: timedelta) -> None:
    since = Time(is_relative=True).convert(text, None, None)
    assert abs(datetime.now(UTC) - duration - since) < timedelta(seconds=1)


def test_events_are_listed_since_some_time_ago(stored: Stored) -> None:
    now = datetime.now(UTC)
    stored.store("old", now - timedelta(minutes=20), "recent")
    stored.store("new", now - timedelta(minutes=10), "recent")
    assert stored.listed("--since", "15m", type_="recent") == ["new"]
    until = f"{now - timedelta(minutes=15):%Y-%m-%dT%H:%M:%S}"
    assert stored.listed("--since", "1h", "--to", until, type_="recent") == ["old"]


@pytest.mark.parametrize("option", ["--from", "--since", "--to"])
@pytest.mark.parametrize(
    "text",
    [
        "", "yesterday", "2026", "2026-13-01", "2026-02-30", "2026-W05-1", "20261125", "2025-11-25T23",
        "2025-11-25T23:08:60Z", "2025-11-25T23:08:09,599Z", "2025-11-25T23:08:09.Z", "2025-11-25Z",
        "2025-11-25T23:08:09+25:00", "2025-11-25x23:08", "0001-01-01T00:00:00+01:00", "15", "m", "-15m",
        "1.5h", "15 m", "1w", "\uff11\uff15m", "999999999d", "2025-11-25T23:08:09Z ",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_usage(stored: Stored, option: str, text: str) -> None:
    for words in (["list"], ["replay", "--group", "store"]):
        error = stored.usage_error(*words, option, text)
        assert f"Invalid value for '{option}'" in error
        assert "2026-01-31T23:59:59.123Z" in error or "is not a valid time" in error


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_duration_is_for_since_alone(stored: Stored, option: str) -> None:
    assert "is not a valid time" in stored.usage_error("list", option, "15m")


@pytest.mark.parametrize("words", [["list"], ["replay", "--group", "store"]])
def test_from_and_since_are_not_combined(stored: Stored, words: list[str]) -> None:
    error = stored.usage_error(*words, "--from", "2025-11-25", "--since", "15m")
    assert "--from and --since are alternatives" in error


@pytest.mark.parametrize("option", ["-n", "--limit", "--most"])
def test_the_number_of_listed_events_has_a_limit(stored: Stored, option: str) -> None:
    assert len(stored.listed(option, "2")) == 2
    assert option in stored.usage_error("list", option, "0")
