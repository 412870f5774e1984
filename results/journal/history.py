"""The records of a journal, grouped by trial."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from results.journal.journal import Record
from spaces.files.errors import RunError

RUNNING = "running"
# The number that stands for the trial in records of the search as a whole.
WITHOUT_TRIAL = -1
# Events that start a search session.
STARTS = ("search_started", "search_resumed")
# The end VEER is the median of so many epochs. The lowest VEER of all epochs is too optimistic: it
# is that of the luckiest epoch.
LAST_EPOCHS = 5
# Trials in these states have no rank, even where an epoch has a VEER.
UNRANKED = frozenset({"failed", "diverged"})
# The kinds of follow-ups.
REPEAT, CONTROL = "repeat", "control"
# A fault after which the trial continues in the same process.
NO_RETRY = "checkpoint_damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The part of a trial that ran in one process.

    Attributes:
        record: The `placed` record.
        epochs: Epochs that this process reported, in the order of the reports.
    """

    record: Record
    epochs: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TrialHistory:
    """The records of one trial.

    Attributes:
        trial: Number of the trial.
        started: The latest `trial_started` record.
        start_s: Time of the first `trial_started` record, seconds since 1970.
        epochs: The `epoch` records by epoch; the last one of an epoch that was reported twice.
        ended: The `trial_ended` record, or None while the trial is unfinished.
        faults: The `infrastructure` records, oldest first.
        placements: Where it ran, oldest first; empty in journals from before `placed` existed.
        is_given_up: Whether the trial failed because of its last fault.
    """

    trial: int
    started: Record
    start_s: float
    epochs: dict[int, Record] = field(default_factory=dict)
    ended: Record | None = None
    faults: list[Record] = field(default_factory=list)
    placements: list[Placement] = field(default_factory=list)
    is_given_up: bool = False

    @property
    def state(self) -> str:
        """The state in which it ended, or `running`."""
        return RUNNING if self.ended is None else str(self.ended["state"])

    @property
    def params(self) -> dict[str, Any]:
        """Sampled values by dotted name."""
        return dict(self.started["params"])

    @property
    def follow_up(self) -> str | None:
        """The kind of follow-up, `repeat` or `control`; None for the search's own trials."""
        return self.started.get("follow_up")

    @property
    def follows(self) -> int | None:
        """The trial whose config a follow-up repeats; None for the search's own trials."""
        return self.started.get("follows")

    @property
    def recipe(self) -> str:
        """The config without its seed, as text: equal for repeats of one config."""
        return recipe_of(self.started["config"])

    @property
    def retries(self) -> list[Record]:
        """The faults after which the trial was run again."""
        # The last fault of a trial that was given up had no retry.
        again = [fault for fault in self.faults if fault["kind"] != NO_RETRY]
        return again[:-1] if self.is_given_up else again

    @property
    def loss(self) -> dict[str, Any]:
        """The `loss` section of its config.

        Raises:
            RunError: The config has none, or one without `distillation`.
        """
        loss = self.started["config"].get("loss")
        if not isinstance(loss, dict) or not isinstance(loss.get("distillation"), str):
            raise RunError(
                f"the journal's config of trial {self.trial} must have loss.distillation; it is "
                "damaged: restore the run folder from a copy"
            )
        return loss

    @property
    def in_order(self) -> list[Record]:
        """The epoch records by ascending epoch."""
        return [self.epochs[epoch] for epoch in sorted(self.epochs)]

    @property
    def best(self) -> Record | None:
        """The record of the epoch with the lowest VEER; the earliest of equal ones."""
        measured = [record for record in self.in_order if record["veer_pct"] is not None]
        return min(measured, key=lambda record: record["veer_pct"], default=None)

    @property
    def best_veer_pct(self) -> float | None:
        """Lowest VEER of its epochs, percent."""
        return None if self.best is None else float(self.best["veer_pct"])

    @property
    def measured(self) -> dict[int, float]:
        """VEER by epoch, percent, of the epochs that have one, by ascending epoch."""
        return {
            record["epoch"]: record["veer_pct"]
            for record in self.in_order
            if record["veer_pct"] is not None
        }

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of the last `LAST_EPOCHS` epochs that have one, percent."""
        return median_of_last(list(self.measured.values()))

    @property
    def last(self) -> Record | None:
        """The `epoch` record with the highest epoch; None before the first."""
        return self.in_order[-1] if self.epochs else None


def trial_histories(records: Iterable[Record]) -> list[TrialHistory]:
    """Return the history of every trial, by ascending number.

    A trial that starts again after its end, in a resumed search, counts as unfinished again.

    Raises:
        RunError: There is a record of a trial that has not started.
    """
    trials: dict[int, TrialHistory] = {}
    faulty: set[int] = set()  # trials with a fault since their last epoch or start
    for record in records:
        number = int(record.get("trial", WITHOUT_TRIAL))
        match record["event"]:
            case "trial_started" if number in trials:
                trials[number].started, trials[number].ended = record, None
                trials[number].is_given_up = False
            case "trial_started":
                start_s = record["time_s"]
                trials[number] = TrialHistory(trial=number, started=record, start_s=start_s)
            case "epoch" | "placed" | "trial_ended" | "infrastructure" if number not in trials:
                raise RunError(
                    f"the journal has {record['event']} of trial {number}, which has not started: "
                    "it is damaged; restore it from a copy"
                )
            case "epoch":
                _take_epoch(trials[number], record)
                faulty.discard(number)
            case "placed":
                trials[number].placements.append(Placement(record=record))
                faulty.discard(number)
            case "infrastructure":
                trials[number].faults.append(record)
                if record["kind"] != NO_RETRY:
                    faulty.add(number)
            case "trial_ended":
                trials[number].ended = record
                trials[number].is_given_up = record["state"] == "failed" and number in faulty
    return [trials[number] for number in sorted(trials)]


def _take_epoch(trial: TrialHistory, record: Record) -> None:
    trial.epochs[record["epoch"]] = record
    if trial.placements:
        trial.placements[-1].epochs.append(record["epoch"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A suggestion with other values than an earlier trial, but the same resulting config.

    Attributes:
        same_as: Number of the trial whose run it shares.
        params: Sampled values by dotted name.
    """

    same_as: int
    params: dict[str, Any]


def repetitions(records: Iterable[Record]) -> list[Repetition]:
    """Return the repeated suggestions with new values, oldest first.

    Suggestions with the same values as the trial that they repeat, or as an earlier repetition of
    it, are left out.
    """
    known: dict[int, list[dict[str, Any]]] = {}
    found = []
    for record in records:
        match record["event"]:
            case "trial_started":
                known.setdefault(record["trial"], []).append(record["params"])
            case "repeated" if record["params"] not in known[record["same_as"]]:
                same_as, params = int(record["same_as"]), dict(record["params"])
                known[same_as].append(params)
                found.append(Repetition(same_as=same_as, params=params))
    return found


def recipe_of(config: Mapping[str, Any]) -> str:
    """Return a trial's canonical config without its seed, as text that can be compared."""
    return json.dumps({k: v for k, v in config.items() if k != "seed"}, sort_keys=True)


def median_of_last(veer_pct: Sequence[float]) -> float | None:
    """Return the median of the last `LAST_EPOCHS` VEERs, percent; None of an empty sequence."""
    return median(veer_pct[-LAST_EPOCHS:]) if veer_pct else None


def last_turn(records: Iterable[Record]) -> Record | None:
    """Return the last start or end of the search; None where it has not started."""
    turns = [record for record in records if record["event"] in (*STARTS, "search_ended")]
    return turns[-1] if turns else None


def latest(records: Iterable[Record], event: str) -> Record | None:
    """Return the last record of an event, None where there is none."""
    found = None
    for record in records:
        if record["event"] == event:
            found = record
    return found
