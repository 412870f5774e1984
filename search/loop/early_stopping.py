"""Asynchronous successive halving (ASHA) on the figure that decides, independent of Ray.

Rungs lie at grace_epochs, grace_epochs * reduction_factor, ... A trial that reaches a rung is
stopped when its figure (by default the EER from d'; lower is better) is worse than the best
1/reduction_factor of the figures recorded there before.
The decisions are those of Ray's AsyncHyperBandScheduler with one bracket.

With several goals trials are compared in all of them: one goes on if it is among the best
1/reduction_factor of all that reached the rung, itself included, in the order of
`results.analysis.nondominated.best_first`. The costs in it are exact, only the figure is noisy.
Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020
(arXiv:1810.05934).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from results.analysis.nondominated import Point, best_first
from results.analysis.rungs import asha_rungs
from results.records.search_records import GraceChanged
from search.config.sections import AUTO, SchedulerConfig
from search.loop.auto_grace import AutoGrace
from spaces.files.errors import RunError


@dataclass(frozen=True, slots=True, kw_only=True)
class Among:
    """The comparison of a trial in several goals.

    Attributes:
        passing: How many trials go on.
        compared: Trials at the rung, itself included.
    """

    passing: int
    compared: int

    @property
    def stop_in_words(self) -> str:
        """Why a trial is stopped: a part of a sentence."""
        return f"not among the best {self.passing} of {self.compared} in all goals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision of early stopping after an epoch.

    Attributes:
        stop: Whether the trial is stopped after this epoch.
        rung: The rung that the trial reached, epochs; None between rungs.
        cutoff_pct: Highest figure with which the trial goes on, percent; None for the first trial
            at a rung, and with several goals.
        in_grace: Whether the rung lies before the grace epochs and stops no trial.
        among: The comparison with several goals; None with one, and for the first trial.
    """

    stop: bool
    rung: float | None = None
    cutoff_pct: float | None = None
    in_grace: bool = False
    among: Among | None = None


GO_ON = Verdict(stop=False)


@dataclass(slots=True)
class _Rung:
    epoch: float
    recorded: dict[int, float] = field(default_factory=dict)


class SuccessiveHalving:
    """Decides after each epoch whether a trial goes on.

    A (trial, epoch) that a restarted trial reports again gets the first verdict again and is not
    recorded twice.

    Args:
        rungs: Epochs at which trials are compared, ascending; none means that no trial is stopped.
        reduction_factor: About one of so many trials at a rung goes on.
        has_auto_grace: Whether the first rung that stops trials is moved (`grace_epochs: auto`).

    Attributes:
        auto_grace: The grace epochs that are moved, None where the lowest rung stops trials too.

    Raises:
        ValueError: A rung is below 1 or they do not ascend, or the factor is at most 1.
    """

    def __init__(
        self, rungs: Sequence[float], reduction_factor: float, *, has_auto_grace: bool = False
    ) -> None:
        if list(rungs) != sorted(set(rungs)) or any(rung < 1 for rung in rungs):
            raise ValueError(f"rungs must ascend from 1 or more, got {list(rungs)}")
        # `not >` also refuses NaN. At 1 the percentile would be 0: no trial would ever be stopped.
        if not reduction_factor > 1:
            raise ValueError(f"reduction_factor must be above 1, got {reduction_factor}")
        self._rungs = [_Rung(epoch) for epoch in rungs]
        self.auto_grace = AutoGrace(rungs) if has_auto_grace else None
        self._factor = reduction_factor
        self._costs: dict[int, Point] = {}
        # Kept for each epoch: a trial that is restored from a checkpoint reports its last epoch
        # again, and the rung may have more trials by then.
        self._verdicts: dict[tuple[int, int], Verdict] = {}

    def decide(self, trial: int, epoch: int, figure_pct: float, costs: Point = ()) -> Verdict:
        """Record a result and decide whether the trial goes on.

        Args:
            trial: The trial's number.
            epoch: Epochs finished, from 1.
            figure_pct: The figure that decides after that epoch, percent, finite.
            costs: The trial's costs; empty with one goal.

        Raises:
            ValueError: The figure is NaN or infinite; comparisons with it would never stop a
                trial.
        """
        if not np.isfinite(figure_pct):
            raise ValueError(f"figure_pct must be finite, got {figure_pct} (trial {trial})")
        if (trial, epoch) not in self._verdicts:
            self._costs[trial] = costs
            self._verdicts[trial, epoch] = self._decide(trial, epoch, figure_pct)
        return self._verdicts[trial, epoch]

    def due_grace(self) -> GraceChanged | None:
        """Return the change of the grace epochs that is due; None for none."""
        return None if self.auto_grace is None else self.auto_grace.due()

    def take_grace(self, change: GraceChanged) -> None:
        """Change the grace epochs.

        Raises:
            RunError: They are fixed, or the change is to no rung.
        """
        if self.auto_grace is None:
            raise RunError(
                "the journal has grace_changed, but its grace_epochs is not auto; restore the run "
                "folder from a copy"
            )
        self.auto_grace.take(change)

    def recorded(self) -> dict[float, dict[int, float]]:
        """Return the figures recorded so far in percent, by rung and trial."""
        return {rung.epoch: dict(rung.recorded) for rung in self._rungs}

    def _decide(self, trial: int, epoch: int, figure_pct: float) -> Verdict:
        # The highest rung that was reached and not recorded counts, as in Ray: a trial without a
        # figure at a rung's own epoch is compared there at its next one.
        for rung in reversed(self._rungs):
            if epoch >= rung.epoch and trial not in rung.recorded:
                # Before its own figure is recorded: the first trial at a rung always goes on.
                found = self._compare(rung, trial, figure_pct)
                rung.recorded[trial] = figure_pct
                in_grace = False
                if self.auto_grace is not None:
                    in_grace = rung.epoch < self.auto_grace.epochs
                    self.auto_grace.record(rung.epoch, trial, figure_pct, passes=not found.stop)
                return replace(found, stop=found.stop and not in_grace, in_grace=in_grace)
        return GO_ON

    def _compare(self, rung: _Rung, trial: int, figure_pct: float) -> Verdict:
        """Return the verdict on a trial at a rung, were it not in the grace epochs."""
        if not rung.recorded:
            return Verdict(stop=False, rung=rung.epoch)
        if not self._costs[trial]:
            cutoff = self._cutoff_pct(rung)
            # A figure equal to the cutoff goes on, as in Ray.
            return Verdict(stop=figure_pct > cutoff, rung=rung.epoch, cutoff_pct=cutoff)
        points = [(pct, *self._costs[other]) for other, pct in rung.recorded.items()]
        points.append((figure_pct, *self._costs[trial]))
        among = Among(passing=max(1, int(len(points) / self._factor)), compared=len(points))
        passes = len(points) - 1 in islice(best_first(points), among.passing)
        return Verdict(stop=not passes, rung=rung.epoch, among=among)

    def _cutoff_pct(self, rung: _Rung) -> float:
        # The percentile of the negated figures, so that floats round exactly as in Ray, which
        # maximises.
        rewards = [-figure_pct for figure_pct in rung.recorded.values()]
        return -float(np.percentile(rewards, (1 - 1 / self._factor) * 100))


def scheduler_rungs(scheduler: SchedulerConfig, max_epochs: int) -> list[float]:
    """Return the epochs at which trials are compared; empty without early stopping."""
    if scheduler.kind == "none":
        return []
    return asha_rungs(scheduler.first_rung, scheduler.reduction_factor, max_epochs)


def make_halving(scheduler: SchedulerConfig, max_epochs: int) -> SuccessiveHalving:
    """Return the early stopping of a search, new and unused.

    Args:
        scheduler: Its settings.
        max_epochs: Epochs of a trial that is not stopped.
    """
    return SuccessiveHalving(
        scheduler_rungs(scheduler, max_epochs),
        scheduler.reduction_factor,
        has_auto_grace=scheduler.grace_epochs == AUTO,
    )
