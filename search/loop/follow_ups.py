"""Trials that a search runs after its own trials: repeats of the best configs, and controls.

A repeat has a finalist's config and another seed: a finalist was selected for its low VEER, which
is therefore biased downwards. A control is a trial that early stopping stopped, run to the end
with the same config and seed: it measures what early stopping lost. Neither is stopped early,
passed to the sampler or to early stopping, or counted among the search's trials and epochs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from results.analysis.front import by_goals, goal_point
from results.analysis.nondominated import Point, best_first
from results.analysis.ranking import may_rank
from results.journal.history import CONTROL, REPEAT, TrialHistory, recipe_of, trial_histories
from results.journal.journal import as_recorded
from results.records.record import Record
from results.records.record_values import FollowUpKind
from search.config.sections import FollowUpPlan
from search.loop.stop_check import rung_stops
from search.loop.trial_course import TrialCourse

# These keep the seeds of repeats and the draw of controls apart from the search's own draws, which
# are seeded with (seed, number of the suggestion): no search has a million suggestions.
REPEAT_STREAM, CONTROL_STREAM = 1_000_003, 1_000_033
AnyTrial = TypeVar("AnyTrial")
# A diverged or failed trial is no finalist: its config has not been shown to train.
FINALIST_STATES = frozenset({"complete", "stopped_early"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """A repeat or control that has not started.

    Attributes:
        kind: `repeat` or `control`.
        follows: Number of the trial whose config it has.
        seed: Seed of the follow-up.
    """

    kind: FollowUpKind
    follows: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpCandidate:
    """A trial of the search, reduced to what decides about follow-ups.

    Attributes:
        trial: The trial's number.
        seed: The trial's seed.
        recipe: The trial's config without the seed.
        decision_pct: Lowest figure that decides, percent, if the trial may be a finalist, else
            None.
        goals: Its lowest VEER and its costs, if it may be a finalist; () with one goal.
        is_cut: Whether early stopping stopped the trial.
        follow_up: `repeat` or `control` for a follow-up, None for one of the search's own trials.
        follows: Number of the trial that a follow-up follows, else None.
    """

    trial: int
    seed: int
    recipe: str
    decision_pct: float | None
    goals: Point = ()
    is_cut: bool
    follow_up: str | None
    follows: int | None

    @classmethod
    def from_trial(cls, course: TrialCourse) -> Self:
        """Return the candidate of a trial of a running search."""
        verdict = course.verdict
        is_cut = course.state == "stopped_early" and verdict is not None and verdict.stop
        config = as_recorded(course.config.canonical())
        return cls._of(course, config, course.config.seed, is_cut=is_cut)

    @classmethod
    def from_history(cls, history: TrialHistory, cut: Iterable[int]) -> Self:
        """Return the candidate of a recorded trial; `cut` are those stopped by early stopping."""
        started = history.started
        is_cut = history.trial in cut
        return cls._of(history, started.config, started.seed, is_cut=is_cut)

    @classmethod
    def _of(
        cls,
        trial: TrialCourse | TrialHistory,
        config: dict[str, Any],
        seed: int,
        *,
        is_cut: bool,
    ) -> Self:
        is_finalist = may_rank(trial) and trial.state in FINALIST_STATES
        return cls(
            trial=trial.trial,
            seed=seed,
            recipe=recipe_of(config),
            decision_pct=trial.best_decision_pct if is_finalist else None,
            goals=goal_point(trial) if is_finalist else (),
            is_cut=is_cut and trial.follow_up is None,
            follow_up=trial.follow_up,
            follows=trial.follows,
        )


def due_follow_ups(trials: Sequence[FollowUpCandidate], plan: FollowUpPlan) -> list[FollowUp]:
    """Return the follow-ups not yet started, in order, once all own trials have ended.

    All finalists are repeated with the first seed, then all with the next, so that a search that
    is interrupted has repeated them about equally often. Controls come last.

    Args:
        trials: All trials of the search, with the follow-ups that were started.
        plan: The follow-ups that are wanted, those that were started included.
    """
    return [*_repeats(trials, plan), *_controls(trials, plan)]


def due_by_journal(records: Sequence[Record], plan: FollowUpPlan) -> list[FollowUp]:
    """Return the same from a journal in which all own trials have ended."""
    if not plan.is_any:
        return []
    cut = rung_stops(records)
    candidates = [FollowUpCandidate.from_history(each, cut) for each in trial_histories(records)]
    return due_follow_ups(candidates, plan)


def finalists(trials: Sequence[FollowUpCandidate], most: int) -> list[FollowUpCandidate]:
    """Return the `most` best trials, one for each config.

    The best by their lowest figure that decides; with several goals those of the front first.
    """
    with_goals = [trial for trial in trials if trial.goals]
    if with_goals:
        order = best_first([trial.goals for trial in with_goals])
        return _first_of_each((with_goals[at] for at in order), lambda trial: trial.recipe, most)
    able = [(t.decision_pct, t.trial, t) for t in trials if t.decision_pct is not None]
    # By the number at equal figures, so that a replay chooses the same; trials do not compare.
    in_order = [trial for *_, trial in sorted(able, key=lambda key: key[:2])]
    return _first_of_each(in_order, lambda trial: trial.recipe, most)


def finalists_so_far(trials: Iterable[TrialCourse], most: int) -> list[TrialCourse]:
    """Return the same for a running search; cheap, since it is called after every step.

    Recipes are hashed only until `most` of them differ.
    """
    able = [t for t in trials if may_rank(t) and t.state in FINALIST_STATES]
    order: Iterable[TrialCourse] = by_goals(able)
    if not any(trial.costs for trial in able):
        # Not by rank: repeats count there.
        order = sorted(able, key=lambda trial: (trial.best_decision_pct or 0.0, trial.trial))
    return _first_of_each(order, lambda trial: trial.config.recipe_hash(), most)


def _first_of_each(
    trials: Iterable[AnyTrial], recipe: Callable[[AnyTrial], str], most: int
) -> list[AnyTrial]:
    found: dict[str, AnyTrial] = {}
    for trial in trials:
        if len(found) == most:
            break
        found.setdefault(recipe(trial), trial)
    return list(found.values())


def _repeats(trials: Sequence[FollowUpCandidate], plan: FollowUpPlan) -> list[FollowUp]:
    if not plan.repeat:
        return []
    waiting = []
    for finalist in finalists(trials, plan.finalists):
        begun = {t.seed for t in trials if t.follow_up == REPEAT and t.follows == finalist.trial}
        # With `repetitions` the search itself has run the config with several seeds.
        own = {t.seed for t in trials if t.follow_up is None and t.recipe == finalist.recipe}
        seeds = repeat_seeds(plan, own)
        waiting.append([
            FollowUp(kind=REPEAT, follows=finalist.trial, seed=seed) if seed not in begun else None
            for seed in seeds
        ])  # fmt: skip
    rounds = zip(*waiting, strict=True)
    return [each for one in rounds for each in one if each is not None]


def repeat_seeds(plan: FollowUpPlan, own: Iterable[int]) -> list[int]:
    """Return the seeds of a finalist's repeats, the same for all finalists except their own seeds.

    A plan with more repeats begins with the same seeds.

    Args:
        plan: The number of repeats, and the seed of the search.
        own: Seeds with which the search has run the config itself; they are left out.
    """
    own = set(own)
    sequence = np.random.SeedSequence((plan.seed, REPEAT_STREAM))
    # So many more that enough are left if every own seed is among those drawn.
    drawn = map(int, sequence.generate_state(plan.repeat + len(own)))
    return [seed for seed in drawn if seed not in own][: plan.repeat]


def _controls(trials: Sequence[FollowUpCandidate], plan: FollowUpPlan) -> list[FollowUp]:
    begun = {trial.follows for trial in trials if trial.follow_up == CONTROL}
    able = [trial for trial in trials if trial.is_cut and trial.trial not in begun]

    # A random order that depends only on each trial's number: a resumed search draws the same
    # controls, and a larger plan only adds to them.
    def draw(trial: FollowUpCandidate) -> int:
        entropy = (plan.seed, CONTROL_STREAM, trial.trial)
        return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])

    chosen = sorted(able, key=draw)[: max(plan.control - len(begun), 0)]
    return [FollowUp(kind=CONTROL, follows=t.trial, seed=t.seed) for t in chosen]
