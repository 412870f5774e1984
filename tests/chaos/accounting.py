"""What a search lost, by its journal alone.

A run folder is looked at after every fault and at the end. The end must hold all that was there
before, and hold it once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from results.journal.history import TrialHistory, trial_histories
from results.journal.journal import Record, read_journal
from results.journal.run_folder import JOURNAL
from search.loop.stop_check import stop_faults
from trainable.checkpoints.folder import CheckpointFolder

TrialEpoch = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run folder at a moment.

    Attributes:
        records: Its journal's.
        checkpoints: The newest epoch with a checkpoint, by trial.
        hit: Trials whose processes died then; none stands for all that ran.
        is_gentle: Whether the trials were let finish the epoch that they were at.
    """

    records: tuple[Record, ...]
    checkpoints: Mapping[int, int]
    hit: frozenset[int] = frozenset()
    is_gentle: bool = False

    @property
    def epochs(self) -> set[TrialEpoch]:
        """Every epoch that was finished: journalled, or kept by a checkpoint."""
        kept = {
            (trial, epoch)
            for trial, newest in self.checkpoints.items()
            for epoch in range(1, newest + 1)
        }
        return kept | set(_told(self.records))

    @property
    def broken_off(self) -> int:
        """Epochs that must be computed again, wholly or in part, after this moment; at most.

        Of an unfinished trial that has reported since the last start: those that no checkpoint
        holds, and the one that it was at. It was at none after a gentle end, and where it had
        finished an epoch which the driver had not heard of.
        """
        told, count = _told(self.records), 0
        for trial in self.at_work:
            last = max(epoch for number, epoch in told if number == trial)
            kept = self.checkpoints.get(trial, 0)
            count += max(last - kept, 0) + (kept <= last and not self.is_gentle)
        return count

    @property
    def at_work(self) -> set[int]:
        """Trials without an end that have reported since the search was last started."""
        found = set[int]()
        for record in self.records:
            match record["event"]:
                case "search_started" | "search_resumed":
                    found.clear()
                case "epoch":
                    found.add(record["trial"])
                case "trial_ended":
                    found.discard(record["trial"])
        return found & (self.hit or found)

    def only(self, hit: set[int]) -> "Snapshot":
        """The same, where only these trials were hit."""
        return replace(self, hit=frozenset(hit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What does not add up at a search's end; all of it is 0 where nothing was spoilt.

    Attributes:
        trials_lost: Trials that a snapshot or the settings name and the end lacks, that have no
            end, or that failed: nothing in a tiny world can fail by itself.
        trials_repeated: Starts of a trial that had started.
        epochs_lost: Epochs that a snapshot held and the end lacks, and those that a trial's end
            calls for: all up to the last, and of a complete trial up to the last there is.
        epochs_repeated: Records of an epoch that had one.
        epochs_again: Epochs that were computed again, wholly or in part. They are counted once,
            and cost time only.
        stop_faults: Stops that do not follow from the rungs, and stops left undone.
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
        """Those of two searches together."""
        names = self.__dataclass_fields__
        return Losses(**{name: getattr(self, name) + getattr(other, name) for name in names})


def snapshot(run: Path, *, is_gentle: bool = False) -> Snapshot:
    """Looks at a run folder, which need not exist yet, after a fault that was gentle or not."""
    # First: where somebody writes, a checkpoint is there before its epoch is told.
    records = read_journal(run / JOURNAL) if (run / JOURNAL).is_file() else ()
    checkpoints = {}
    for folder in sorted((run / "trials").glob("[0-9]*")):
        if epochs := CheckpointFolder(folder).epochs():
            checkpoints[int(folder.name)] = epochs[-1]
    return Snapshot(records=records, checkpoints=checkpoints, is_gentle=is_gentle)


def losses(snapshots: Sequence[Snapshot], end: Sequence[Record], num_trials: int) -> Losses:
    """Compares what was there after each fault with a finished search.

    Args:
        snapshots: One a fault, oldest first.
        end: The journal of the finished search.
        num_trials: Trials that it was to have.
    """
    trials = {history.trial: history for history in trial_histories(end)}
    started = Counter(record["trial"] for record in end if record["event"] == "trial_started")
    named = set(range(num_trials)).union(
        record["trial"]
        for each in snapshots
        for record in each.records
        if record["event"] == "trial_started"
    )
    lost = {
        number
        for number in named
        if number not in trials or trials[number].state in ("running", "failed")
    }
    told = Counter(_told(end))
    seen = set().union(*(each.epochs for each in snapshots)) if snapshots else set()
    max_epochs = end[0]["settings"]["max_epochs"]
    called_for = {epoch for trial in trials.values() for epoch in _called_for(trial, max_epochs)}
    return Losses(
        trials_lost=len(lost),
        trials_repeated=sum(started.values()) - len(started),
        epochs_lost=len((seen | called_for) - told.keys()),
        epochs_repeated=sum(told.values()) - len(told),
        epochs_again=sum(each.broken_off for each in snapshots),
        stop_faults=stop_faults(end),
    )


def _called_for(trial: TrialHistory, max_epochs: int) -> set[TrialEpoch]:
    last = max_epochs if trial.state == "complete" else max(trial.epochs, default=0)
    return {(trial.trial, epoch) for epoch in range(1, last + 1)}


def _told(records: Sequence[Record]) -> list[TrialEpoch]:
    return [(each["trial"], each["epoch"]) for each in records if each["event"] == "epoch"]
