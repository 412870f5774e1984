"""The losses of a search under faults, counted from its journal.

A snapshot of the run folder is taken after every fault and at the end. The end must contain every
trial and epoch of the snapshots exactly once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from results.journal.history import TrialHistory, trial_histories
from results.journal.journal import read_journal
from results.journal.run_folder import JOURNAL
from results.records.record import Record
from results.records.search_records import SearchResumed, SearchStarted
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from search.loop.stop_check import stop_faults
from trainable.checkpoints.folder import CheckpointFolder

TrialEpoch = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a run folder just after a fault.

    Attributes:
        records: Records of the journal.
        checkpoints: The newest epoch with a checkpoint, by trial.
        hit: Trials whose processes died; empty for all that ran.
        is_gentle: Whether the trials could finish their current epoch.
    """

    records: tuple[Record, ...]
    checkpoints: Mapping[int, int]
    hit: frozenset[int] = frozenset()
    is_gentle: bool = False

    @property
    def epochs(self) -> set[TrialEpoch]:
        """Every finished epoch: in the journal, or in a checkpoint."""
        kept = {
            (trial, epoch)
            for trial, newest in self.checkpoints.items()
            for epoch in range(1, newest + 1)
        }
        return kept | set(_reported_epochs(self.records))

    @property
    def num_interrupted(self) -> int:
        """The most epochs that must be computed again, completely or in part, after this moment.

        For an unfinished trial that has reported since the last start, these are the epochs after
        its last checkpoint, and the interrupted epoch. No epoch is interrupted by a gentle end, or
        if the trial has finished an epoch that the driver has not received yet.
        """
        reported, count = _reported_epochs(self.records), 0
        for trial in self.at_work:
            last = max(epoch for number, epoch in reported if number == trial)
            kept = self.checkpoints.get(trial, 0)
            count += max(last - kept, 0) + (kept <= last and not self.is_gentle)
        return count

    @property
    def at_work(self) -> set[int]:
        """Trials without an end that have reported since the search was last started."""
        found = set[int]()
        for record in self.records:
            match record:
                case SearchStarted() | SearchResumed():
                    found.clear()
                case EpochEnded():
                    found.add(record.trial)
                case TrialEnded():
                    found.discard(record.trial)
        return found & (self.hit or found)

    def only(self, hit: set[int]) -> "Snapshot":
        """Return the same snapshot for a fault that hit only these trials."""
        return replace(self, hit=frozenset(hit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The losses at the end of a search; all are 0 if the faults did no harm.

    Attributes:
        trials_lost: Trials in a snapshot or in the settings that are missing at the end, have no
            end, or failed. In a tiny world no trial fails by itself.
        trials_repeated: Starts of trials that had started before.
        epochs_lost: Epochs in a snapshot that are missing at the end, and missing epochs before a
            trial's last one; the last of a complete trial is `max_epochs`.
        epochs_repeated: Second records of an epoch.
        epochs_again: Epochs that were computed again, completely or in part. They are recorded
            once, and cost only time.
        stop_faults: Stops that do not follow from the rungs, and missing stops.
    """

    trials_lost: int = 0
    trials_repeated: int = 0
    epochs_lost: int = 0
    epochs_repeated: int = 0
    epochs_again: int = 0
    stop_faults: tuple[str, ...] = ()

    @property
    def is_harmless(self) -> bool:
        """Whether nothing was lost or counted twice, and every stop follows."""
        counts = (self.trials_lost, self.trials_repeated, self.epochs_lost, self.epochs_repeated)
        return not any(counts) and not self.stop_faults

    def __add__(self, other: "Losses") -> "Losses":
        """Return the losses of two searches together."""
        names = self.__dataclass_fields__
        return Losses(**{name: getattr(self, name) + getattr(other, name) for name in names})


def snapshot(run: Path, *, is_gentle: bool = False) -> Snapshot:
    """Take a snapshot of a run folder, which may not exist yet, after a fault."""
    # The journal first: a worker writes a checkpoint before it reports the epoch.
    records = read_journal(run / JOURNAL) if (run / JOURNAL).is_file() else ()
    checkpoints = {}
    for folder in sorted((run / "trials").glob("[0-9]*")):
        if epochs := CheckpointFolder(folder).epochs():
            checkpoints[int(folder.name)] = epochs[-1]
    return Snapshot(records=records, checkpoints=checkpoints, is_gentle=is_gentle)


def losses(snapshots: Sequence[Snapshot], end: Sequence[Record], num_trials: int) -> Losses:
    """Count what the snapshots have and a finished search lacks or has twice.

    Args:
        snapshots: One for each fault, oldest first.
        end: The journal of the finished search.
        num_trials: Planned number of trials.
    """
    trials = {history.trial: history for history in trial_histories(end)}
    started = Counter(record.trial for record in end if isinstance(record, TrialStarted))
    named = set(range(num_trials)).union(
        record.trial
        for each in snapshots
        for record in each.records
        if isinstance(record, TrialStarted)
    )
    lost = {
        number
        for number in named
        if number not in trials or trials[number].state in ("running", "failed")
    }
    reported = Counter(_reported_epochs(end))
    seen = set().union(*(each.epochs for each in snapshots)) if snapshots else set()
    max_epochs = end[0].settings["max_epochs"]
    expected = {
        epoch for trial in trials.values() for epoch in _expected_epochs(trial, max_epochs)
    }
    return Losses(
        trials_lost=len(lost),
        trials_repeated=sum(started.values()) - len(started),
        epochs_lost=len((seen | expected) - reported.keys()),
        epochs_repeated=sum(reported.values()) - len(reported),
        epochs_again=sum(each.num_interrupted for each in snapshots),
        stop_faults=stop_faults(end),
    )


def _expected_epochs(trial: TrialHistory, max_epochs: int) -> set[TrialEpoch]:
    last = max_epochs if trial.state == "complete" else max(trial.epochs, default=0)
    return {(trial.trial, epoch) for epoch in range(1, last + 1)}


def _reported_epochs(records: Sequence[Record]) -> list[TrialEpoch]:
    return [(each.trial, each.epoch) for each in records if isinstance(each, EpochEnded)]
