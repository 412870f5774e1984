"""The records of a journal, grouped by trial."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from typing import Any, Final, TypeVar

from results.journal.decision import BY_VEER, DecisionKind, decision_kind, decisions
from results.records.record import Record
from results.records.search_records import SearchStarted
from results.records.trial_records import (
    EpochEnded,
    InfrastructureFault,
    TrialEnded,
    TrialPlaced,
    TrialStarted,
)
from spaces.files.errors import RunError

R = TypeVar("R", bound=Record)
RUNNING = "running"
# Records of single trials, which make up their histories.
OF_TRIALS = (TrialStarted, TrialPlaced, EpochEnded, InfrastructureFault, TrialEnded)
# The end VEER is the median of so many epochs. The lowest VEER of all epochs is too optimistic: it
# is that of the luckiest epoch.
LAST_EPOCHS = 5
# Trials in these states have no rank, even where an epoch has a VEER.
UNRANKED = frozenset({"failed", "diverged"})
# The kinds of follow-ups.
REPEAT: Final = "repeat"
CONTROL: Final = "control"
# A fault after which the trial continues in the same process.
NO_RETRY = frozenset({"checkpoint_damaged", "gpu_crowded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The part of a trial that ran in one process.

    Attributes:
        record: The `placed` record.
        epochs: Epochs that this process reported, in the order of the reports.
    """

    record: TrialPlaced
    epochs: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TrialHistory:
    """The records of one trial.

    Attributes:
        trial: Number of the trial.
        started: The latest `trial_started` record.
        start_s: Time of the first `trial_started` record, seconds since 1970.
        epochs: The `epoch` records by ascending epoch; the last one of an epoch that was reported
            twice.
        best: The record of the epoch with the lowest VEER; the earliest of equal ones.
        ended: The `trial_ended` record, or None while the trial is unfinished.
        faults: The `infrastructure` records, oldest first.
        placements: Where it ran, oldest first; empty before its first report.
        num_runs: How often it was started, without the starts that continue an unfinished trial.
        is_continued: Whether its latest start continued it, in a resumed search.
        is_given_up: Whether the trial failed because of its last fault.
        decide_by: The figure by which the search compares it with other trials.
    """

    trial: int
    started: TrialStarted
    start_s: float
    epochs: dict[int, EpochEnded] = field(default_factory=dict, init=False)
    best: EpochEnded | None = field(default=None, init=False)
    ended: TrialEnded | None = None
    faults: list[InfrastructureFault] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    num_runs: int = 1
    is_continued: bool = False
    is_given_up: bool = False
    decide_by: DecisionKind = BY_VEER

    def start_again(self, record: TrialStarted) -> None:
        """Take a further `trial_started` record, after which the trial is unfinished."""
        self.is_continued = self.ended is None
        self.num_runs += not self.is_continued
        self.started, self.ended = record, None
        self.is_given_up = False

    def add_epoch(self, record: EpochEnded) -> None:
        """Take the next `epoch` record."""
        epoch, veer_pct = record.epoch, record.veer_pct
        before = self.epochs.get(epoch)
        if before is None and epoch < max(self.epochs, default=0):
            self.epochs = dict(sorted({**self.epochs, epoch: record}.items()))
        self.epochs[epoch] = record
        if self.placements:
            self.placements[-1].epochs.append(epoch)
        if before is not None and before is self.best:
            measured = self.measured
            lowest = min(measured, key=lambda each: measured[each], default=None)
            self.best = None if lowest is None else self.epochs[lowest]
        elif veer_pct is not None and (
            self.best is None or (veer_pct, epoch) < (self.best.veer_pct, self.best.epoch)
        ):
            self.best = record

    @property
    def state(self) -> str:
        """The state in which it ended, or `running`."""
        return RUNNING if self.ended is None else self.ended.state

    @property
    def params(self) -> dict[str, Any]:
        """Sampled values by dotted name."""
        return dict(self.started.params)

    @property
    def follow_up(self) -> str | None:
        """The kind of follow-up, `repeat` or `control`; None for the search's own trials."""
        return self.started.follow_up

    @property
    def follows(self) -> int | None:
        """The trial whose config a follow-up repeats; None for the search's own trials."""
        return self.started.follows

    @property
    def costs(self) -> dict[str, float]:
        """Its costs by goal; empty in a search with the one goal VEER."""
        return dict(self.started.costs or {})

    @property
    def recipe(self) -> str:
        """The config without its seed, as text: equal for repeats of one config."""
        return recipe_of(self.started.config)

    @property
    def retries(self) -> list[InfrastructureFault]:
        """The faults after which the trial was run again."""
        # The last fault of a trial that was given up had no retry.
        again = [fault for fault in self.faults if fault.kind not in NO_RETRY]
        return again[:-1] if self.is_given_up else again

    @property
    def loss(self) -> dict[str, Any]:
        """The `loss` section of its config.

        Raises:
            RunError: The config has none, or one without `distillation`.
        """
        loss = self.started.config.get("loss")
        if not isinstance(loss, dict) or not isinstance(loss.get("distillation"), str):
            raise RunError(
                f"the journal's config of trial {self.trial} must have loss.distillation; it is "
                "damaged: restore the run folder from a copy"
            )
        return loss

    @property
    def in_order(self) -> list[EpochEnded]:
        """The epoch records by ascending epoch."""
        return list(self.epochs.values())

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER of its epochs, percent."""
        return None if self.best is None else self.best.veer_pct

    @property
    def measured(self) -> dict[int, float]:
        """VEER by epoch, percent, of the epochs that have one, by ascending epoch."""
        return {
            epoch: record.veer_pct
            for epoch, record in self.epochs.items()
            if record.veer_pct is not None
        }

    @property
    def decisions(self) -> dict[int, float]:
        """The figure that decides by epoch, percent, of the epochs that have a VEER."""
        epochs = self.epochs.values()
        return decisions(self.decide_by, ((e.epoch, e.veer_pct, e.dprime) for e in epochs))

    @property
    def best_decision_pct(self) -> float | None:
        """Lowest figure that decides of its epochs, percent."""
        if self.decide_by == BY_VEER:
            return self.best_veer_pct  # known without a pass over the epochs
        return min(self.decisions.values(), default=None)

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of the last `LAST_EPOCHS` epochs that have one, percent."""
        # From the end, since a search asks after each epoch.
        latest_first = (record.veer_pct for record in reversed(self.epochs.values()))
        return median_of_last(
            list(islice((veer for veer in latest_first if veer is not None), LAST_EPOCHS))
        )

    @property
    def last(self) -> EpochEnded | None:
        """The `epoch` record with the highest epoch; None before the first."""
        return next(reversed(self.epochs.values()), None)

    @property
    def model_hash(self) -> str | None:
        """The fingerprint of its model, as its last worker reported it; None where unknown."""
        hashes = (each.record.model_hash for each in reversed(self.placements))
        return next((each for each in hashes if each), None)


class TrialFold:
    """The histories of the trials of a journal, made record by record.

    A trial that starts again after its end, in a resumed search, counts as unfinished again.

    Attributes:
        trials: The histories so far, by the number of the trial.
    """

    def __init__(self) -> None:
        self.trials: dict[int, TrialHistory] = {}
        self._faulty: set[int] = set()  # trials with a fault since their last epoch or start
        self._decide_by: DecisionKind = BY_VEER

    def take(self, record: Record) -> None:
        """Add the next record.

        Raises:
            RunError: It is of a trial that has not started, or an unknown figure decides.
        """
        if isinstance(record, SearchStarted):
            self._decide_by = decision_kind(record.settings)
        if not isinstance(record, OF_TRIALS):
            return
        number = record.trial
        if number in self.trials:
            self._add(self.trials[number], record)
        elif isinstance(record, TrialStarted):
            self.trials[number] = TrialHistory(
                trial=number, started=record, start_s=record.time_s, decide_by=self._decide_by
            )
        else:
            raise RunError(
                f"the journal has {record.event} of trial {number}, which has not started: it "
                "is damaged; restore it from a copy"
            )

    def _add(self, trial: TrialHistory, record: Record) -> None:
        match record:
            case TrialStarted():
                trial.start_again(record)
            case EpochEnded():
                trial.add_epoch(record)
                self._faulty.discard(trial.trial)
            case TrialPlaced():
                trial.placements.append(Placement(record=record))
                self._faulty.discard(trial.trial)
            case InfrastructureFault():
                trial.faults.append(record)
                if record.kind not in NO_RETRY:
                    self._faulty.add(trial.trial)
            case TrialEnded():
                trial.ended = record
                trial.is_given_up = record.state == "failed" and trial.trial in self._faulty


def trial_histories(records: Iterable[Record]) -> list[TrialHistory]:
    """Return the history of every trial, by ascending number.

    Raises:
        RunError: There is a record of a trial that has not started.
    """
    fold = TrialFold()
    for record in records:
        fold.take(record)
    return [fold.trials[number] for number in sorted(fold.trials)]


def recipe_of(config: Mapping[str, Any]) -> str:
    """Return a trial's canonical config without its seed, as text that can be compared."""
    return json.dumps({k: v for k, v in config.items() if k != "seed"}, sort_keys=True)


def median_of_last(veer_pct: Sequence[float]) -> float | None:
    """Return the median of the last `LAST_EPOCHS` VEERs, percent; None of an empty sequence."""
    return median(veer_pct[-LAST_EPOCHS:]) if veer_pct else None


def latest(records: Iterable[Record], kind: type[R]) -> R | None:
    """Return the last record of a class, None where there is none."""
    found = None
    for record in records:
        if isinstance(record, kind):
            found = record
    return found
