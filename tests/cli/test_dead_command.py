"""``flask events dead``: an operator decides what becomes of events that could not be processed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.commands import Commands
from tests.fixtures.consuming import Notebook, Running, raise_for
from tests.fixtures.databases import KeyStore
from tests.fixtures.flask_commands import flask_well, on_terminal
from tests.fixtures.publishing import an_event, publisher_on
from tests.fixtures.servers.valkey import Valkey
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.domain.handler import Delivered
from vigilry_ingest.stream.consuming.dead_letters import dead_letters, drop, requeue
from vigilry_ingest.stream.redis_keys import dead_index_key, dead_key, events_key

HOSTILE = "a\x1b[31mred\x1b]0;title\x07b\r\nc\td\u2028e\u202ef\x7fg"


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with Valkey(appendonly=False) as server:
        yield server


@pytest.fixture
def broker(server: Valkey) -> Valkey:
    """Return a broker without any data."""
    server.ask("FLUSHALL")
    return server


@pytest.fixture
def commands(broker: Valkey, key_store: KeyStore) -> Iterator[Commands]:
    with Commands(redis_url=broker.url, database_url=key_store.url) as commands:
        yield commands


def publish(broker: Valkey, *messages: str) -> list[str]:
    """Publish events and return their jobIds."""
    publisher = publisher_on(broker.url)
    job_ids = [publisher.publish(an_event("proj_1", message)).job_id for message in messages]
    publisher.close()
    return job_ids


def kill(broker: Valkey, *messages: str, group: str = "store", reason: str | None = None) -> list[str]:
    """Let a group give up on new events with these messages; return their jobIds."""

    def fail(events: Any) -> None:
        raise ValueError(reason if reason is not None else f"no {events[0].message} here")

    job_ids = publish(broker, *messages)
    with Running(broker.url, fail, group=group, deliveries=1):
        wait_done(broker, group)
    return job_ids


def wait_done(broker: Valkey, group: str = "store") -> None:
    """Wait until a group has acknowledged all that is on the stream."""

    def is_done() -> bool:
        groups = {each["name"]: each for each in broker.ask("XINFO", "GROUPS", events_key(0))}
        return (groups[group]["lag"], groups[group]["pending"]) == (0, 0)

    wait_until(is_done, 10.0, "the group has acknowledged all", ignoring=(KeyError,))


# list and show


def test_dead_letters_are_listed_oldest_first_with_their_reasons(broker: Valkey, commands: Commands) -> None:
    job_ids = kill(broker, "first", "second")
    lines = commands.json("events", "dead", "list")
    assert [line["jobId"] for line in lines] == job_ids
    assert [line["reason"] for line in lines] == ["ValueError: no first here", "ValueError: no second here"]
    assert {(line["group"], line["deliveries"]) for line in lines} == {("store", 1)}
    assert lines[0].keys() == {"deadId", "jobId", "group", "reason", "deliveries", "diedAt"}
    table = commands.well("events", "dead", "list").splitlines()
    assert table[0].split()[-2:] == ["TRIES", "REASON"]
    for line, row in zip(lines, table[1:], strict=True):
        for cell in (line["deadId"], line["jobId"], "store", line["reason"], line["diedAt"]):
            assert cell in row


def test_the_list_is_narrowed_to_a_group(broker: Valkey, commands: Commands) -> None:
    kill(broker, "a")
    kill(broker, "b", group="chat")
    dead = commands.json("events", "dead", "list", "--group", "chat")
    # The new group began with what was still on the stream.
    assert {each["group"] for each in dead} == {"chat"}
    assert {each["group"] for each in commands.json("events", "dead", "list")} == {"chat", "store"}
    assert commands.json("events", "dead", "list", "--group", "none") == []


def test_without_dead_letters_people_are_told_so_and_programs_nothing(commands: Commands) -> None:
    assert commands.well("events", "dead", "list").strip() == "There are no dead letters."
    assert commands.well("events", "dead", "list", "--json") == ""


@pytest.mark.parametrize("reason", ["[/oops]", "a [red]b[/red]", ":smile: [b", HOSTILE])
def test_any_reason_is_shown_as_it_is_but_for_control_characters(
    broker: Valkey, commands: Commands, reason: str
) -> None:
    kill(broker, "an event", reason=reason)
    row = commands.well("events", "dead", "list").splitlines()[1]
    assert row.isprintable(), ascii(row)
    shown = "".join(each if each.isprintable() else "·" for each in reason)
    assert shown in row
    (line,) = commands.json("events", "dead", "list")
    assert line["reason"] == f"ValueError: {reason}"
    page = commands.well("events", "dead", "show", line["deadId"])
    assert shown in page
    assert all(each.isprintable() for each in page.split("\n")), ascii(page)


def test_a_dead_letter_is_shown_with_its_event(broker: Valkey, commands: Commands) -> None:
    (job_id,) = kill(broker, "an event")
    dead_id = commands.json("events", "dead", "list")[0]["deadId"]
    page = commands.well("events", "dead", "show", dead_id)
    for shown in (dead_id, job_id, "no an event here", "store", "proj_1", "checkout_failed"):
        assert shown in page
    (shown_as_json,) = commands.json("events", "dead", "show", dead_id)
    assert shown_as_json["jobId"] == job_id
    assert shown_as_json["deadId"] == dead_id
    assert shown_as_json["reason"] == "ValueError: no an event here"
    assert (shown_as_json["message"], shown_as_json["project_id"]) == ("an event", "proj_1")


def test_a_dead_letter_that_is_no_event_is_shown_field_by_field(broker: Valkey, commands: Commands) -> None:
    broker.ask("XADD", events_key(0), "*", "foreign", "entry", "hostile", HOSTILE)
    kill(broker, "an event")
    first = commands.json("events", "dead", "list")[0]
    page = commands.well("events", "dead", "show", first["deadId"])
    assert "foreign entry" in page
    assert all(each.isprintable() for each in page.split("\n")), ascii(page)
    assert commands.json("events", "dead", "show", first["deadId"]) == [first]


@pytest.mark.parametrize("id_", ["0:1-1", "7:1-1", "nonsense", "0:", "0:1-", "0:٣-1", ":1-1", "bull-1", ""])
def test_an_unknown_dead_letter_is_told_in_one_line(commands: Commands, id_: str) -> None:
    for words in (["show"], ["retry"], ["drop", "--yes"]):
        said = commands.failure_of("events", "dead", *words, id_)
        assert f"No dead letter has the id {id_}" in said


# retry


def test_a_retried_letter_goes_back_to_its_own_group_alone_under_its_first_job_id(
    broker: Valkey, commands: Commands
) -> None:
    broker.ask("XGROUP", "CREATE", events_key(0), "chat", "0", "MKSTREAM")
    job_ids = kill(broker, "first", "second")
    dead_id = commands.json("events", "dead", "list")[1]["deadId"]
    assert commands.json("events", "dead", "retry", dead_id) == [{"retried": 1}]
    assert [each["jobId"] for each in commands.json("events", "dead", "list")] == job_ids[:1]
    mine, chats = Notebook(), Notebook()
    with Running(broker.url, mine.handle), Running(broker.url, chats.handle, group="chat"):
        mine.wait_handled(1)
        wait_done(broker, "chat")
        wait_done(broker)
    assert mine.messages == ["second"]
    assert [event.job_id for event in mine.handled] == job_ids[1:]
    assert mine.handled[0].attempts == 1, "it is tried as often as a new one"
    assert chats.messages == ["first", "second"], "as they were sent, and not once more"


def test_a_letter_can_be_retried_only_once(broker: Valkey, commands: Commands) -> None:
    kill(broker, "an event")
    dead_id = commands.json("events", "dead", "list")[0]["deadId"]
    assert commands.well("events", "dead", "retry", dead_id).strip() == "1 retried."
    assert dead_id in commands.failure_of("events", "dead", "retry", dead_id)


def test_a_letter_that_dies_again_is_listed_under_its_first_job_id(
    broker: Valkey, commands: Commands
) -> None:
    (job_id,) = kill(broker, "an event")
    commands.well("events", "dead", "retry", "--all")
    with Running(broker.url, raise_for("an event"), deliveries=2):
        wait_until(lambda: broker.ask("XLEN", dead_key(0)) == 1, 10.0, "it is dead again")
    (line,) = commands.json("events", "dead", "list")
    assert (line["jobId"], line["deliveries"]) == (job_id, 2)


def test_all_letters_of_a_group_are_retried(broker: Valkey, commands: Commands) -> None:
    broker.ask("XGROUP", "CREATE", events_key(0), "chat", "$", "MKSTREAM")
    kill(broker, "a", "b")
    kill(broker, "c", group="chat")
    of_chat = len(commands.json("events", "dead", "list", "--group", "chat"))
    assert commands.json("events", "dead", "retry", "--all", "--group", "store") == [{"retried": 2}]
    left = commands.json("events", "dead", "list")
    assert [each["group"] for each in left] == ["chat"] * of_chat


def test_retrying_nothing_is_no_failure(commands: Commands) -> None:
    assert commands.well("events", "dead", "retry", "--all").strip() == "0 retried."


def test_a_letter_that_is_no_event_dies_again_at_once(broker: Valkey, commands: Commands) -> None:
    broker.ask("XADD", events_key(0), "*", "foreign", "entry")
    kill(broker, "an event")
    before = commands.json("events", "dead", "list")[0]
    commands.well("events", "dead", "retry", before["deadId"])
    notebook = Notebook()
    with Running(broker.url, notebook.handle):
        wait_until(lambda: broker.ask("XLEN", dead_key(0)) == 2, 5.0, "it is dead again")
    again = commands.json("events", "dead", "list")[-1]
    assert (again["jobId"], again["reason"]) == (before["jobId"], before["reason"])


# drop


def test_a_dropped_letter_is_gone_for_good(broker: Valkey, commands: Commands) -> None:
    kill(broker, "a", "b", "c")
    first, *others = (line["deadId"] for line in commands.json("events", "dead", "list"))
    assert commands.json("events", "dead", "drop", first, "--yes") == [{"dropped": 1}]
    assert [line["deadId"] for line in commands.json("events", "dead", "list")] == others
    assert commands.well("events", "dead", "drop", "--all", "--yes").strip() == "2 dropped."
    assert broker.ask("XLEN", dead_key(0)) == 0
    assert commands.failure_of("events", "dead", "show", first)


def test_what_was_put_back_meanwhile_is_not_dropped(broker: Valkey) -> None:
    kill(broker, "an event")
    with broker.client(decode_responses=False) as client:
        (letter,) = dead_letters(client, 1)
        assert requeue(client, letter)
        assert not drop(client, letter)
        (mark,) = client.hvals(dead_index_key(0))
    # It still leads to the new entry.
    assert mark.startswith(b">")


def test_nothing_is_dropped_without_a_yes(broker: Valkey, commands: Commands) -> None:
    kill(broker, "an event")
    for answer in ("", "n\n"):
        done = commands.run("events", "dead", "drop", "--all", answer=answer)
        assert done.exit_code == 1
    assert broker.ask("XLEN", dead_key(0)) == 1
    assert commands.run("events", "dead", "drop", "--all", answer="y\n").exit_code == 0
    assert broker.ask("XLEN", dead_key(0)) == 0


@pytest.mark.parametrize("words", [["retry"], ["retry", "0:1-1", "--all"], ["drop", "--yes"]])
def test_it_must_be_said_which_letters_are_meant(commands: Commands, words: list[str]) -> None:
    done = commands.run("events", "dead", *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--all" in done.stderr


# The progress bar


def test_a_progress_bar_is_shown_on_a_terminal_and_none_in_a_pipe(
    broker: Valkey, key_store: KeyStore
) -> None:
    kill(broker, *map(str, range(20)))
    code, shown = on_terminal(
        "events", "dead", "retry", "--all", REDIS_URL=broker.url, DATABASE_URL=key_store.url
    )
    assert code == 0, shown
    assert "Retried" in shown
    assert "100%" in shown
    assert "20 retried." in shown
    with Running(broker.url, _fail, deliveries=1):
        wait_until(lambda: broker.ask("XLEN", dead_key(0)) == 20, 10.0, "all are dead again")
    piped = flask_well(
        "events", "dead", "retry", "--all", "--json", REDIS_URL=broker.url, DATABASE_URL=key_store.url
    )
    assert json.loads(piped) == {"retried": 20}


def _fail(_events: list[Delivered] | Any) -> None:
    raise ValueError("again")
