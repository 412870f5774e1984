"""The grace of `grace_epochs: auto`: the first rung that stops trials, moved by what rungs show.

The rungs lie at 1, reduction_factor, reduction_factor^2, ... All compare every trial that reaches
them, and those before the grace stop none. The grace begins at the lowest rung, since this costs
least where early epochs tell enough.

The order at a rung is measured by Kendall's tau between the figures there and those at the next
rung, over the latest trials that are good enough to pass it. Trials that it stops, or would stop
after the grace, are left out: so the same trials judge a rung on either side of the grace. Where
the order does not hold, the grace is raised to the next rung; where it holds well below the grace,
it is lowered. Between the two limits nothing changes, so that chance alone does not move it to and
fro. At least two rungs always stop trials: with fewer, early stopping saves little.

Controls and repeats are no evidence: a search with them makes the same decisions as one without.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from results.records.search_records import GraceChanged
from spaces.files.errors import RunError

# Limits of tau; 0 is chance.
RAISE_BELOW, LOWER_ABOVE = 0.2, 0.4
# With fewer trials chance decides; the latest ones, as a sampler that learns proposes others.
FEWEST_TRIALS, MOST_TRIALS = 8, 20
STOPPING_RUNGS = 2


@dataclass(slots=True)
class _Order:
    """What is known of the order at a rung.

    Attributes:
        passed: Figures of the trials that are good enough to pass, percent, by trial.
        pairs: Figures here and at the next rung of those that reached it, percent, oldest first.
    """

    passed: dict[int, float] = field(default_factory=dict)
    pairs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def tau(self) -> float:
        """Kendall's tau of the latest pairs; NaN of too few."""
        return kendall_tau(self.pairs) if len(self.pairs) >= FEWEST_TRIALS else math.nan


class AutoGrace:
    """The grace epochs of a search, and the evidence that moves them.

    `due` returns a change, and only `take` makes it: the search records a change before it takes
    effect, and a resumed search takes the recorded ones.

    Args:
        rungs: Epochs at which trials are compared, ascending.

    Attributes:
        epochs: Epochs before which no trial is stopped: a rung.
    """

    def __init__(self, rungs: Sequence[float]) -> None:
        self._rungs = list(rungs)
        self._orders = [_Order() for _ in rungs]
        self.epochs = self._rungs[0] if self._rungs else 1.0

    def record(self, rung: float, trial: int, figure_pct: float, *, passes: bool) -> None:
        """Record a trial at a rung; `passes` is whether it is good enough to go on there."""
        place = self._rungs.index(rung)
        if passes:
            self._orders[place].passed[trial] = figure_pct
        if place and trial in self._orders[place - 1].passed:
            below = self._orders[place - 1]
            below.pairs.append((below.passed[trial], figure_pct))
            del below.pairs[:-MOST_TRIALS]

    def due(self) -> GraceChanged | None:
        """Return the change that the evidence requires, None for none."""
        if not self._rungs:
            return None
        place = self._rungs.index(self.epochs)
        if place < len(self._rungs) - STOPPING_RUNGS and self._orders[place].tau < RAISE_BELOW:
            return self._change(place, place + 1)
        if place and self._orders[place - 1].tau > LOWER_ABOVE:
            return self._change(place - 1, place - 1)
        return None

    def take(self, change: GraceChanged) -> None:
        """Make a change.

        Raises:
            RunError: It is to an epoch without a rung.
        """
        if change.grace_epochs not in self._rungs:
            known = ", ".join(f"{rung:g}" for rung in self._rungs) or "none"
            raise RunError(
                f"the journal's grace_changed must be to a rung ({known}), got "
                f"{change.grace_epochs:g}; restore the run folder from a copy"
            )
        self.epochs = change.grace_epochs

    def _change(self, judged: int, to: int) -> GraceChanged:
        order = self._orders[judged]
        return GraceChanged(
            grace_epochs=self._rungs[to],
            was_epochs=self.epochs,
            rung=self._rungs[judged],
            tau=order.tau,
            num_trials=len(order.pairs),
        )


def kendall_tau(pairs: Sequence[tuple[float, float]]) -> float:
    """Return Kendall's tau-a: concordant minus discordant couples of pairs, over all couples."""
    signs = [
        math.copysign(1, product) if product else 0
        for (a, b), (c, d) in combinations(pairs, 2)
        for product in [(a - c) * (b - d)]
    ]
    return sum(signs) / len(signs)
