"""The pipeline of a gevent worker, on a real Valkey; the tests run in a process that gevent has patched."""

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import monkey
from gevent.greenlet import Greenlet

from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.valkey import Valkey
from vigilry_ingest.stream.broker_url import parse_broker_url
from vigilry_ingest.stream.connection.bounded import connection_to
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.durability import Durability

PATCHED = monkey.is_module_patched("socket")
in_greenlets = pytest.mark.skipif(not PATCHED, reason="runs in the patched process")

if PATCHED:
    from vigilry_ingest.stream.publishing.pipeline import _MAX_IN_FLIGHT, Pipeline

LONG_S = 10.0
MEMORY = Durability(fsync=False, replicas=0)


@pytest.mark.skipif(PATCHED, reason="this is the test that runs all the others")
def test_all_of_this_holds_in_a_process_that_gevent_has_patched() -> None:
    script = "from gevent import monkey; monkey.patch_all(); import pytest; raise SystemExit(pytest.main())"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=short", __file__]
    done = subprocess.run(
        [sys.executable, "-c", script, *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def broker() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture
def pipeline(broker: Valkey) -> Iterator["Pipeline"]:
    made = make_pipeline(broker)
    yield made
    made.close()


def make_pipeline(broker: Valkey, durability: Durability = MEMORY) -> "Pipeline":
    address = parse_broker_url(broker.url)
    host = address.hosts[0] if address.hosts else None
    return Pipeline(lambda: connection_to(address, host), (("CLIENT", "SETNAME", "pipeline"),), durability)


def after(seconds: float) -> float:
    return time.monotonic() + seconds


def echo(pipeline: "Pipeline", *texts: str, seconds: float = LONG_S) -> list[str]:
    return [
        reply.decode()
        for reply in pipeline.exchange([("ECHO", text) for text in texts], after(seconds), events=1)
    ]


def code_of(call: Callable[[], object]) -> str:
    try:
        call()
    except BrokerError as error:
        return error.code
    return "answered"


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = after(seconds)
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        gevent.sleep(0.005)


def connections_of(broker: Valkey) -> list[dict[str, str]]:
    return [each for each in broker.ask("CLIENT LIST") if each["name"] == "pipeline"]


@in_greenlets
def test_a_lone_exchange_gets_a_reply_for_each_of_its_commands(pipeline: "Pipeline") -> None:
    assert echo(pipeline, "a", "b", "c") == ["a", "b", "c"]


@in_greenlets
@pytest.mark.parametrize("seed", range(5))
def test_each_of_many_callers_gets_exactly_its_own_replies_though_some_are_killed(
    pipeline: "Pipeline", seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  no secret
    kept: dict[Greenlet, list[str]] = {}
    killed: list[Greenlet] = []
    for caller in range(500):
        texts = [f"{caller}-{number}" for number in range(chance.choice((1, 1, 1, 3, 300)))]
        greenlet = gevent.spawn(echo, pipeline, *texts)
        if chance.random() < 0.2:
            killed.append(greenlet)
        else:
            kept[greenlet] = texts
        if chance.random() < 0.1:
            gevent.sleep(0)
            for victim in killed:
                victim.kill(block=False)
    gevent.joinall(list(kept), timeout=LONG_S)
    assert [greenlet.value for greenlet in kept] == list(kept.values())
    gevent.killall(killed)
    assert not pipeline._pending


@in_greenlets
def test_callers_that_come_together_share_one_connection_and_one_group(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    echo(pipeline, "connected")
    greenlets = [gevent.spawn(echo, pipeline, str(number)) for number in range(50)]
    gevent.joinall(greenlets, timeout=LONG_S)
    assert [greenlet.value for greenlet in greenlets] == [[str(number)] for number in range(50)]
    assert len(connections_of(broker)) == 1


@in_greenlets
def test_the_next_group_is_sent_before_the_last_one_is_answered(broker: Valkey, pipeline: "Pipeline") -> None:
    echo(pipeline, "connected")
    blocked = gevent.spawn(pipeline.exchange, [("BLPOP", "nothing", "0.5")], after(LONG_S), events=1)
    gevent.sleep(0.05)
    behind = gevent.spawn(echo, pipeline, "behind")
    # Valkey has received it, and runs it after the command that blocks its connection.
    wait_for(lambda: any(int(each["qbuf"]) > 0 for each in connections_of(broker)), 0.4)
    assert not blocked.ready()
    assert behind.get(timeout=LONG_S) == ["behind"]
    assert blocked.get(timeout=LONG_S) == [None]


@in_greenlets
def test_a_refused_command_fails_alone(pipeline: "Pipeline") -> None:
    refused = gevent.spawn(pipeline.exchange, [("NO-SUCH-COMMAND",)], after(LONG_S), events=1)
    beside = gevent.spawn(echo, pipeline, "fine")
    (error,) = refused.get(timeout=LONG_S)
    assert "unknown command" in str(error)
    assert beside.get(timeout=LONG_S) == ["fine"]


@in_greenlets
def test_a_lost_connection_fails_what_is_in_flight_and_the_next_exchange_works(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    echo(pipeline, "connected")
    blocked = gevent.spawn(
        code_of, lambda: pipeline.exchange([("BLPOP", "nothing", "0")], after(LONG_S), events=1)
    )
    gevent.sleep(0.05)
    (connection,) = connections_of(broker)
    broker.ask("CLIENT KILL", "ID", connection["id"])
    assert blocked.get(timeout=LONG_S) == "broker_timeout"
    assert echo(pipeline, "again") == ["again"]


@in_greenlets
def test_a_connection_closed_while_idle_costs_no_caller_an_error(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    for _ in range(20):
        echo(pipeline, "connected")
        (connection,) = connections_of(broker)
        broker.ask("CLIENT KILL", "ID", connection["id"])
        assert echo(pipeline, "at once") == ["at once"]


@in_greenlets
def test_an_exchange_ends_by_its_deadline_and_later_ones_use_a_new_connection(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    echo(pipeline, "connected")
    began = time.monotonic()
    blocked = gevent.spawn(
        code_of, lambda: pipeline.exchange([("BLPOP", "nothing", "1")], after(0.2), events=1)
    )
    gevent.sleep(0.05)
    patient = gevent.spawn(echo, pipeline, "patient")
    assert blocked.get(timeout=LONG_S) == "broker_timeout"
    assert time.monotonic() - began < 0.5
    assert echo(pipeline, "on a new one", seconds=0.3) == ["on a new one"]
    # What was in flight and still has time is answered on the old connection, which is closed then.
    assert patient.get(timeout=LONG_S) == ["patient"]
    wait_for(lambda: len(connections_of(broker)) == 1)


@in_greenlets
def test_an_earlier_deadline_behind_a_later_one_is_kept(pipeline: "Pipeline") -> None:
    echo(pipeline, "connected")
    gevent.spawn(code_of, lambda: pipeline.exchange([("BLPOP", "nothing", "0.6")], after(LONG_S), events=1))
    gevent.sleep(0.05)
    began = time.monotonic()
    assert code_of(lambda: echo(pipeline, "hurried", seconds=0.1)) == "broker_timeout"
    assert time.monotonic() - began < 0.3


@in_greenlets
def test_a_deadline_that_has_passed_is_refused_and_nothing_is_sent(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    echo(pipeline, "connected")
    code = code_of(lambda: pipeline.exchange([("SET", "late", "1")], after(-1), events=1))
    assert code in ("broker_unavailable", "broker_timeout")
    if code == "broker_unavailable":
        gevent.sleep(0.05)
        assert broker.ask("GET", "late") is None


@in_greenlets
def test_what_waits_for_room_behind_a_frozen_broker_is_refused_in_time_and_never_sent(
    broker: Valkey, pipeline: "Pipeline"
) -> None:
    echo(pipeline, "connected")
    broker.freeze()
    try:
        greenlets = [
            gevent.spawn(code_of, lambda: pipeline.exchange([("INCR", "sent")], after(0.3), events=1))
            for _ in range(_MAX_IN_FLIGHT + 500)
        ]
        gevent.joinall(greenlets, timeout=LONG_S)
    finally:
        broker.thaw()
    codes = [greenlet.value for greenlet in greenlets]
    assert set(codes) == {"broker_timeout", "broker_unavailable"}
    assert echo(pipeline, "thawed") == ["thawed"]
    assert int(broker.ask("GET", "sent") or 0) <= codes.count("broker_timeout") <= _MAX_IN_FLIGHT


@in_greenlets
def test_a_broker_that_is_away_is_reported_to_all_who_wait_and_is_tried_again() -> None:
    with Valkey() as other:
        away = make_pipeline(other)
    greenlets = [gevent.spawn(code_of, lambda: echo(away, "x", seconds=1)) for _ in range(10)]
    gevent.joinall(greenlets, timeout=LONG_S)
    assert {greenlet.value for greenlet in greenlets} == {"broker_unavailable"}


@in_greenlets
def test_a_group_without_its_durability_fails_and_a_refusal_in_it_stays_a_refusal(broker: Valkey) -> None:
    pipeline = make_pipeline(broker, Durability(fsync=False, replicas=1))
    try:
        stored = gevent.spawn(pipeline.exchange, [("SET", "a", "1")], after(0.5), events=1)
        refused = gevent.spawn(pipeline.exchange, [("NO-SUCH-COMMAND",)], after(0.5), events=1)
        (error,) = stored.get(timeout=LONG_S)
        assert isinstance(error, BrokerError)
        assert error.code == "broker_not_durable"
        (error,) = refused.get(timeout=LONG_S)
        assert "unknown command" in str(error)
    finally:
        pipeline.close()


@in_greenlets
def test_closing_lets_what_is_in_flight_end_and_later_exchanges_connect_again(pipeline: "Pipeline") -> None:
    echo(pipeline, "connected")
    blocked = gevent.spawn(pipeline.exchange, [("BLPOP", "nothing", "0.2")], after(LONG_S), events=1)
    gevent.sleep(0.05)
    pipeline.close()
    assert echo(pipeline, "later") == ["later"]
    assert blocked.get(timeout=LONG_S) == [None]
