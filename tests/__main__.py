"""Run all tests, as ``make test`` does: in four processes what measures no time, then alone what does.

Further arguments are passed on to pytest.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

# More processes than the cores of a small machine, because half of a test's time is waiting.
PARTS = {
    "in four processes": ("-m", "not alone", "-n", "4", "--dist", "loadgroup", "--no-loadscope-reorder"),
    "alone": ("-m", "alone"),
}


class Totals(NamedTuple):
    """The outcome of one part, or of all."""

    passed: int
    failed: int
    skipped: int
    minutes: float


def main(arguments: list[str]) -> int:
    """Run both parts, print one closing line with the totals, and return the exit code."""
    is_success = True
    totals: dict[str, Totals] = {}
    for name, options in PARTS.items():
        print(f"Tests that run {name}:", flush=True)
        code, totals[name] = run(*options, *arguments)
        # A selection may have no tests in one of the parts.
        is_success &= code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    passed, failed, skipped, minutes = (sum(column) for column in zip(*totals.values(), strict=True))
    parts = ", ".join(f"{name} {part.minutes:.1f}" for name, part in totals.items())
    print(
        f"{'Tests passed' if is_success else 'Tests FAILED'}: "
        f"{passed} passed, {failed} failed, {skipped} skipped in {minutes:.1f} minutes ({parts})",
        flush=True,
    )
    return 0 if is_success and passed else 1


def run(*arguments: str) -> tuple[int, Totals]:
    """Run pytest, and return its exit code and the totals."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        began = time.monotonic()
        code = subprocess.run(
            [sys.executable, "-m", "pytest", f"--junit-xml={report}", "-o", "junit_logging=no", *arguments],
            check=False,
        ).returncode
        return code, read_totals(report, (time.monotonic() - began) / 60)


def read_totals(report: Path, minutes: float) -> Totals:
    """Read pytest's report; a part that ended without one counts as a failure."""
    if not report.exists():
        return Totals(0, 1, 0, minutes)
    tests = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314  # pytest wrote it
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return Totals(tests - failed - skipped, failed, skipped, minutes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
