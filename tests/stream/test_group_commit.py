"""Group commit: with real threads, and all of it once more with greenlets, in a process of their own."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import gevent
import pytest
from gevent import monkey

from tests.fixtures.servers.gunicorn import ROOT
from tests.fixtures.servers.waiting import wait_until
from vigilry_ingest.stream.errors import BrokerError
from vigilry_ingest.stream.publishing.group_commit import MAX_IN_GROUP, GroupCommit

UNDER_GEVENT = monkey.is_module_patched("threading")
# Far beyond what anything here takes, so that a caller who waits for ever is seen as one.
LONG_S = 20.0
# What a caller may take beyond its deadline on a busy machine.
GRACE_S = 0.5

Commit = GroupCommit[int, str]


class Interrupted(BaseException):
    """A caller is stopped from outside, as a worker's shutdown does it."""


def submit(commit: Commit, item: int, deadline: float) -> str:
    """Submit one item by itself, and return its reply or raise its error."""
    (answer,) = commit.submit([item], deadline)
    if isinstance(answer, BrokerError):
        raise answer
    return answer


def reply_to(item: int) -> str:
    return f"reply to {item}"


class Exchange:
    """A plain exchange that keeps what it was given, can be held, and raises for the groups in `raises`."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.deadlines: list[float] = []
        self.leaders: list[str] = []
        self.raises: dict[int, BaseException] = {}
        self.refuses: dict[int, BrokerError] = {}
        self._held = False
        self._permits = threading.Semaphore(0)

    def __call__(self, items: Sequence[int], deadline: float) -> Sequence[str | BrokerError]:
        number = len(self.groups)
        self.groups.append(list(items))
        self.deadlines.append(deadline)
        self.leaders.append(threading.current_thread().name)
        if self._held:
            assert self._permits.acquire(timeout=LONG_S)
        if number in self.raises:
            raise self.raises[number]
        return [self.refuses.get(item) or reply_to(item) for item in items]

    def hold(self) -> None:
        """Let no exchange end before it is released."""
        self._held = True

    def release_one(self) -> None:
        """Let the exchange end that is under way, and hold those after it."""
        self._permits.release()

    def release(self) -> None:
        """Let every exchange end."""
        self._held = False
        self._permits.release()

    def wait_begun(self, count: int) -> None:
        """Wait until so many exchanges were begun."""
        wait_until(lambda: len(self.groups) == count, 10, f"{count} exchanges are begun")


class Caller(threading.Thread):
    """One caller in a thread of its own; it keeps its reply, or what was raised, and how long it took."""

    def __init__(self, commit: Commit, item: int, within_s: float = LONG_S) -> None:
        super().__init__(name=f"caller of {item}", daemon=True)
        self._commit = commit
        self._item = item
        self.deadline = time.monotonic() + within_s
        self.outcome: str | BaseException = "none yet"
        self.late_s = 0.0
        self.start()

    def run(self) -> None:
        if UNDER_GEVENT:
            # In a plain thread this alone would make its end take ten milliseconds.
            self.greenlet = gevent.getcurrent()
        try:
            self.outcome = submit(self._commit, self._item, self.deadline)
        except BaseException as error:
            self.outcome = error
        self.late_s = time.monotonic() - self.deadline

    def result(self) -> str | BaseException:
        """Wait for the outcome."""
        self.join(LONG_S + 5)
        assert not self.is_alive(), f"{self.name} waits for ever"
        return self.outcome

    def refusal(self) -> str:
        """Wait for the outcome, which must be a refusal, and return its word."""
        outcome = self.result()
        assert isinstance(outcome, BrokerError), outcome
        return outcome.code


def wait_waiting(commit: Commit, count: int) -> None:
    """Wait until so many callers wait for their turn, which nothing public tells."""
    wait_until(lambda: len(commit._waiting) == count, 10, f"{count} callers wait")


def start_held(commit: Commit, exchange: Exchange, item: int = 0) -> Caller:
    """Start a caller whose exchange is held."""
    exchange.hold()
    begun = len(exchange.groups)
    caller = Caller(commit, item)
    exchange.wait_begun(begun + 1)
    return caller


def start_waiting(commit: Commit, items: Sequence[int], within_s: float = LONG_S) -> list[Caller]:
    """Start callers one by one, so that they wait in this order."""
    callers = []
    for item in items:
        before = len(commit._waiting)
        callers.append(Caller(commit, item, within_s))
        wait_waiting(commit, before + 1)
    return callers


def assert_works(commit: Commit) -> None:
    """Check that a new caller is answered at once, whatever went before."""
    caller = Caller(commit, 999, within_s=5.0)
    assert caller.result() == reply_to(999)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """Give an exchange, and let go whom it still holds at the end."""
    exchange = Exchange()
    yield exchange
    exchange.release()


@pytest.fixture
def commit(exchange: Exchange) -> Commit:
    return GroupCommit(exchange)


def test_a_caller_that_is_alone_exchanges_at_once(commit: Commit, exchange: Exchange) -> None:
    for item in range(3):
        assert submit(commit, item, time.monotonic() + LONG_S) == reply_to(item)
    assert exchange.groups == [[0], [1], [2]]
    assert set(exchange.leaders) == {threading.current_thread().name}


def test_a_caller_gives_its_own_deadline_to_the_exchange(commit: Commit, exchange: Exchange) -> None:
    submit(commit, 0, 123.0 + time.monotonic())
    assert exchange.deadlines[0] == pytest.approx(time.monotonic() + 123, abs=5)


def test_callers_that_arrive_during_an_exchange_share_the_next(commit: Commit, exchange: Exchange) -> None:
    first = start_held(commit, exchange)
    others = start_waiting(commit, [1, 2, 3, 4, 5])
    exchange.release()
    assert first.result() == reply_to(0)
    assert [each.result() for each in others] == [reply_to(item) for item in [1, 2, 3, 4, 5]]
    assert exchange.groups == [[0], [1, 2, 3, 4, 5]]


def test_the_youngest_leads_with_its_own_deadline(commit: Commit, exchange: Exchange) -> None:
    start_held(commit, exchange)
    callers = start_waiting(commit, [1, 2, 3])
    exchange.release()
    for each in callers:
        each.result()
    assert exchange.leaders[1] == callers[-1].name
    assert exchange.deadlines[1] == callers[-1].deadline


def test_more_than_the_most_in_a_group_go_in_several(commit: Commit, exchange: Exchange) -> None:
    start_held(commit, exchange)
    items = range(1, MAX_IN_GROUP + 45)
    callers = [Caller(commit, item) for item in items]
    wait_waiting(commit, len(items))
    exchange.release()
    assert [each.result() for each in callers] == [reply_to(item) for item in items]
    assert [len(group) for group in exchange.groups] == [1, MAX_IN_GROUP, 44]
    assert sorted(exchange.groups[1] + exchange.groups[2]) == list(items)


class Rough:
    """An exchange of uneven speed that refuses some items, and now and then a whole group."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # it chooses faults, not secrets
        self.seen: list[int] = []
        self.torn: set[int] = set()
        self.groups = 0
        self._busy = False

    def __call__(self, items: Sequence[int], _deadline: float) -> Sequence[str | BrokerError]:
        assert not self._busy, "two exchanges at once"
        self._busy = True
        self.seen += items
        self.groups += 1
        if self._random.random() < 0.5:
            time.sleep(self._random.random() * 0.0005)
        self._busy = False
        if self._random.random() < 0.1:
            self.torn |= set(items)
            raise BrokerError("broker_unavailable", "torn")
        return [BrokerError("stream_full", str(item)) if item % 7 == 0 else reply_to(item) for item in items]

    def expected(self, item: int) -> str:
        """Say what became of an item."""
        if item in self.torn:
            return "torn"
        return str(item) if item % 7 == 0 else reply_to(item)


def submit_all(commit: Commit, items: Sequence[int]) -> list[str]:
    """Submit items one after the other, and return each one's reply or refusal."""
    outcomes = []
    for item in items:
        try:
            outcomes.append(submit(commit, item, time.monotonic() + LONG_S))
        except BrokerError as error:
            outcomes.append(error.detail)
    return outcomes


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Let the interpreter change threads all the time, so that races come to light."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
@pytest.mark.parametrize("seed", range(3))
def test_each_of_many_callers_gets_exactly_its_own_answers_and_keeps_its_order(seed: int) -> None:
    threads, each = 32, 200
    rough = Rough(seed)
    commit: Commit = GroupCommit(rough)
    outcomes: dict[int, list[str]] = {}
    shares = [range(number * each, (number + 1) * each) for number in range(threads)]

    def work(share: range) -> None:
        outcomes[share.start] = submit_all(commit, share)

    workers = [threading.Thread(target=work, args=(share,), daemon=True) for share in shares]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()
    for share in shares:
        assert outcomes[share.start] == [rough.expected(item) for item in share]
        assert [item for item in rough.seen if item in share] == list(share)
    assert len(rough.seen) == threads * each
    assert rough.groups < len(rough.seen)
    assert rough.torn


def test_a_members_own_refusal_is_its_alone(commit: Commit, exchange: Exchange) -> None:
    first = start_held(commit, exchange)
    exchange.refuses[2] = BrokerError("stream_full", "")
    elder, refused, younger = start_waiting(commit, [1, 2, 3])
    exchange.release()
    assert first.result() == reply_to(0)
    assert (elder.result(), younger.result()) == (reply_to(1), reply_to(3))
    assert refused.result() is exchange.refuses[2]


def test_an_exchange_that_raises_fails_its_whole_group_and_the_next_works(
    commit: Commit, exchange: Exchange
) -> None:
    first = start_held(commit, exchange)
    exchange.raises[1] = BrokerError("broker_read_only", "")
    group = start_waiting(commit, [1, 2, 3])
    exchange.release_one()
    exchange.wait_begun(2)
    behind = start_waiting(commit, [4, 5])
    exchange.release()
    assert first.result() == reply_to(0)
    assert [each.refusal() for each in group] == ["broker_read_only"] * 3
    assert [each.result() for each in behind] == [reply_to(4), reply_to(5)]
    assert_works(commit)


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, gevent.GreenletExit, KeyboardInterrupt])
def test_an_exchange_that_breaks_off_leaves_nobody_waiting(
    commit: Commit, exchange: Exchange, error: type[BaseException]
) -> None:
    first = start_held(commit, exchange)
    exchange.raises[1] = error()
    *members, leader = start_waiting(commit, [1, 2, 3])
    exchange.release_one()
    exchange.wait_begun(2)
    behind = start_waiting(commit, [4, 5])
    exchange.release()
    assert first.result() == reply_to(0)
    assert leader.result() is exchange.raises[1]
    assert [each.refusal() for each in members] == ["broker_timeout"] * 2
    assert [each.result() for each in behind] == [reply_to(4), reply_to(5)]
    assert_works(commit)


def test_a_lone_caller_whose_exchange_breaks_off_leaves_the_way_free(
    commit: Commit, exchange: Exchange
) -> None:
    exchange.raises[0] = SystemExit()
    assert Caller(commit, 0).result() is exchange.raises[0]
    assert_works(commit)


def test_a_caller_whose_deadline_passes_while_it_waits_is_refused_in_time_and_never_exchanged(
    commit: Commit, exchange: Exchange
) -> None:
    first = start_held(commit, exchange)
    (patient,) = start_waiting(commit, [1])
    hasty = start_waiting(commit, [2, 3], within_s=0.2)
    assert [each.refusal() for each in hasty] == ["broker_unavailable", "broker_unavailable"]
    assert all(0 <= each.late_s < GRACE_S for each in hasty)
    exchange.release()
    assert first.result() == reply_to(0)
    assert patient.result() == reply_to(1)
    assert exchange.groups == [[0], [1]]
    assert_works(commit)


def test_a_deadline_that_has_passed_already_is_refused_at_once_behind_a_leader(
    commit: Commit, exchange: Exchange
) -> None:
    start_held(commit, exchange)
    late = Caller(commit, 1, within_s=-1.0)
    assert late.refusal() == "broker_unavailable"
    assert late.late_s < 1 + GRACE_S


def test_a_caller_whose_deadline_passes_in_flight_is_told_that_its_item_may_be_stored(
    commit: Commit, exchange: Exchange
) -> None:
    first = start_held(commit, exchange)
    (hasty,) = start_waiting(commit, [1], within_s=0.5)
    (patient,) = start_waiting(commit, [2])
    exchange.release_one()
    assert first.result() == reply_to(0)
    assert hasty.refusal() == "broker_timeout"
    assert 0 <= hasty.late_s < GRACE_S
    assert patient.is_alive()
    exchange.release()
    assert patient.result() == reply_to(2)
    assert exchange.groups == [[0], [1, 2]]
    assert_works(commit)


def race_for_the_lead(sooner_s: float) -> str:
    """Let an exchange end `sooner_s` before the only waiter's deadline; say what the waiter was told."""
    begun = threading.Event()

    def exchange(items: Sequence[int], deadline: float) -> Sequence[str | BrokerError]:
        begun.set()
        while items == [0] and time.monotonic() < deadline:
            time.sleep(0.0001)
        return [reply_to(item) for item in items]

    commit: Commit = GroupCommit(exchange)
    first = Caller(commit, 0, within_s=0.01)
    assert begun.wait(10)
    second = Caller(commit, 1, within_s=first.deadline + sooner_s - time.monotonic())
    assert first.result() == reply_to(0)
    outcome = second.result()
    assert_works(commit)
    return outcome.code if isinstance(outcome, BrokerError) else str(outcome)


def test_the_lead_is_passed_on_though_the_promoted_one_has_just_timed_out() -> None:
    outcomes = {race_for_the_lead((number % 21 - 10) / 5000) for number in range(105)}
    # Both ways of the race were seen, and each time the next caller was served.
    assert outcomes == {reply_to(1), "broker_unavailable"}


def submit_and_be_interrupted(commit: Commit, item: int) -> None:
    """Wait behind a leader, and be stopped there: under gevent as a greenlet is killed, else by a signal."""
    ahead = len(commit._waiting)
    if UNDER_GEVENT:
        caller = Caller(commit, item)
        wait_waiting(commit, ahead + 1)
        gevent.kill(caller.greenlet, Interrupted)
        assert isinstance(caller.result(), Interrupted)
        return

    def interrupt() -> None:
        wait_waiting(commit, ahead + 1)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, _raise_interrupted)
    killer = threading.Thread(target=interrupt, daemon=True)
    killer.start()
    try:
        with pytest.raises(Interrupted):
            submit(commit, item, time.monotonic() + LONG_S)
    finally:
        killer.join(LONG_S)
        signal.signal(signal.SIGUSR1, before)


def _raise_interrupted(_number: int, _frame: object) -> None:
    raise Interrupted


def test_a_caller_that_is_stopped_while_it_waits_does_not_take_the_lead_with_it(
    commit: Commit, exchange: Exchange
) -> None:
    first = start_held(commit, exchange)
    elders = start_waiting(commit, [1, 2], within_s=5.0)
    submit_and_be_interrupted(commit, 3)
    exchange.release()
    assert first.result() == reply_to(0)
    assert [each.result() for each in elders] == [reply_to(1), reply_to(2)]
    assert_works(commit)


@pytest.mark.skipif(UNDER_GEVENT, reason="this is the test that runs all the others under gevent")
def test_all_of_this_holds_for_greenlets_too() -> None:
    script = "from gevent import monkey; monkey.patch_all(); import pytest; raise SystemExit(pytest.main())"
    options = ["-q", "-p", "no:cacheprovider", "--tb=short", __file__]
    done = subprocess.run(
        [sys.executable, "-c", script, *options], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
