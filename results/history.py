"""A journal's records, gathered by trial."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from results.journal import Record
from trainable.errors import RunError

RUNNING = "running"
NO_TRIAL = -1
# So many epochs tell where a trial stands, without the luck of the best one.
LAST_EPOCHS = 5
UNRANKED = frozenset({"failed", "diverged"})
# A fault after which the trial goes on where it is.
NO_RETRY = "checkpoint_damaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A stretch of a trial in one process.

    Attributes:
        record: The `placed` record.
        epochs: Epochs reported from there, in the order of the reports.
    """

    record: Record
    epochs: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class TrialHistory:
    """All that a journal says about one trial.

    Attributes:
        trial: Its number.
        started: The latest `trial_started` record.
        start_s: Time of the first `trial_started` record, seconds since 1970.
        epochs: The `epoch` records by epoch; of a repeated epoch the last.
        ended: The `trial_ended` record, or None while the trial is unfinished.
        faults: The `infrastructure` records, oldest first.
        placements: Where it ran, oldest first; empty in journals of before this was noted.
        is_given_up: Whether the last fault ended the trial, as failed.
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
        """How it ended, or `running`."""
        return RUNNING if self.ended is None else str(self.ended["state"])

    @property
    def params(self) -> dict[str, Any]:
        """Sampled values by dotted name."""
        return dict(self.started["params"])

    @property
    def retries(self) -> list[Record]:
        """The faults after which it was run again."""
        again = [fault for fault in self.faults if fault["kind"] != NO_RETRY]
        return again[:-1] if self.is_given_up else again

    @property
    def loss(self) -> dict[str, Any]:
        """The `loss` of its config.

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
        """The epoch records, first epoch first."""
        return [self.epochs[epoch] for epoch in sorted(self.epochs)]

    @property
    def best(self) -> Record | None:
        """The record of the epoch with the lowest VEER, the first of equals."""
        measured = [record for record in self.in_order if record["veer_pct"] is not None]
        return min(measured, key=lambda record: record["veer_pct"], default=None)

    @property
    def median_veer_pct(self) -> float | None:
        """Median VEER of the last epochs that have one, percent."""
        measured = [record["veer_pct"] for record in self.in_order]
        last = [veer_pct for veer_pct in measured if veer_pct is not None][-LAST_EPOCHS:]
        return median(last) if last else None

    @property
    def last(self) -> Record | None:
        """The record of the last epoch."""
        return self.in_order[-1] if self.epochs else None


def trial_histories(records: Iterable[Record]) -> list[TrialHistory]:
    """Gathers the records by trial, in the order of the trials' numbers.

    A trial that is started again after its end (a search that goes on) is unfinished again.

    Raises:
        RunError: A trial goes on that never started.
    """
    trials: dict[int, TrialHistory] = {}
    struck: set[int] = set()  # trials with a fault after which nothing came yet
    for record in records:
        number = int(record.get("trial", NO_TRIAL))
        match record["event"]:
            case "trial_started" if number in trials:
                trials[number].started, trials[number].ended = record, None
                trials[number].is_given_up = False
            case "trial_started":
                start_s = record["time_s"]
                trials[number] = TrialHistory(trial=number, started=record, start_s=start_s)
            case "epoch" | "placed" | "trial_ended" | "infrastructure" if number not in trials:
                raise RunError(
                    f"the journal has {record['event']} of trial {number}, and not its start: it "
                    "is damaged; restore it from a copy"
                )
            case "epoch":
                _take_epoch(trials[number], record)
                struck.discard(number)
            case "placed":
                trials[number].placements.append(Placement(record=record))
                struck.discard(number)
            case "infrastructure":
                trials[number].faults.append(record)
                if record["kind"] != NO_RETRY:
                    struck.add(number)
            case "trial_ended":
                trials[number].ended = record
                trials[number].is_given_up = record["state"] == "failed" and number in struck
    return [trials[number] for number in sorted(trials)]


def _take_epoch(trial: TrialHistory, record: Record) -> None:
    trial.epochs[record["epoch"]] = record
    if trial.placements:
        trial.placements[-1].epochs.append(record["epoch"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """A suggestion that means the same config as an earlier trial, by other values.

    Attributes:
        same_as: The trial whose run it shares.
        params: Sampled values by dotted name.
    """

    same_as: int
    params: dict[str, Any]


def repetitions(records: Iterable[Record]) -> list[Repetition]:
    """The repeated suggestions that say something new, oldest first.

    Those with the values of the trial that they equal, or of an earlier repetition of it, are left
    out.
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


def ranked(trials: Iterable[TrialHistory]) -> list[TrialHistory]:
    """Trials with a VEER, the best first; failed and diverged ones are left out."""
    keyed = [
        (trial.best["veer_pct"], trial.trial, trial)
        for trial in trials
        if trial.best is not None and trial.state not in UNRANKED
    ]
    return [trial for *_, trial in sorted(keyed, key=lambda key: key[:2])]


def best_ended(trials: Iterable[TrialHistory], most: int) -> list[TrialHistory]:
    """The best trials of those that ended, the best first.

    Raises:
        RunError: None has ended with a VEER, or `most` is below 1.
    """
    if most < 1:
        raise RunError(f"the number of trials must be at least 1, got {most}")
    ended = [trial for trial in ranked(trials) if trial.ended is not None]
    if not ended:
        raise RunError("no trial of this run has ended with a VEER yet")
    return ended[:most]


def latest(records: Iterable[Record], event: str) -> Record | None:
    """The last record of an event, None where there is none."""
    found = None
    for record in records:
        if record["event"] == event:
            found = record
    return found
