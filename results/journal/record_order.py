"""The order of a journal's records, which a replay and the tables depend on."""

from results.records.record import Record, TrialRecord
from results.records.search_records import RepeatedSuggestion
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted


class RecordOrder:
    """Check of the order of records, from the first one on."""

    def __init__(self) -> None:
        self._epochs: list[int] = []  # the last epoch of each trial
        self._ended: set[int] = set()
        # Kind and followed trial of each follow-up; None for the search's own trials.
        self._follows: dict[int, tuple[str, int] | None] = {}

    def next_error(self, record: Record) -> str | None:
        """Take the next record; return why it cannot come here, None if it can."""
        match record:
            case TrialStarted():
                return self._start(record.trial) or self._follow(record)
            case TrialRecord(trial=trial) | RepeatedSuggestion(same_as=trial):
                if trial >= len(self._epochs):
                    return f"{record.event} of trial {trial}, which has not started"
        match record:
            case EpochEnded():
                return self._epoch(record.trial, record.epoch)
            case TrialEnded(trial=trial) if trial in self._ended:
                return f"trial {trial} ends a second time"
            case TrialEnded():
                self._ended.add(record.trial)
        return None

    def _start(self, trial: int) -> str | None:
        if trial > len(self._epochs):
            return f"trial {trial} starts before trial {len(self._epochs)}"
        if trial == len(self._epochs):
            self._epochs.append(0)
        self._ended.discard(trial)
        return None

    def _follow(self, record: TrialStarted) -> str | None:
        trial, follows = record.trial, record.follows
        followed = None if follows is None else (str(record.follow_up), follows)
        if self._follows.setdefault(trial, followed) != followed:
            return f"trial {trial} starts again, but follows another trial than before"
        if follows is not None and (follows >= trial or self._follows[follows] is not None):
            return f"trial {trial} must follow an earlier one that follows none, got {follows}"
        return None

    def _epoch(self, trial: int, epoch: int) -> str | None:
        last = self._epochs[trial]
        if trial in self._ended:
            return f"epoch {epoch} of trial {trial}, which has ended"
        if epoch > last + 1:
            return f"epoch {epoch} of trial {trial} without epoch {last + 1}"
        # A trial that restarts from a checkpoint reports earlier epochs again.
        self._epochs[trial] = max(last, epoch)
        return None
