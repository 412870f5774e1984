"""The status of a search from its journal, for viewers in another process."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from results.analysis.ranking import ranked
from results.analysis.run_view import RunView
from results.journal.history import RUNNING, UNRANKED, TrialHistory
from results.journal.turns import last_turn
from results.records.record import Record
from results.records.search_records import SearchEnded
from results.records.trial_records import EpochEnded, TrialPlaced, TrialStarted
from search.config.sections import FollowUpPlan
from search.run.progress import SearchStatus

# Settings that plan follow-ups.
FOLLOW_UP_SETTINGS = ("repeat", "finalists", "control")


def has_ended(records: Iterable[Record]) -> bool:
    """Return whether the last search of a run has ended, for any reason."""
    return isinstance(last_turn(records), SearchEnded)


def journal_status(view: RunView, now_s: float) -> SearchStatus:
    """Summarize a search; follow-ups are not counted as trials.

    Args:
        view: The run, as its journal has it so far.
        now_s: The current time, seconds since 1970.
    """
    own, settings = view.own, view.settings
    states = Counter(trial.state for trial in own)
    best = next(iter(ranked(own)), None)
    begun_s = max((each.start.time_s for each in view.sessions), default=now_s)
    return SearchStatus(
        # A resume may have lowered `num_trials` below the trials that there are.
        num_trials=max(int(settings.get("num_trials") or 0), len(own)),
        running=states[RUNNING],
        complete=states["complete"],
        stopped_early=states["stopped_early"],
        failed=sum(states[state] for state in UNRANKED),
        epochs=sum(len(trial.epochs) for trial in own),
        best_trial=None if best is None else best.trial,
        best_veer_pct=None if best is None or best.best is None else best.best.veer_pct,
        elapsed_s=max(now_s - begun_s, 0.0),
        left_s=_left_s(view, begun_s, now_s),
        decide_by=view.decide_by,
        faults=Counter(fault.kind for trial in own for fault in trial.faults),
    )


def _left_s(view: RunView, begun_s: float, now_s: float) -> float | None:
    """Estimate the seconds left from the pace since the last start; None before its first epoch.

    A trial is expected to run as long as the ended ones did. `search.run.progress` makes the same
    estimate inside the process of the search.
    """
    settings, own = view.settings, view.own
    since = [each for each in view.records if each.time_s >= begun_s]
    reported = [each.time_s for each in since if isinstance(each, EpochEnded)]
    placed = [each.time_s for each in since if isinstance(each, TrialStarted | TrialPlaced)]
    if not reported or not settings.get("num_trials"):
        return None
    lengths = [len(trial.epochs) for trial in own if trial.ended is not None and trial.epochs]
    usual = sum(lengths) / len(lengths) if lengths else float(settings.get("max_epochs") or 1)
    open_trials = [len(trial.epochs) for trial in own if trial.ended is None]
    waiting = max(int(settings["num_trials"]) - len(own), 0)
    # An open trial beyond the usual length has at least one more epoch.
    epochs = waiting * usual + sum(max(usual - epoch, 1) for epoch in open_trials)
    if settings.get("total_epochs") is not None:
        spent = sum(len(trial.epochs) for trial in own)
        epochs = min(epochs, int(settings["total_epochs"]) - spent)
    epochs = max(epochs, 0.0) + _follow_up_epochs(settings, view.histories)
    working_s = max(reported) - min([*placed, *reported])
    left_s: float = epochs * working_s / len(reported)
    limit_s: float | None = settings.get("time_limit_s")
    if limit_s is None:
        return left_s
    return min(left_s, max(float(limit_s) - (now_s - begun_s), 0.0))


def _follow_up_epochs(settings: Mapping[str, Any], trials: Sequence[TrialHistory]) -> float:
    """Return the most epochs of follow-ups still to run: each runs to the last epoch."""
    begun = [trial for trial in trials if trial.follow_up is not None]
    plan = FollowUpPlan(**{key: int(settings.get(key) or 0) for key in FOLLOW_UP_SETTINGS})
    max_epochs = int(settings.get("max_epochs") or 0)
    open_trials = [len(trial.epochs) for trial in begun if trial.ended is None]
    waiting = max(plan.max_trials - len(begun), 0)
    return waiting * max_epochs + sum(max(max_epochs - epoch, 0) for epoch in open_trials)
