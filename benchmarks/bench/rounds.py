"""Alternating rounds of load, so that disturbances of the machine affect all candidates equally."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench.candidates import Candidate
from benchmarks.wrk import Load, run_wrk


class Figures(NamedTuple):
    """The medians of a candidate's rounds; CPU is in microseconds per request."""

    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    broker_us: float

    @property
    def cpu_us(self) -> float:
        """Return the CPU of server and broker together."""
        return self.server_us + self.broker_us


@dataclass(frozen=True)
class Plan:
    """The load: rounds, seconds per round, concurrent connections, and worker processes.

    A quick plan leaves out what takes long.
    """

    rounds: int
    seconds: float
    connections: int
    workers: int
    progress: Callable[[str], None]
    is_quick: bool = False


Run = Callable[[], Figures]


def load_on(candidate: Candidate, plan: Plan, *, url: str | None = None, script: Path | None = None) -> Run:
    """Return a function that runs one round of load on a candidate, directly or at another URL."""

    def run() -> Figures:
        server, broker = candidate.cpu_s()
        load = run_wrk(
            url or candidate.url,
            script or candidate.script,
            connections=plan.connections,
            seconds=plan.seconds,
        )
        return _figures(load, (server, broker), candidate.cpu_s())

    return run


def _figures(load: Load, before: tuple[float, float], after: tuple[float, float]) -> Figures:
    server, broker = ((late - early) / load.answers * 1e6 for early, late in zip(before, after, strict=True))
    return Figures(load.per_second, load.p50_ms, load.p99_ms, server, broker)


def alternate(runs: Mapping[str, Run], plan: Plan, what: str) -> dict[str, Figures]:
    """Run every candidate once per round, starting with another one each time; return the medians.

    The first round is a warm-up and is not measured.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in runs}
    names = list(runs)
    for number in range(plan.rounds + 1):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            plan.progress(f"{what}: {name}, round {number} of {plan.rounds}")
            measured = runs[name]()
            if number:
                figures[name].append(measured)
    return {name: median(each) for name, each in figures.items()}


def median(figures: Sequence[Figures]) -> Figures:
    """Return the median of each column."""
    return Figures(*(statistics.median(column) for column in zip(*figures, strict=True)))
