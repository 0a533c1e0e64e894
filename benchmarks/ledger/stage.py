"""The stage: one scenario played from the broker's start to its account, under load all the while."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from benchmarks.ledger.account import Account, settle
from benchmarks.ledger.brokers import Entry, Setup, read_streams
from benchmarks.ledger.load import Load
from benchmarks.ledger.projects import Projects
from tests.fixtures.servers.gunicorn import Service

WORKERS = 2
PUBLISH_TIMEOUT_MS = 1000

_STEP_S = 0.1

SetupT = TypeVar("SetupT", bound=Setup)


@dataclass
class Stage(Generic[SetupT]):
    """What a fault can lay its hands on.

    ``backs`` are the moments, on the monotonic clock, from which recovery counts; ``meanwhile`` is done again
    and again while the load goes on; ``taken`` are entries that it read and then removed from the streams.
    """

    setup: SetupT
    service: Service
    is_short: bool
    backs: list[float] = field(default_factory=list)
    taken: list[Entry] = field(default_factory=list)
    meanwhile: Callable[[], None] = field(default=lambda: None)

    def hold(self, seconds: float, short: float) -> None:
        """Let the load go on for so many seconds, or for `short` in the short form."""
        until = time.monotonic() + (short if self.is_short else seconds)
        while (remaining := until - time.monotonic()) > 0:
            time.sleep(min(remaining, _STEP_S))
            self.meanwhile()

    def back(self) -> None:
        """Note that from now on the service has all that it needs."""
        self.backs.append(time.monotonic())


@dataclass(frozen=True)
class Scenario:
    """One fault: the set-up that it meets, what is done to it, and what must come of it.

    ``felt`` are the words of which senders must have met one, or else the fault has proved nothing.
    ``loses`` and ``doubles`` mark the controls, in which the ledger must find what it looks for.
    """

    name: str
    fault: str
    durability: str
    setup: Callable[[], Setup]
    strike: Callable[[Stage[Any]], None]
    felt: frozenset[str]
    settings: Mapping[str, str | int] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    partitions: int = 1
    kills_workers: bool = False
    loses: bool = False
    doubles: bool = False


def play(scenario: Scenario, projects: Projects, *, is_short: bool, worker_class: str) -> Account:
    """Run one scenario and return its account; everything it started has ended by then."""
    with scenario.setup() as setup:
        settings = {
            "VIGILRY_DATABASE_URL": projects.database_url,
            "VIGILRY_REDIS_URL": setup.url,
            "VIGILRY_DURABILITY": scenario.durability,
            "VIGILRY_STREAM_PARTITIONS": scenario.partitions,
            "VIGILRY_PUBLISH_TIMEOUT_MS": PUBLISH_TIMEOUT_MS,
            **scenario.settings,
        }
        with Service(settings, workers=WORKERS, worker_class=worker_class) as service:
            stage = Stage(setup, service, is_short)
            with Load(service, projects.api_keys, **scenario.load) as load:
                stage.hold(1.5, 0.7)
                scenario.strike(stage)
                stage.hold(2.5, 1.0)
                answers = load.finish()
            # Every request has its answer, so nothing is cut short, and nothing can be appended any more.
            service.kill()
        entries = stage.taken + read_streams(setup, scenario.partitions)
    return settle(answers, entries, stage.backs)
