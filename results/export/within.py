"""The choice of a student by its costs: the lowest VEER among those that cost at most so much."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from results.analysis.front import cost_of
from results.analysis.run_view import RunView
from results.journal.goals import GOAL_NAMES, Goal
from results.journal.history import TrialHistory
from spaces.files.errors import RunError
from trainable.checkpoints.folder import CheckpointFolder

OPTIONS: Mapping[Goal, str] = MappingProxyType(
    {"cpu_latency": "--at-latency", "params": "--at-params", "macs": "--at-macs"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinCosts:
    """The choice.

    Attributes:
        trial: The trial whose checkpoint is there.
        better: Trials with a lower VEER within the costs, whose checkpoints were not kept; the
            best first.
    """

    trial: TrialHistory
    better: Sequence[TrialHistory]


def choose_within(view: RunView, most: Mapping[Goal, float]) -> WithinCosts:
    """Return the ended trial with the lowest VEER whose costs are at most these.

    Args:
        view: The run.
        most: The highest cost by goal.

    Raises:
        RunError: No trial has ended, the run does not know a cost, no trial is within, or none
            of those within has a checkpoint.
    """
    ended = [trial for trial in view.ranked if trial.ended is not None]
    if not ended:
        raise RunError("no trial of this run has ended with a VEER yet")
    for goal in most:
        if all(cost_of(trial, goal) is None for trial in ended):
            raise RunError(
                f"{OPTIONS[goal]} needs a search with the goal {goal}, this run has the objective "
                f"{', '.join(view.goals)}; search with --objective veer,{goal}"
            )
    within = sorted(
        (trial for trial in ended if _is_within(trial, most)),
        key=lambda trial: (trial.best_veer_pct or 0.0, trial.trial),
    )
    if not within:
        raise RunError("; ".join(_lowest(ended, most)))
    for place, trial in enumerate(within):
        if CheckpointFolder(view.folder.trial(trial.trial)).epochs():
            return WithinCosts(trial=trial, better=within[:place])
    raise RunError(
        f"trial {within[0].trial} has the lowest VEER of the {len(within)} within, but none of "
        "them has a checkpoint any more: a search keeps only those of its best trials (keep_best)"
    )


def cost_text(goal: Goal, cost: float) -> str:
    """Return a cost as it can be given to its option: counts in full, a latency with 4 digits."""
    return f"{cost:.4g}" if goal == "cpu_latency" else f"{cost:.0f}"


def chosen_in_words(chosen: WithinCosts, most: Mapping[Goal, float]) -> str:
    """Return the trial that was chosen, its VEER, its state and its costs."""
    trial = chosen.trial
    costs = ", ".join(
        f"{GOAL_NAMES[goal]} {cost_text(goal, cost)} (at most {cost_text(goal, limit)})"
        for goal, limit in most.items()
        if (cost := cost_of(trial, goal)) is not None
    )
    epochs = f"{trial.state}, {len(trial.epochs)} epochs"
    return f"trial {trial.trial}: VEER {trial.best_veer_pct:.2f} %, {costs}; {epochs}"


def better_in_words(chosen: WithinCosts) -> str | None:
    """Return which trials would have been chosen if they had a checkpoint; None for none."""
    if not chosen.better:
        return None
    named = ", ".join(f"{trial.trial} ({trial.best_veer_pct:.2f} %)" for trial in chosen.better)
    return (
        f"trial {named} would have been better than trial {chosen.trial.trial} "
        f"({chosen.trial.best_veer_pct:.2f} %), but has no checkpoint any more; a higher "
        "keep_best keeps more"
    )


def _is_within(trial: TrialHistory, most: Mapping[Goal, float]) -> bool:
    costs = [(cost_of(trial, goal), limit) for goal, limit in most.items()]
    return all(cost is not None and cost <= limit for cost, limit in costs)


def _lowest(ended: Iterable[TrialHistory], most: Mapping[Goal, float]) -> Iterable[str]:
    """Yield for each cost the cheapest student, by its VEER where several are the cheapest."""
    ended = list(ended)
    for goal, limit in most.items():
        costs = [(cost, t.best_veer_pct or 0.0, t.trial) for t in ended
                 if (cost := cost_of(t, goal)) is not None]  # fmt: skip
        cost, veer_pct, trial = min(costs)
        is_one = len(most) == 1
        yield (
            f"{'no trial has' if is_one else 'no trial is within all:'} {GOAL_NAMES[goal]} of at "
            f"most {cost_text(goal, limit)}; the lowest is {cost_text(goal, cost)} "
            f"(trial {trial}, VEER {veer_pct:.2f} %)"
        )
