"""Optuna asked and told, trial by trial; knows no Ray, no files, no clock.

Suggestion n draws from (seed, n) and from what the study was told before it. With one trial at a
time a seed therefore gives the same search, whether or not it was interrupted.
"""

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from results.distributions import to_distribution
from results.journal import EndState
from spaces.dimensions import Dimension
from spaces.space import Space

SamplerKind = Literal["tpe", "random"]

STATES: Mapping[EndState, TrialState] = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "diverged": TrialState.FAIL,
}


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

    Trials are numbered from 0 and must be suggested or restored in that order. Errors of Optuna
    are raised, never dropped.

    Args:
        space: What to draw from.
        kind: `tpe`, the tree-structured Parzen estimator over all parameters jointly, or `random`.
        seed: Seed of the search.
    """

    def __init__(self, space: Space, *, kind: SamplerKind, seed: int) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._space = space
        self._kind = kind
        self._seed = seed
        self._study = optuna.create_study(direction="minimize", sampler=RandomSampler(seed))
        self._trials: list[optuna.Trial] = []

    @property
    def num_suggested(self) -> int:
        """How many trials were suggested or restored: the number of the next one."""
        return len(self._trials)

    @property
    def study(self) -> optuna.Study:
        """The study; for reading only."""
        return self._study

    def suggest(self) -> Suggestion:
        """Draws the next trial."""
        sampler_seed, _ = self._seeds(self.num_suggested)
        self._study.sampler = make_sampler(self._kind, sampler_seed)
        return self._ask()

    def restore(self, params: Mapping[str, Any]) -> Suggestion:
        """Takes over the next trial from an earlier run, with its known values.

        Args:
            params: Sampled values by dotted name, as the earlier suggestion had them.

        Raises:
            ValueError: The values are not those that the space asks for.
        """
        self._study.enqueue_trial(dict(params))
        self._study.sampler = RandomSampler(0)
        restored = self._ask()
        if restored.params != dict(params):
            raise ValueError(
                f"suggestion {restored.number} had {dict(params)}, which the space maps to "
                f"{restored.params}"
            )
        return restored

    def report(self, trial: int, epoch: int, veer_pct: float) -> None:
        """Tells the study an intermediate VEER, percent; each epoch once."""
        self._trials[trial].report(veer_pct, epoch)

    def end(self, trial: int, state: EndState, best_veer_pct: float | None = None) -> None:
        """Tells the study how a trial ended.

        A complete trial counts with its best VEER, one that was stopped early with the VEERs it
        reported; a failed or diverged one teaches the sampler nothing.

        Args:
            trial: Its number.
            state: How it ended.
            best_veer_pct: Lowest VEER of its epochs, percent; needed if it is complete.
        """
        value = best_veer_pct if state == "complete" else None
        self._study.tell(self._trials[trial], value, state=STATES[state])

    def _ask(self) -> Suggestion:
        trial = self._study.ask()
        params = self._space.sample(lambda dimension: _draw(trial, dimension))
        self._trials.append(trial)
        _, trial_seed = self._seeds(trial.number)
        return Suggestion(
            number=trial.number, params=params, tree=self._space.tree(params), seed=trial_seed
        )

    def _seeds(self, trial: int) -> tuple[int, int]:
        """Seed of the sampler and seed of the trial, below 2**32."""
        sampler, own = np.random.SeedSequence((self._seed, trial)).generate_state(2)
        return int(sampler), int(own)


def make_sampler(kind: SamplerKind, seed: int) -> BaseSampler:
    """An Optuna sampler for spaces with conditions."""
    if kind == "random":
        return RandomSampler(seed)
    with warnings.catch_warnings():
        # `group` models each set of conditional parameters by itself; experimental since 2.8.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


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
