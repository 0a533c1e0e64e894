"""What must hold, and whether it does in this run."""

from typing import NamedTuple


class Criterion(NamedTuple):
    """One demand: a ratio or a percentage that is at least, or at most, so much."""

    text: str
    asked: float
    measured: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Tell whether it holds."""
        return self.measured >= self.asked if self.at_least else self.measured <= self.asked

    def line(self) -> str:
        """Say it in one line."""
        sign, verdict = ("≥" if self.at_least else "≤"), ("holds" if self.holds else "falls short")
        return f"{verdict:11s}  {self.text}: {self.measured:.2f} (asked: {sign} {self.asked:g})"
