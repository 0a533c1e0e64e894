"""The benchmark's own arithmetic: what it reads from wrk, and when it says that something holds."""

import subprocess
import sys

import pytest

from benchmarks.bench.criteria import Criterion
from benchmarks.bench.rounds import Figures, Plan, alternate, median
from benchmarks.wrk import read_report
from tests.fixtures.servers.gunicorn import ROOT

REPORT = """Running 4s test @ http://127.0.0.1:4100/ingest/events
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     8.94ms    5.50ms  49.43ms   78.58%
    Req/Sec     3.80k   196.32     4.17k    78.75%
  Latency Distribution
     50%  {p50}
     75%   10.02ms
     90%   15.31ms
     99%  {p99}
  30312 requests in 8.01s, 8.82MB read
Requests/sec:   3782.69
Transfer/sec:      1.10MB
"""


@pytest.mark.parametrize(
    ("p50", "p99", "p50_ms", "p99_ms"),
    [
        ("664.00us", "1.20ms", 0.664, 1.2),
        ("7.44ms", "27.07ms", 7.44, 27.07),
        ("1.01s", "1.50m", 1010, 90_000),
    ],
)
def test_latencies_are_read_in_milliseconds_whatever_their_unit(
    p50: str, p99: str, p50_ms: float, p99_ms: float
) -> None:
    load = read_report(REPORT.format(p50=p50, p99=p99))
    assert load == pytest.approx((3782.69, 30312, p50_ms, p99_ms))


@pytest.mark.parametrize("report", ["", "unable to connect", REPORT.replace("99%", "98%")])
def test_what_is_no_report_is_not_read_as_one(report: str) -> None:
    with pytest.raises(ValueError, match="wrk"):
        read_report(report.replace("{p50}", "1ms").replace("{p99}", "1ms"))


@pytest.mark.parametrize(
    ("measured", "at_least", "holds"),
    [(0.85, True, True), (0.84, True, False), (0.85, False, True), (0.86, False, False)],
)
def test_a_criterion_holds_at_its_bound(measured: float, at_least: bool, holds: bool) -> None:
    criterion = Criterion("a ratio", 0.85, measured, at_least=at_least)
    assert criterion.holds is holds
    assert criterion.line().startswith("holds" if holds else "falls short")


def test_medians_are_taken_column_by_column() -> None:
    rows = [Figures(1, 9, 5, 2, 0), Figures(3, 7, 5, 4, 1), Figures(2, 8, 6, 3, 9)]
    assert median(rows) == Figures(2, 8, 5, 3, 1)


def test_candidates_take_turns_and_the_first_round_is_not_counted() -> None:
    turns: list[str] = []

    def run(name: str) -> Figures:
        turns.append(name)
        return Figures(len(turns), 0, 0, 0, 0)

    plan = Plan(rounds=2, seconds=0, connections=1, workers=1, progress=lambda _what: None)
    medians = alternate({name: lambda name=name: run(name) for name in "abc"}, plan, "")  # type: ignore[misc]
    assert "".join(turns) == "abcbcacab"
    assert medians["a"].per_second == (6 + 8) / 2


def test_an_unknown_section_is_a_mistake_in_the_command_line() -> None:
    command = [sys.executable, "-m", "benchmarks.bench", "--only", "peers,nope"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'nope' is none of peers, batch" in done.stderr
