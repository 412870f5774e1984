"""Samplers and early stopping of other tools, as a simulated search calls them."""

import math
from types import SimpleNamespace
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner
from optuna.trial import TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

from results.analysis.rungs import asha_rungs
from search.loop.early_stopping import SuccessiveHalving
from spaces.dimensions import Choice, Float, Integer
from spaces.space import Space

REDUCTION_FACTOR = 3
# What a tool without a state for diverged trials is given.
CHANCE_PCT = 50.0


class OtherSettings:
    """A sampler in its own Optuna study with Veer's early stopping, reported as Veer does.

    Args:
        space: The space.
        sampler: Used in place of the one that Veer makes.
        max_epochs: Epochs of a trial at full length.
        grace_epochs: The first rung.
    """

    def __init__(
        self,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        *,
        max_epochs: int,
        grace_epochs: int,
    ) -> None:
        self._space, self._max_epochs = space, max_epochs
        rungs = asha_rungs(grace_epochs, REDUCTION_FACTOR, max_epochs)
        self._halving = SuccessiveHalving(rungs, REDUCTION_FACTOR)
        self._study = optuna.create_study(sampler=sampler)
        self._trials: list[optuna.Trial] = []
        self._best_pct: dict[int, float] = {}

    def suggest(self) -> tuple[int, dict[str, Any]]:
        trial = self._study.ask()
        self._trials.append(trial)
        define_by_run(self._space, trial)
        return trial.number, trial.params

    def report(self, trial: int, epoch: int, figure_pct: float) -> bool:
        self._best_pct[trial] = min(figure_pct, self._best_pct.get(trial, figure_pct))
        self._trials[trial].report(figure_pct, epoch)
        if epoch >= self._max_epochs:
            self._study.tell(trial, self._best_pct[trial])
            return False
        if self._halving.decide(trial, epoch, figure_pct).stop:
            self._study.tell(trial, state=TrialState.PRUNED)
            return False
        return True


class OptunaPruned:
    """Optuna's sampler and pruner, called as its `optimize` with a usual objective calls them.

    Args:
        space: The space.
        sampler: A new one.
        pruner: A new one, Hyperband by default.
        max_epochs: Epochs of a trial at full length.
    """

    def __init__(
        self,
        space: Space,
        sampler: optuna.samplers.BaseSampler,
        *,
        max_epochs: int,
        pruner: BasePruner | None = None,
    ) -> None:
        self._space, self._max_epochs = space, max_epochs
        pruner = pruner or HyperbandPruner(max_resource=max_epochs)
        # Named, since Hyperband chooses a trial's bracket by a hash of the study's name.
        self._study = optuna.create_study(study_name="veer", sampler=sampler, pruner=pruner)
        self._trials: list[optuna.Trial] = []

    def suggest(self) -> tuple[int, dict[str, Any]]:
        trial = self._study.ask()
        self._trials.append(trial)
        define_by_run(self._space, trial)
        return trial.number, trial.params

    def report(self, trial: int, epoch: int, figure_pct: float) -> bool:
        if math.isnan(figure_pct):
            self._study.tell(trial, state=TrialState.PRUNED)
            return False
        self._trials[trial].report(figure_pct, epoch)
        if epoch >= self._max_epochs:
            self._study.tell(trial, figure_pct)
            return False
        if self._trials[trial].should_prune():
            self._study.tell(trial, state=TrialState.PRUNED)
            return False
        return True


class Rays:
    """Ray's OptunaSearch and AsyncHyperBandScheduler, called as Ray's TuneController calls them.

    A result that stops its trial goes to the scheduler, which is then notified of the end; the
    searcher gets it only as the result of the ended trial. A diverged trial counts at chance level
    and ends.
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int,
        max_epochs: int,
        grace_epochs: int,
        sampler: optuna.samplers.BaseSampler | None = None,
    ) -> None:
        self._searcher = OptunaSearch(
            lambda trial: define_by_run(space, trial),
            metric="veer_pct",
            mode="min",
            sampler=sampler,
            seed=None if sampler else seed,
        )
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration",
            metric="veer_pct",
            mode="min",
            max_t=max_epochs,
            grace_period=grace_epochs,
            reduction_factor=REDUCTION_FACTOR,
        )
        self._trials: list[SimpleNamespace] = []

    def suggest(self) -> tuple[int, dict[str, Any]]:
        number = len(self._trials)
        params = self._searcher.suggest(str(number))
        assert params is not None
        self._trials.append(SimpleNamespace(trial_id=str(number)))
        self._scheduler.on_trial_add(None, self._trials[number])
        return number, params

    def report(self, trial: int, epoch: int, figure_pct: float) -> bool:
        has_diverged = math.isnan(figure_pct)
        veer_pct = CHANCE_PCT if has_diverged else figure_pct
        result = {"training_iteration": epoch, "veer_pct": veer_pct}
        ray_trial = self._trials[trial]
        decision = self._scheduler.on_trial_result(None, ray_trial, result)
        if decision == "STOP" or has_diverged:
            self._scheduler.on_trial_complete(None, ray_trial, result)
            self._searcher.on_trial_complete(ray_trial.trial_id, result=result)
            return False
        self._searcher.on_trial_result(ray_trial.trial_id, result)
        return True


def define_by_run(space: Space, trial: optuna.Trial) -> None:
    """Define a space as users of Optuna and Ray write one with conditions."""

    def pick(dimension: Choice | Float | Integer) -> Any:
        match dimension:
            case Choice(name=name, choices=choices):
                return trial.suggest_categorical(name, choices)
            case Integer(name=name, low=low, high=high):
                return trial.suggest_int(name, low, high)
            case Float(name=name, low=low, high=high, log=log):
                return trial.suggest_float(name, low, high, log=log)

    space.sample(pick)
