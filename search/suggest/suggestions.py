"""Optuna asked and told, trial by trial; knows no Ray, no files, no clock.

Suggestion n draws from (seed, n) and from what the study was told before it. With one trial at a
time a seed therefore gives the same search, whether or not it was interrupted.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from results.journal.journal import EndState
from results.trackers.distributions import to_distribution
from search.suggest.samplers import SamplerKind, make_sampler
from spaces.conditions import Params
from spaces.dimensions import Dimension
from spaces.space import Space

OPTUNA_STATES: Mapping[EndState, TrialState] = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
# VEER in percent by epoch of a diverged trial: chance, finite, and worse than any student.
DIVERGED_VEER_PCT: Mapping[int, float] = {1: 50.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What one trial is to try.

    Attributes:
        number: Its place in the study, from 0; rejected suggestions count.
        params: Sampled values by dotted name.
        tree: The same values, and the fixed ones, as the tree of a trial's config.
        seed: Seed for the trial itself.
    """

    number: int
    params: dict[str, Any]
    tree: dict[str, Any]
    seed: int


class Suggestions:
    """One in-memory Optuna study and the samplers that draw from it.

    Suggestions are numbered from 0 and must be made or restored in that order. Errors of Optuna
    are raised, never dropped.

    Args:
        space: What to draw from.
        kind: `tpe`, the tree-structured Parzen estimator over all parameters jointly; `gp`, a
            Gaussian process; `random`; or `grid`, every point of a finite space in order.
        seed: Seed of the search.
        first: Parameters to suggest before anything is drawn.
        passes: How often a grid is walked. The trials of one pass share a seed.
    """

    def __init__(
        self,
        space: Space,
        *,
        kind: SamplerKind,
        seed: int,
        first: Sequence[Params] = (),
        passes: int = 1,
    ) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._space = space
        self._kind = kind
        self._seed = seed
        self._study = optuna.create_study(direction="minimize", sampler=RandomSampler(seed))
        self._trials: list[optuna.Trial] = []
        self._veer_pct: dict[int, dict[int, float]] = {}
        self._first = first
        self._passes = passes
        self._points: list[Params] = list(space.grid_points()) if kind == "grid" else []

    @property
    def num_suggested(self) -> int:
        """How many trials were suggested or restored: the number of the next one."""
        return len(self._trials)

    @property
    def study(self) -> optuna.Study:
        """The study; for reading only."""
        return self._study

    def suggest(self, *, at_random: bool = False) -> Suggestion | None:
        """Draws the next suggestion; None where a grid has no more points.

        Args:
            at_random: Do not ask the sampler, draw from the whole space.
        """
        number = self.num_suggested
        known = self._known(number)
        if known is not None:
            return self.restore(known)
        if self._kind == "grid":
            return None
        sampler_seed, _ = self._seeds(number)
        self._study.sampler = make_sampler("random" if at_random else self._kind, sampler_seed)
        return self._ask()

    def upcoming(self) -> Suggestion | None:
        """The next suggestion where it is known without drawing: a grid's next point."""
        number = self.num_suggested
        known = self._known(number)
        return None if known is None else self._suggestion(number, known)

    def restore(self, params: Mapping[str, Any]) -> Suggestion:
        """Makes the next suggestion one with known values, as those of an earlier run.

        Args:
            params: Sampled values by dotted name, as the earlier suggestion had them.

        Raises:
            ValueError: The values are not those that the space asks for.
        """
        for dimension in self._space.dimensions:  # Optuna would warn, and draw another value
            if dimension.name in params and not dimension.contains(params[dimension.name]):
                value = params[dimension.name]
                raise ValueError(f"{value!r} not in the values of {dimension.name}")
        self._study.enqueue_trial(dict(params))
        self._study.sampler = RandomSampler(0)
        restored = self._ask()
        if restored.params != dict(params):
            raise ValueError(
                f"suggestion {restored.number} had {dict(params)}, which the space maps to "
                f"{restored.params}"
            )
        return restored

    def report(self, number: int, epoch: int, veer_pct: float) -> None:
        """Notes an intermediate VEER, percent; each epoch once. `end` tells the study."""
        self._veer_pct.setdefault(number, {})[epoch] = veer_pct

    def end(self, number: int, state: EndState, best_veer_pct: float | None = None) -> None:
        """Tells the study how a trial ended.

        A complete trial counts with its best VEER, one that was stopped early with the VEERs it
        reported; a failed one teaches the sampler nothing. A diverged one counts as one that was
        stopped after its first epoch at chance: Optuna ranks pruned trials by their last epoch
        first, so with its real epochs it would pass for better than those stopped before it.

        Args:
            number: The suggestion's.
            state: How it ended.
            best_veer_pct: Lowest VEER of its epochs, percent; needed if it is complete.
        """
        known = self._veer_pct.pop(number, {})
        for epoch, veer_pct in (DIVERGED_VEER_PCT if state == "diverged" else known).items():
            self._trials[number].report(veer_pct, epoch)
        value = best_veer_pct if state == "complete" else None
        self._study.tell(self._trials[number], value, state=OPTUNA_STATES[state])

    def reject(self, number: int, excesses: Mapping[str, float]) -> None:
        """Tells the study that a suggestion lies outside the limits.

        Args:
            number: The suggestion's.
            excesses: How far it exceeds each limit that it breaks, above 0.
        """
        for limit, excess in excesses.items():
            self._trials[number].set_constraint(limit, excess)
        self._study.tell(self._trials[number], state=TrialState.PRUNED)

    def _known(self, number: int) -> Params | None:
        """The parameters of a suggestion that is not drawn, None where it is."""
        if number < len(self._first):
            return self._first[number]
        place = number - len(self._first)
        if place < len(self._points) * self._passes:
            return self._points[place % len(self._points)]
        return None

    def _ask(self) -> Suggestion:
        trial = self._study.ask()
        params = self._space.sample(lambda dimension: _draw(trial, dimension))
        self._trials.append(trial)
        return self._suggestion(trial.number, params)

    def _suggestion(self, number: int, params: Params) -> Suggestion:
        pass_number = number // len(self._points) if self._points else number
        _, trial_seed = self._seeds(pass_number)
        tree = self._space.tree(params)
        return Suggestion(number=number, params=params, tree=tree, seed=trial_seed)

    def _seeds(self, trial: int) -> tuple[int, int]:
        """Seed of the sampler and seed of the trial, below 2**32."""
        sampler, own = np.random.SeedSequence((self._seed, trial)).generate_state(2)
        return int(sampler), int(own)


def _draw(trial: optuna.Trial, dimension: Dimension) -> Any:
    name = dimension.name
    match to_distribution(dimension):
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
        case other:
            raise TypeError(f"cannot draw from {other!r}")
