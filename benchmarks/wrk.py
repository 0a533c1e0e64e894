"""The load generator wrk, with the same body and headers for every candidate."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from vigilry_ingest.api.schemas import events

# The contract's first example.
EVENT: dict[str, Any] = events.KIND.example

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


class Load(NamedTuple):
    """A report of wrk: responses per second, the number of responses, and latencies in milliseconds."""

    per_second: float
    answers: int
    p50_ms: float
    p99_ms: float


def require_wrk() -> None:
    """Exit with a message when wrk is not installed."""
    if shutil.which("wrk") is None:
        print("wrk is not installed: apt-get install wrk", file=sys.stderr)
        raise SystemExit(2)


def write_script(folder: Path, key: str, *, body: str | None = None, pause_ms: float = 0.0) -> Path:
    """Write a script for wrk that repeats the same POST.

    With ``pause_ms`` each connection waits a random time between requests, ``pause_ms`` on average.
    """
    script = folder / "post.lua"
    text = (
        f"wrk.method = 'POST'\nwrk.body = [==[{json.dumps(EVENT) if body is None else body}]==]\n"
        f"wrk.headers['Content-Type'] = 'application/json'\nwrk.headers['X-Api-Key'] = '{key}'\n"
    )
    if pause_ms:
        text += f"function delay() return math.random(0, {round(2 * pause_ms)}) end\n"
    script.write_text(text)
    return script


def run_wrk(url: str, script: Path, *, connections: int, seconds: float) -> Load:
    """Run wrk against a URL, and return its report.

    Exits when a response was not successful.
    """
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--latency",
        "-s",
        str(script),
        url,
    ]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in report or "Socket errors" in report:
        raise SystemExit(f"not every request to {url} was accepted:\n{report}")
    return read_report(report)


def read_report(report: str) -> Load:
    """Parse a report of wrk.

    Raises ValueError.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    count = re.search(r"(\d+) requests in", report)
    if rate is None or count is None:
        raise ValueError(f"not a report of wrk:\n{report}")
    return Load(float(rate[1]), int(count[1]), _latency(report, "50%"), _latency(report, "99%"))


def _latency(report: str, which: str) -> float:
    found = re.search(rf"\s{which}\s+([\d.]+)(us|ms|s|m)\b", report)
    if found is None:
        raise ValueError(f"wrk reports no {which}:\n{report}")
    return float(found[1]) * _UNITS[found[2]]
