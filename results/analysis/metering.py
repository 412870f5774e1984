"""The time for which each trial of a search had CPUs and GPUs, and when the search ran.

Everything is computed from the journal. The time of a trial in a worker is from the start of its
set-up to its last record there; all its runs are added up. Two cases lack a time:

- A worker that reported nothing before its fault: the time since the previous record of the trial.
- Journals without `placed` records: the durations of the epochs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.journal.history import NO_RETRY, OF_TRIALS
from results.records.record import Record, TrialRecord
from results.records.search_records import (
    GpuShareMeasured,
    InfeasibleSuggestion,
    RepeatedSuggestion,
    SearchEnded,
    SearchResumed,
    SearchStarted,
)
from results.records.trial_records import EpochEnded, InfrastructureFault, TrialEnded, TrialPlaced

# Only a running search writes these events. The others may also be written while a resumed search
# prepares, or after its end (a benchmark).
AT_WORK = (TrialPlaced, EpochEnded, InfrastructureFault, InfeasibleSuggestion, RepeatedSuggestion)
AT_WORK_OR_END = (*AT_WORK, SearchEnded)
# The `gpu` of the settings where the search chooses the share.
AUTO_GPU_SHARE = "auto"


@dataclass(slots=True, kw_only=True)
class SearchSession:
    """A part of the search led by one process, up to its end or its last record.

    Attributes:
        start: The `search_started` or `search_resumed` record.
        records: The other records that the process wrote, those of its preparation included.
        is_ended: Whether the session has an end, and was not killed.
    """

    start: SearchStarted | SearchResumed
    records: list[Record] = field(default_factory=list)
    is_ended: bool = False

    @property
    def wall_s(self) -> float:
        """Duration, seconds."""
        start_s = self.start.time_s
        at_work = (each.time_s for each in self.records if isinstance(each, AT_WORK_OR_END))
        return float(max([start_s, *at_work]) - start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resources:
    """The CPUs and GPUs of a trial; None where the settings do not have them."""

    num_cpus: float | None
    num_gpus: float | None


@dataclass(slots=True, kw_only=True)
class TrialMeter:
    """The CPU-seconds and GPU-seconds of one trial.

    Attributes:
        core_s: CPU-seconds so far; None once a part of them is unknown.
        gpu_s: GPU-seconds so far; None once a part of them is unknown.
        seen_s: Time of the trial's last record in this session, None before the first.
        since_s: Time up to which its time is counted; None while it runs nowhere.
        resources: What the trial has where it runs now.
    """

    core_s: float | None = 0.0
    gpu_s: float | None = 0.0
    seen_s: float | None = None
    since_s: float | None = None
    resources: _Resources = _Resources(num_cpus=None, num_gpus=None)

    def add(self, time_s: float, resources: _Resources) -> None:
        """Count a duration in seconds with the resources that the trial had."""
        # Records have wall-clock times, which can go backwards.
        time_s = max(0.0, time_s)
        self.core_s = _plus(self.core_s, resources.num_cpus, time_s)
        self.gpu_s = _plus(self.gpu_s, resources.num_gpus, time_s)

    def count_to(self, now_s: float) -> None:
        """Count the time since `since_s`."""
        if self.since_s is not None:
            self.add(now_s - self.since_s, self.resources)
            self.since_s = now_s


def trial_meters(sessions: Sequence[SearchSession]) -> dict[int, TrialMeter]:
    """Return the meter of each trial, by its number."""
    return _Metering(sessions).meters()


class _Metering:
    """One pass through the sessions of a search with a meter for every trial."""

    def __init__(self, sessions: Sequence[SearchSession]) -> None:
        self._sessions = sessions
        self._has_placements = any(
            isinstance(record, TrialPlaced) for session in sessions for record in session.records
        )
        self._meters: dict[int, TrialMeter] = {}
        self._raised: dict[int, InfrastructureFault] = {}
        self._settings: Mapping[str, Any] = {}
        self._gpu_share: float | None = None

    def meters(self) -> dict[int, TrialMeter]:
        """Return the meter of each trial, by its number."""
        for session in self._sessions:
            self._settings = session.start.settings or self._settings
            # No worker outlives the session that started it.
            for meter in self._meters.values():
                meter.seen_s = meter.since_s = None
            for record in session.records:
                self._take(session, record)
        return self._meters

    def _take(self, session: SearchSession, record: Record) -> None:
        if isinstance(record, GpuShareMeasured):
            self._gpu_share = record.share
        if not isinstance(record, OF_TRIALS):
            return
        meter, now_s = self._meters.setdefault(record.trial, TrialMeter()), record.time_s
        if isinstance(record, EpochEnded) and meter.since_s is None:
            meter.add(record.duration_s, self._resources(record.trial, None))
        if not self._has_placements:
            return
        if now_s < session.start.time_s:  # written while the search prepared
            return
        match record:
            case TrialPlaced():
                meter.resources = self._placed_resources(record)
                earliest_s = meter.seen_s or session.start.time_s
                # Not before its previous record in this session: no time is counted twice.
                meter.since_s = max(earliest_s, now_s - record.had_s)
            case EpochEnded() | InfrastructureFault() | TrialEnded():
                self._count(meter, record, session)
        meter.seen_s = now_s

    def _count(self, meter: TrialMeter, record: TrialRecord, session: SearchSession) -> None:
        now_s, trial = record.time_s, record.trial
        goes_on = isinstance(record, InfrastructureFault) and record.kind in NO_RETRY
        is_last = not goes_on and not isinstance(record, EpochEnded)
        if meter.since_s is None and is_last:
            meter.resources = self._resources(trial, None)
            meter.since_s = meter.seen_s or session.start.time_s
        meter.count_to(now_s)
        if is_last:
            meter.since_s = None
        if isinstance(record, InfrastructureFault) and record.share is not None:
            self._raised[trial] = record

    def _placed_resources(self, record: TrialPlaced) -> _Resources:
        """Return the resources that a trial was placed with."""
        if record.num_cpus is not None and record.num_gpus is not None:
            return _Resources(num_cpus=record.num_cpus, num_gpus=record.num_gpus)
        return self._resources(record.trial, record.device)

    def _resources(self, trial: int, device: str | None) -> _Resources:
        """Return the resources of a trial, by the settings and by its faults of memory.

        For a trial whose place is not known. The rule is that of
        `search.loop.shares.ShareAllocator.share_of`, which gives the shares.

        Args:
            trial: Number of the trial.
            device: The device of its `placed` record, None where unknown.
        """
        resources = self._settings.get("resources") or {}
        cpus, gpus = resources.get("cpu"), resources.get("gpu")
        if gpus == AUTO_GPU_SHARE:
            is_cpu = self._settings.get("device") == "cpu" or device == "cpu"
            gpus = 0.0 if is_cpu else self._gpu_share or 0.0
        raised = self._raised.get(trial)
        if raised is not None and cpus is not None and gpus is not None:
            if raised.resource == "gpu" and gpus > 0:
                gpus = max(gpus, raised.share)
            if raised.resource == "cpu" and gpus == 0:
                cpus = max(cpus, raised.share)
        return _Resources(num_cpus=cpus, num_gpus=gpus)


def search_sessions(records: Iterable[Record]) -> list[SearchSession]:
    """Return the sessions of the search, oldest first.

    Records between the last event in `AT_WORK` of one session and the start of the next belong to
    the next, which wrote them while it prepared. Records after the end of the last session belong
    to none.
    """
    found: list[SearchSession] = []
    waiting: list[Record] = []  # not known yet to which session they belong
    for record in records:
        if isinstance(record, SearchStarted | SearchResumed):
            found.append(SearchSession(start=record, records=waiting))
            waiting = []
            continue
        waiting.append(record)
        if found and not found[-1].is_ended and isinstance(record, AT_WORK_OR_END):
            found[-1].records += waiting
            found[-1].is_ended = isinstance(record, SearchEnded)
            waiting = []
    if found and not found[-1].is_ended:
        found[-1].records += waiting
    return found


def _plus(total: float | None, share: float | None, time_s: float) -> float | None:
    return None if total is None or share is None else total + share * time_s
