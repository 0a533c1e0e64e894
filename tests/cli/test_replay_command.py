"""``flask events replay``: a group is fed again with events that were processed before."""

import json
from collections.abc import Iterator

import pytest

from tests.cli.test_stored_events_command import PARTITIONS, Site, at, open_site
from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Notebook, Running
from tests.fixtures.flask_commands import flask_well, on_terminal
from tests.fixtures.publishing import new_project
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.api_keys.registry import mint
from vigilry_ingest.storage.event_queries import Filter, count_events
from vigilry_ingest.storage.event_writer import Store
from vigilry_ingest.stream.redis_keys import events_key


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def project(site: Site) -> str:
    """Make a project of the test's own and return its id."""
    return mint(site.engine, f"shop {new_project()}", "production").project_id


def working(site: Site, notebook: Notebook, group: str) -> Running:
    """Prepare a group's worker."""
    return Running(site.valkey.url, notebook.handle, group=group, partitions=PARTITIONS)


def make_group(site: Site, group: str) -> None:
    """Make a group that has nothing to do yet."""
    for partition in range(PARTITIONS):
        site.valkey.ask("XGROUP", "CREATE", events_key(partition), group, "$", "MKSTREAM")


def on_streams(site: Site) -> int:
    """Count the entries of all streams."""
    return sum(site.valkey.ask("XLEN", events_key(partition)) for partition in range(PARTITIONS))


@pytest.fixture
def chat(site: Site) -> Iterator[str]:
    """Make a second group, and remove it with all that is still on the streams."""
    make_group(site, "chat")
    yield "chat"
    for partition in range(PARTITIONS):
        site.valkey.ask("XGROUP", "DESTROY", events_key(partition), "chat")
    site.drain()


def test_a_replay_feeds_its_own_group_alone_in_order_under_the_first_job_ids(
    site: Site, project: str, chat: str
) -> None:
    first = Notebook()
    posted = [site.publish(project, f"event {each}", payload=b'{"n": 1e400}') for each in range(5)]
    site.drain()
    with working(site, first, chat):
        first.wait_handled(5)
        wait_until(lambda: on_streams(site) == 0, 10.0, "all is handled and trimmed")
    said = site.commands.json("events", "replay", "--group", chat, "--project", project)
    assert said == [{"group": chat, "replayed": 5}]
    again, stores = Notebook(), Notebook()
    with working(site, again, chat), working(site, stores, "store"):
        again.wait_handled(5)
        wait_until(lambda: on_streams(site) == 0, 10.0, "the replayed entries are trimmed too")
    assert [event.job_id for event in again.handled] == [job_id for job_id, _ in posted]
    assert [event.message for event in again.handled] == [event.message for _, event in posted]
    assert {event.payload for event in again.handled} == {b'{"n": 1e400}'}
    assert stores.handled == []


def test_what_is_replayed_to_the_store_is_not_stored_twice(site: Site, project: str) -> None:
    for each in range(3):
        site.publish(project, f"event {each}")
    site.drain()
    before = site.commands.json("events", "list", "--project", project)
    assert "3 events" in site.commands.well("events", "replay", "--group", "store", "--project", project)
    site.drain()
    assert site.commands.json("events", "list", "--project", project) == before


def test_a_replay_is_narrowed_by_the_same_options_as_the_list(site: Site, chat: str) -> None:
    minted = mint(site.engine, "the replayed shop", "production")
    for each in range(5):
        site.publish(
            minted.project_id, f"{each}", received_at=at(each), type=f"t{each % 2}", severity="INFO",
            kind="webhook",
        )  # fmt: skip
    site.drain()
    notebook = Notebook()
    with working(site, Notebook(), chat):
        wait_until(lambda: on_streams(site) == 0, 10.0, "the group has handled all")
    site.commands.well(
        "events", "replay", "--group", chat, "--project", "the replayed shop", "--type", "t0", "--kind",
        "webhook", "--severity", "INFO", "--from", "2026-01-31T10:00:01", "--to", "2026-01-31T10:00:05",
    )  # fmt: skip
    with working(site, notebook, chat):
        notebook.wait_handled(2)
    assert notebook.messages == ["2", "4"]


def test_a_replay_of_nothing_is_no_failure(site: Site, chat: str) -> None:
    assert site.commands.json("events", "replay", "--group", chat, "--type", "none") == [
        {"group": chat, "replayed": 0}
    ]


def test_a_group_that_nobody_has_made_is_refused(site: Site, project: str) -> None:
    site.store(project)
    try:
        said = site.commands.failure_of("events", "replay", "--group", "caht", "--project", project)
        assert "caht" in said
        assert on_streams(site) == 0
    finally:
        site.drain()


def test_a_replay_must_say_for_which_group_it_is(site: Site) -> None:
    done = site.commands.run("events", "replay")
    assert done.exit_code == 2
    assert "--group" in done.stderr


def test_a_replay_waits_while_the_streams_are_full(site: Site, project: str) -> None:
    for each in range(30):
        site.publish(project, f"event {each}")
    site.drain()
    settings = {"redis_url": site.valkey.url, "database_url": site.database_url}
    longest = 0

    def look(_events: object) -> None:
        nonlocal longest
        longest = max(longest, on_streams(site))

    with (
        Commands(**settings, stream_partitions=PARTITIONS, stream_max_entries=20) as commands,
        Running(site.valkey.url, look, partitions=PARTITIONS),
    ):
        said = commands.json("events", "replay", "--group", "store", "--project", project)
    assert said == [{"group": "store", "replayed": 30}]
    assert 0 < longest <= 20
    site.drain()
    assert count_events(site.engine, Filter(project=project)) == 30


def test_a_progress_bar_is_shown_on_a_terminal_and_none_in_a_pipe(site: Site, project: str) -> None:
    for each in range(30):
        site.publish(project, f"event {each}")
    with Running(site.valkey.url, Store(site.engine).write, partitions=PARTITIONS):
        words = ("events", "replay", "--group", "store", "--project", project)
        wait_until(lambda: count_events(site.engine, Filter(project=project)) == 30, 10.0, "all are stored")
        code, shown = on_terminal(*words, **site.settings)
        assert code == 0, shown
        assert "Replaying" in shown
        assert "100%" in shown
        assert "Replayed 30 events to store." in shown
        piped = flask_well(*words, "--json", **site.settings)
    assert json.loads(piped) == {"group": "store", "replayed": 30}
