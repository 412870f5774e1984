"""The check that the early stops in a journal follow from its own epochs; independent of Ray.

The epochs are passed to a new `SuccessiveHalving` in the journal's order, which is the order in
which the search decided, across all its interruptions. Its verdicts must equal what the journal
records.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from results.journal.decision import FIGURE_NAMES, DecisionKind, decision_kind, decision_pct
from results.journal.goals import cost_values
from results.records.record import Record
from results.records.search_records import (
    ENDINGS,
    GraceChanged,
    SearchEnded,
    SearchResumed,
    SearchStarted,
)
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from search.config.sections import SchedulerConfig
from search.loop.early_stopping import GO_ON, SuccessiveHalving, Verdict, make_halving

STOPPED_EARLY = "stopped_early"


@dataclass(slots=True)
class _Replay:
    """The state of the search at one position in the journal.

    Attributes:
        halving: Early stopping, with the rungs filled so far.
        decide_by: The figure that decides.
        settings: Settings of the search, of its last start or resume.
        verdicts: Verdict on each unfinished trial after its last epoch.
        epochs: The last epoch of each trial, finished or not.
        veers: The VEERs of each of the search's own trials, percent, by ascending epoch.
        costs: The costs of each trial; empty ones with the one goal VEER.
        follow_ups: Kind of each follow-up, by number: early stopping never stops them.
        stops: Verdict on each trial that early stopping stopped.
        met_target: Whether a trial has met the VEER that ends the search.
        num_epochs: Epochs of the search's own trials so far.
        faults: Records that contradict the verdicts, a sentence each.
    """

    halving: SuccessiveHalving
    decide_by: DecisionKind
    settings: Mapping[str, Any]
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    veers: dict[int, list[float]] = field(default_factory=dict)
    costs: dict[int, tuple[float, ...]] = field(default_factory=dict)
    follow_ups: dict[int, str] = field(default_factory=dict)
    stops: dict[int, Verdict] = field(default_factory=dict)
    met_target: bool = False
    num_epochs: int = 0
    faults: list[str] = field(default_factory=list)


def stop_faults(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the stops that the rungs do not justify, and the stops that are missing.

    A trial that was to stop and has no end yet is a fault only where the search has ended: the
    search may have been interrupted between the two records.

    Args:
        records: A journal's records from its beginning.

    Returns:
        A sentence for each fault.

    Raises:
        ValueError: The records do not begin with the settings of a search.
    """
    return tuple(_replayed(records).faults)


def rung_stops(records: Iterable[Record]) -> dict[int, Verdict]:
    """Return the verdict on each trial that early stopping stopped, by the trial's number.

    Trials that were stopped since the target was met or the epochs were used up are left out.

    Args:
        records: A journal's records from its beginning.

    Raises:
        ValueError: The records do not begin with the settings of a search.
    """
    return _replayed(records).stops


def _replayed(records: Iterable[Record]) -> _Replay:
    records = tuple(records)
    if not records or not isinstance(records[0], SearchStarted):
        raise ValueError(
            "the records must begin with search_started: its settings determine the rungs"
        )
    settings = records[0].settings
    replay = _Replay(_halving(settings), decision_kind(settings), settings)
    for record in records:
        match record:
            case SearchResumed():
                replay.settings = record.settings or replay.settings
            case TrialStarted():
                _apply_start(replay, record)
            # An epoch that was reported twice was decided once, at its first report.
            case EpochEnded() if record.epoch > replay.epochs.get(record.trial, 0):
                _apply_epoch(replay, record)
            case GraceChanged():
                _apply_grace(replay, record)
            case TrialEnded() if record.trial in replay.epochs:
                _apply_end(replay, record)
            # After any other reason, such as an interrupt, the missing end follows on resume.
            case SearchEnded() if record.reason in ENDINGS:
                _apply_search_end(replay)
    return replay


def _halving(settings: Mapping[str, Any]) -> SuccessiveHalving:
    scheduler = SchedulerConfig.model_validate(settings["scheduler"])
    return make_halving(scheduler, settings["max_epochs"])


def _apply_start(replay: _Replay, record: TrialStarted) -> None:
    # A trial that is started again, by `--retry-failed`, has no end any more.
    replay.stops.pop(record.trial, None)
    replay.costs[record.trial] = cost_values(record.costs)
    if record.follow_up is not None:
        replay.follow_ups[record.trial] = record.follow_up


def _apply_epoch(replay: _Replay, record: EpochEnded) -> None:
    trial, epoch, veer_pct = record.trial, record.epoch, record.veer_pct
    earlier = replay.verdicts.get(trial)
    if earlier is not None and earlier.stop:
        _add_fault(replay, trial, earlier, f"went on to epoch {epoch}")
    replay.epochs[trial] = epoch
    if trial in replay.follow_ups:
        replay.verdicts[trial] = GO_ON
        return
    replay.num_epochs += 1
    _require_settled(replay)
    if veer_pct is None or not math.isfinite(veer_pct):
        replay.verdicts[trial] = GO_ON
        return
    veers = replay.veers.setdefault(trial, [])
    veers.append(veer_pct)
    figure_pct = decision_pct(replay.decide_by, veers, record.dprime)
    replay.verdicts[trial] = replay.halving.decide(
        trial, epoch, figure_pct, replay.costs.get(trial, ())
    )
    target_pct = _target_pct(replay.settings)
    replay.met_target |= target_pct is not None and veer_pct <= target_pct


def _apply_grace(replay: _Replay, record: GraceChanged) -> None:
    due = replay.halving.due_grace()
    if due is None or due.grace_epochs != record.grace_epochs:
        required = "no change" if due is None else f"{due.grace_epochs:g}"
        replay.faults.append(
            f"the grace was changed from {record.was_epochs:g} to {record.grace_epochs:g} epochs, "
            f"where the rungs require {required}"
        )
    replay.halving.take_grace(record)


def _require_settled(replay: _Replay) -> None:
    """Add a fault for every change of the grace that was due before the next epoch."""
    while (due := replay.halving.due_grace()) is not None:
        replay.faults.append(
            f"the grace was to change from {due.was_epochs:g} to {due.grace_epochs:g} epochs, "
            "but did not"
        )
        replay.halving.take_grace(due)


def _apply_end(replay: _Replay, record: TrialEnded) -> None:
    trial, state = record.trial, record.state
    verdict = replay.verdicts.pop(trial, None)
    if verdict is None:
        return  # a second end of the trial, or an end without an epoch
    if trial in replay.follow_ups:
        if state == STOPPED_EARLY:
            replay.faults.append(
                f"trial {trial} was stopped after epoch {replay.epochs[trial]}, though a "
                f"{replay.follow_ups[trial]} runs to the end"
            )
        return
    if verdict.stop and state == STOPPED_EARLY:
        replay.stops[trial] = verdict
    if verdict.stop and state != STOPPED_EARLY:
        _add_fault(replay, trial, verdict, f"ended as {state}")
    elif state == STOPPED_EARLY and not (verdict.stop or replay.met_target or _is_spent(replay)):
        replay.faults.append(
            f"trial {trial} was stopped after epoch {replay.epochs[trial]}, where "
            f"{_in_words(verdict, replay.decide_by)}"
        )


def _apply_search_end(replay: _Replay) -> None:
    _require_settled(replay)
    for trial, verdict in replay.verdicts.items():
        if verdict.stop:
            _add_fault(replay, trial, verdict, "has no end")


def _is_spent(replay: _Replay) -> bool:
    total_epochs = replay.settings.get("total_epochs")
    return total_epochs is not None and replay.num_epochs >= total_epochs


def _add_fault(replay: _Replay, trial: int, verdict: Verdict, but: str) -> None:
    if verdict.among is not None:
        why = f"it is {verdict.among.stop_in_words}"
    else:
        why = f"its {FIGURE_NAMES[replay.decide_by]} is above {verdict.cutoff_pct:.2f} %"
    replay.faults.append(
        f"trial {trial} was to stop at rung {verdict.rung:g}, since {why}, but {but}"
    )


def _in_words(verdict: Verdict, decide_by: DecisionKind) -> str:
    if verdict.rung is None:
        return "there is no rung"
    if verdict.cutoff_pct is None and verdict.among is None:
        return f"rung {verdict.rung:g} had held no other trial"
    if verdict.in_grace:
        return f"rung {verdict.rung:g} lay in the grace epochs and stopped no trial"
    if verdict.among is not None:
        return (
            f"it is among the best {verdict.among.passing} of {verdict.among.compared} of rung "
            f"{verdict.rung:g} in all goals"
        )
    figure = FIGURE_NAMES[decide_by]
    return f"its {figure} meets the {verdict.cutoff_pct:.2f} % of rung {verdict.rung:g}"


def _target_pct(settings: Mapping[str, Any]) -> float | None:
    name = settings.get("stop_at")
    return None if name is None else float(settings["success"][name])
