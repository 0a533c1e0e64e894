"""The criteria of the benchmark."""

from typing import NamedTuple


class Criterion(NamedTuple):
    """A ratio or percentage with a lower or an upper bound."""

    text: str
    bound: float
    measured: float
    at_least: bool = True

    @property
    def holds(self) -> bool:
        """Return whether the measured value is within the bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def line(self) -> str:
        """Return the criterion and its verdict as one line."""
        sign, verdict = ("≥" if self.at_least else "≤"), ("holds" if self.holds else "falls short")
        return f"{verdict:11s}  {self.text}: {self.measured:.2f} (target: {sign} {self.bound:g})"
