"""Optuna's study behind a search, suggestion by suggestion; no Ray, no files, no clock.

Suggestion n is drawn from (seed, n) and from the results that the study has by then. With one
trial at a time the same seed therefore gives the same search, interrupted or not.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.study import StudyDirection
from optuna.trial import TrialState

from results.records.record_values import DrawnBy, EndState
from results.trackers.distributions import to_distribution
from search.guided.guided import Guided
from search.guided.prior import NO_PRIOR, Prior
from search.suggest.sampler_kind import SamplerKind
from search.suggest.samplers import make_sampler
from spaces.conditions import Params
from spaces.dimensions import Dimension
from spaces.space import Space

OPTUNA_STATES: Mapping[EndState, TrialState] = {
    "complete": TrialState.COMPLETE,
    "stopped_early": TrialState.PRUNED,
    "diverged": TrialState.PRUNED,
    # The samplers ignore FAIL: a fault of a machine says nothing about the config.
    "failed": TrialState.FAIL,
}
# Ends with which a trial has values in a study of several goals; see `Suggestions.end`.
WITH_VALUES: frozenset[EndState] = frozenset({"complete", "stopped_early"})
# Percent by epoch that the study gets for a diverged trial: chance level, which is worse than any
# student's, and a finite number, as the samplers compare values.
DIVERGED_PCT: Mapping[int, float] = {1: 50.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """The parameters that the study suggests for one trial.

    Attributes:
        number: Position in the study, from 0; rejected suggestions count too.
        params: Sampled values by dotted name.
        tree: Sampled and fixed values, as the tree of a trial's config.
        seed: Seed of the trial.
        drawn_by: What chose the params; None where the sampler does not give it.
    """

    number: int
    params: dict[str, Any]
    tree: dict[str, Any]
    seed: int
    drawn_by: DrawnBy | None = None


class Suggestions:
    """One in-memory Optuna study and the samplers that draw from it.

    Suggestions are numbered from 0 and must be made or restored in that order. Errors of Optuna
    are raised, never dropped.

    Args:
        space: The space to draw from.
        kind: `guided`, a mixture of a model, local moves around what is known before, and chance;
            `tpe`, Optuna's tree-structured Parzen estimator over all parameters jointly; `gp`, a
            Gaussian process; `random`; or `grid`, every point of a finite space in order.
        seed: Seed of the search.
        prior: What is known before. Its `first` are suggested before any are drawn; only `guided`
            learns from the rest.
        passes: How often a grid is visited. The trials of one pass share a seed.
        num_goals: Values of a trial: the figure that decides, then its costs; all are to be low.
    """

    def __init__(
        self,
        space: Space,
        *,
        kind: SamplerKind,
        seed: int,
        prior: Prior = NO_PRIOR,
        passes: int = 1,
        num_goals: int = 1,
    ) -> None:
        # Optuna reports every new study at INFO, on the screen.
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._space = space
        self._kind = kind
        self._seed = seed
        directions = [StudyDirection.MINIMIZE] * num_goals
        self._study = optuna.create_study(directions=directions, sampler=RandomSampler(seed))
        self._trials: list[optuna.Trial] = []
        self._figures_pct: dict[int, dict[int, float]] = {}
        self._first = prior.first
        self._guided = Guided(space, prior) if kind == "guided" else None
        self._passes = passes
        self._points: list[Params] = list(space.grid_points()) if kind == "grid" else []

    @property
    def num_suggested(self) -> int:
        """Number of suggestions made or restored so far: also the number of the next one."""
        return len(self._trials)

    @property
    def study(self) -> optuna.Study:
        """The study; for reading only."""
        return self._study

    def suggest(self, *, at_random: bool = False) -> Suggestion | None:
        """Return the next suggestion, None if a grid has no more points.

        Args:
            at_random: Draw uniformly from the whole space, without the sampler.
        """
        number = self.num_suggested
        known = self._known(number)
        if known is not None:
            return self.restore(known, "start" if number < len(self._first) else None)
        if self._kind == "grid":
            return None
        # A new sampler for each suggestion: its draws depend only on the number and the study, not
        # on how many suggestions this process has made.
        sampler_seed, _ = self._seeds(number)
        if self._guided is not None and not at_random:
            trials = self._study.get_trials(deepcopy=False)
            return self.restore(*self._guided.draw(trials, np.random.default_rng(sampler_seed)))
        kind = "random" if at_random else self._kind
        self._study.sampler = make_sampler(kind, sampler_seed)
        return self._ask("random" if kind == "random" else None)

    def upcoming(self) -> Suggestion | None:
        """Return the next suggestion if it is known without a draw, else None: a grid's point."""
        number = self.num_suggested
        known = self._known(number)
        return None if known is None else self._suggestion(number, known)

    def restore(self, params: Mapping[str, Any], drawn_by: DrawnBy | None = None) -> Suggestion:
        """Make the next suggestion with known values, such as those of an earlier run.

        Args:
            params: Sampled values by dotted name, as the earlier suggestion had them.
            drawn_by: What chose them.

        Raises:
            ValueError: The values do not fit the space.
        """
        # Optuna itself only warns of a value outside its distribution, and draws another one.
        for dimension in self._space.dimensions:
            if dimension.name in params and not dimension.contains(params[dimension.name]):
                value = params[dimension.name]
                raise ValueError(f"{value!r} not in the values of {dimension.name}")
        self._study.enqueue_trial(dict(params))
        # It draws nothing, as every value is enqueued; TPE would fit its model at each `ask`.
        self._study.sampler = RandomSampler(0)
        restored = self._ask(drawn_by)
        if restored.params != dict(params):
            raise ValueError(
                f"suggestion {restored.number} had {dict(params)}, which the space maps to "
                f"{restored.params}"
            )
        return restored

    def report(self, number: int, epoch: int, figure_pct: float) -> None:
        """Keep the figure that decides of an epoch, percent; `end` passes it to the study."""
        self._figures_pct.setdefault(number, {})[epoch] = figure_pct

    def end(
        self,
        number: int,
        state: EndState,
        best_pct: float | None = None,
        costs: Sequence[float] = (),
    ) -> None:
        """Pass the end of a trial to the study.

        A complete trial counts with its best figure, a trial that was stopped early with those
        that it reported, a failed trial not at all. A diverged trial counts as stopped after its
        first epoch at chance level: Optuna ranks pruned trials by their last epoch first, so with
        its real epochs it would rank above trials that were stopped before.

        With several goals Optuna takes no figures of epochs, and all pruned trials count as
        equal, behind those with values: of most trials of a search with early stopping it would
        learn nothing. So a trial that was stopped early counts there as complete, with its best
        figure so far. That is at worst too high, as its student would have become better, so it
        can only rank behind where it would have ended. A diverged trial has no values there.

        Args:
            number: The suggestion's number.
            state: How the trial ended.
            best_pct: Lowest figure of its epochs, percent; required for a complete trial.
            costs: Its costs, in the same order for every trial.
        """
        known = self._figures_pct.pop(number, {})
        if len(self._study.directions) > 1:
            self._end_with_costs(number, state, best_pct, costs)
            return
        for epoch, pct in (DIVERGED_PCT if state == "diverged" else known).items():
            self._trials[number].report(pct, epoch)
        value = best_pct if state == "complete" else None
        self._study.tell(self._trials[number], value, state=OPTUNA_STATES[state])

    def _end_with_costs(
        self, number: int, state: EndState, best_pct: float | None, costs: Sequence[float]
    ) -> None:
        optuna_state, values = OPTUNA_STATES[state], None
        if best_pct is not None and state in WITH_VALUES:
            optuna_state, values = TrialState.COMPLETE, [best_pct, *costs]
        self._study.tell(self._trials[number], values, state=optuna_state)

    def reject(self, number: int, excesses: Mapping[str, float]) -> None:
        """Pass to the study that a suggestion lies outside the limits.

        Args:
            number: The suggestion's number.
            excesses: By how much it exceeds each limit that it breaks, as a fraction above 0.
        """
        for limit, excess in excesses.items():
            self._trials[number].set_constraint(limit, excess)
        # PRUNED, not FAIL: TPE learns from it, and ranks it by the excess behind all others.
        self._study.tell(self._trials[number], state=TrialState.PRUNED)

    def _known(self, number: int) -> Params | None:
        """Return the parameters of a suggestion that is not drawn, None if it is drawn."""
        if number < len(self._first):
            return self._first[number]
        position = number - len(self._first)
        if position < len(self._points) * self._passes:
            return self._points[position % len(self._points)]
        return None

    def _ask(self, drawn_by: DrawnBy | None) -> Suggestion:
        trial = self._study.ask()
        params = self._space.sample(lambda dimension: _draw(trial, dimension))
        self._trials.append(trial)
        return self._suggestion(trial.number, params, drawn_by)

    def _suggestion(
        self, number: int, params: Params, drawn_by: DrawnBy | None = None
    ) -> Suggestion:
        # Position in the grid's passes; without a grid every suggestion has its own seed.
        pass_number = number // len(self._points) if self._points else number
        _, trial_seed = self._seeds(pass_number)
        return Suggestion(
            number=number,
            params=params,
            tree=self._space.tree(params),
            seed=trial_seed,
            drawn_by=drawn_by,
        )

    def _seeds(self, trial: int) -> tuple[int, int]:
        """Return the seed of the sampler and the seed of the trial, both below 2**32."""
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
