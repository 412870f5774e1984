"""Searches on a simulated clock, and how they are compared."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.schedulers import AsyncHyperBandScheduler
from ray.tune.search.optuna import OptunaSearch

from results.analysis.rungs import asha_rungs
from search.loop.early_stopping import SuccessiveHalving
from search.suggest.suggestions import SamplerKind, Suggestions
from spaces.dimensions import Choice, Float, Integer
from tests.benchmarks.curves import MAX_EPOCHS, SPACE, curve_pct, epoch_s, noise_pct

REDUCTION_FACTOR = 3


class Arm(Protocol):
    """A sampler with early stopping."""

    def suggest(self) -> tuple[int, dict[str, Any]]:
        """Return the number of the next trial and its params."""

    def report(self, trial: int, epoch: int, veer_pct: float) -> bool:
        """Take the result of an epoch; return whether the trial continues."""


class Veer:
    """Veer's suggestions and early stopping, called as the coordinator calls them.

    Args:
        kind: Veer's name of the sampler.
        seed: Seed of the search.
        grace_epochs: The first rung.
    """

    def __init__(self, kind: SamplerKind, *, seed: int, grace_epochs: int) -> None:
        self._suggestions = Suggestions(SPACE, kind=kind, seed=seed)
        rungs = asha_rungs(grace_epochs, REDUCTION_FACTOR, MAX_EPOCHS)
        self._halving = SuccessiveHalving(rungs, REDUCTION_FACTOR)
        self._best_pct: dict[int, float] = {}

    def suggest(self) -> tuple[int, dict[str, Any]]:
        suggestion = self._suggestions.suggest()
        return suggestion.number, suggestion.params

    def report(self, trial: int, epoch: int, veer_pct: float) -> bool:
        best = self._best_pct[trial] = min(veer_pct, self._best_pct.get(trial, veer_pct))
        self._suggestions.report(trial, epoch, veer_pct)
        stop = self._halving.decide(trial, epoch, veer_pct).stop
        if epoch >= MAX_EPOCHS:
            self._suggestions.end(trial, "complete", best)
        elif stop:
            self._suggestions.end(trial, "stopped_early", best)
        return epoch < MAX_EPOCHS and not stop


class OtherSettings(Veer):
    """Like Veer's, with a TPE sampler of other settings in its own Optuna study.

    Args:
        sampler: Used in place of the one that Veer makes.
        seed: Seed of the search.
        grace_epochs: The first rung.
    """

    def __init__(
        self, sampler: optuna.samplers.BaseSampler, *, seed: int, grace_epochs: int
    ) -> None:
        super().__init__("random", seed=seed, grace_epochs=grace_epochs)
        self._suggestions = _Study(sampler)  # type: ignore[assignment]


class _Study:
    """The part of `Suggestions` that an arm needs."""

    def __init__(self, sampler: optuna.samplers.BaseSampler) -> None:
        self._study = optuna.create_study(sampler=sampler)
        self._trials: list[optuna.Trial] = []

    def suggest(self) -> SimpleNamespace:
        trial = self._study.ask()
        self._trials.append(trial)
        define_by_run(trial)
        return SimpleNamespace(number=trial.number, params=trial.params)

    def report(self, number: int, epoch: int, veer_pct: float) -> None:
        self._trials[number].report(veer_pct, epoch)

    def end(self, number: int, state: str, best_veer_pct: float) -> None:
        if state == "complete":
            self._study.tell(number, best_veer_pct)
        else:
            self._study.tell(number, state=TrialState.PRUNED)


class Rays:
    """Ray's OptunaSearch and AsyncHyperBandScheduler, called as Ray's TuneController calls them.

    A result that stops its trial goes to the scheduler, which is then notified of the end; the
    searcher gets it only as the result of the ended trial.
    """

    def __init__(
        self, *, seed: int, grace_epochs: int, sampler: optuna.samplers.BaseSampler | None = None
    ) -> None:
        self._searcher = OptunaSearch(
            define_by_run,
            metric="veer_pct",
            mode="min",
            sampler=sampler,
            seed=None if sampler else seed,
        )
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="training_iteration",
            metric="veer_pct",
            mode="min",
            max_t=MAX_EPOCHS,
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

    def report(self, trial: int, epoch: int, veer_pct: float) -> bool:
        result = {"training_iteration": epoch, "veer_pct": veer_pct}
        ray_trial = self._trials[trial]
        if self._scheduler.on_trial_result(None, ray_trial, result) == "STOP":
            self._scheduler.on_trial_complete(None, ray_trial, result)
            self._searcher.on_trial_complete(ray_trial.trial_id, result=result)
            return False
        self._searcher.on_trial_result(ray_trial.trial_id, result)
        return True


def define_by_run(trial: optuna.Trial) -> None:
    """Define the space as Ray's users write one with conditions."""

    def pick(dimension: Choice | Float | Integer) -> Any:
        match dimension:
            case Choice(name=name, choices=choices):
                return trial.suggest_categorical(name, choices)
            case Integer(name=name, low=low, high=high):
                return trial.suggest_int(name, low, high)
            case Float(name=name, low=low, high=high, log=log):
                return trial.suggest_float(name, low, high, log=log)

    SPACE.sample(pick)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch of a simulated search.

    Attributes:
        time_s: When it ended, on the simulated clock.
        worker: The worker that trained it.
        trial: Number of the trial.
        epoch: From 1.
        veer_pct: VEER that the sampler saw, percent.
        true_pct: The same without noise.
    """

    time_s: float
    worker: int
    trial: int
    epoch: int
    veer_pct: float
    true_pct: float


def play(
    arm: Arm, *, seed: int, num_workers: int, budget_epochs: int, until_pct: float = 0.0
) -> list[Epoch]:
    """Run a search until `budget_epochs` epochs have ended or a student is good enough.

    Args:
        arm: A new one.
        seed: Seed of the noise.
        num_workers: Trials at a time; a free worker gets the next trial at once.
        budget_epochs: Epochs of all trials together.
        until_pct: VEER without noise that is good enough.
    """
    played: list[Epoch] = []
    trials: dict[int, tuple[Mapping[str, Any], np.ndarray, np.ndarray]] = {}
    events: list[tuple[float, int, int, int]] = []

    def start(worker: int, now_s: float) -> None:
        trial, params = arm.suggest()
        trials[trial] = (params, curve_pct(params), noise_pct(params, seed))
        heapq.heappush(events, (now_s + epoch_s(params), worker, trial, 1))

    for worker in range(num_workers):
        start(worker, 0.0)
    while len(played) < budget_epochs:
        now_s, worker, trial, epoch = heapq.heappop(events)
        params, curve, noise = trials[trial]
        true_pct = float(curve[epoch - 1])
        veer_pct = true_pct + float(noise[epoch - 1])
        played.append(
            Epoch(time_s=now_s, worker=worker, trial=trial, epoch=epoch, veer_pct=veer_pct,
                  true_pct=true_pct)
        )  # fmt: skip
        if true_pct <= until_pct:
            break
        if arm.report(trial, epoch, veer_pct):
            heapq.heappush(events, (now_s + epoch_s(params), worker, trial, epoch + 1))
        else:
            start(worker, now_s)
    return played


def epochs_until(played: Sequence[Epoch], until_pct: float) -> int | None:
    """Return the number of epochs up to the first good enough one, None if there is none."""
    for spent, epoch in enumerate(played, start=1):
        if epoch.true_pct <= until_pct:
            return spent
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A median of paired ratios and its 95 % bootstrap interval."""

    median: float
    low: float
    high: float


def paired_ratio(
    above: Sequence[float], below: Sequence[float], *, num_resamples: int = 10_000
) -> Ratio:
    """Return the median of above[i] / below[i] and its interval over resampled pairs."""
    ratios = np.divide(above, below)
    drawn = np.random.default_rng(0).choice(ratios, size=(num_resamples, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Ratio(median=float(np.median(ratios)), low=float(low), high=float(high))
