"""Running one scenario under load, from the broker's start to the account."""

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
    """The running parts that a fault can act on.

    Parameters:
        fault_ends: the times from which recovery is measured, on the monotonic clock
        taken: entries that were read and then removed from the streams
        meanwhile: called repeatedly while the load runs
    """

    setup: SetupT
    service: Service
    is_short: bool
    fault_ends: list[float] = field(default_factory=list)
    taken: list[Entry] = field(default_factory=list)
    meanwhile: Callable[[], None] = field(default=lambda: None)

    def hold(self, seconds: float, short: float) -> None:
        """Wait under load for ``seconds``, or for ``short`` seconds in the short form."""
        until = time.monotonic() + (short if self.is_short else seconds)
        while (remaining := until - time.monotonic()) > 0:
            time.sleep(min(remaining, _STEP_S))
            self.meanwhile()

    def end_fault(self) -> None:
        """Record that the fault has ended, and recovery begins."""
        self.fault_ends.append(time.monotonic())


@dataclass(frozen=True)
class Scenario:
    """One fault: the set-up, the function that injects it, and the expected effects.

    ``effects`` are error codes, of which senders must get at least one. ``loses`` and ``doubles`` mark the
    controls, in which the ledger must detect losses or duplicates.
    """

    name: str
    fault: str
    durability: str
    setup: Callable[[], Setup]
    inject: Callable[[Stage[Any]], None]
    effects: frozenset[str]
    settings: Mapping[str, str | int] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)
    partitions: int = 1
    kills_workers: bool = False
    loses: bool = False
    doubles: bool = False


def play(scenario: Scenario, projects: Projects, *, is_short: bool, worker_class: str) -> Account:
    """Run one scenario, stop everything, and return the account."""
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
                scenario.inject(stage)
                stage.hold(2.5, 1.0)
                answers = load.finish()
            # Every request has been answered, so nothing is interrupted, and nothing more can be appended.
            service.kill()
        entries = stage.taken + read_streams(setup, scenario.partitions)
    return settle(answers, entries, stage.fault_ends)
