"""The last lines and the exit status of a benchmark."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A ratio and its target.

    Attributes:
        name: What was measured.
        ratio: The measured value.
        target: The smallest value allowed, or the largest.
        is_limit: Whether the target is the largest value allowed.
    """

    name: str
    ratio: float
    target: float
    is_limit: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the ratio meets the target."""
        return self.ratio <= self.target if self.is_limit else self.ratio >= self.target

    def __str__(self) -> str:
        outcome = "ok" if self.is_met else "missed"
        if self.is_limit:
            return f"{self.name}: ratio={self.ratio:.3f} at most {self.target:.2f} {outcome}"
        return f"{self.name}: ratio={self.ratio:.2f} target={self.target:.2f} {outcome}"


def finish(name: str, *, ratio: float, target: float) -> None:
    """Print the verdict and exit, with status 1 if the target was missed."""
    finish_all([Verdict(name=name, ratio=ratio, target=target)])


def finish_all(verdicts: Sequence[Verdict]) -> None:
    """Print several verdicts, one a line, and exit, with status 1 if any was missed."""
    for verdict in verdicts:
        print(verdict)
    sys.exit(0 if all(verdict.is_met for verdict in verdicts) else 1)
