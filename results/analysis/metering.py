"""How long each trial of a search had CPUs and GPUs, and when a search ran, by its journal.

A trial's time goes from the beginning of its set-up in a worker to its last record there, each
time that it was run again counted in. Where the journal does not say when that began, as in those
of before `had_s`, the first epoch's own time counts instead; of a worker that reported nothing
before its fault, the time since the trial's record before. Journals without `placed` give the
epochs' own time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.journal.history import NO_RETRY, STARTS
from results.journal.journal import Record

# Only a search that runs writes these; the others may come before it goes on, or after its end.
AT_WORK = frozenset({"placed", "epoch", "infrastructure", "infeasible", "repeated"})
OF_TRIALS = frozenset({"trial_started", "placed", "epoch", "infrastructure", "trial_ended"})
AUTO_GPU_SHARE = "auto"


@dataclass(slots=True, kw_only=True)
class SearchSession:
    """A process that led the search, from its start to its end or its last sign of life.

    Attributes:
        start: What it began with.
        records: What it wrote, while it made itself ready and later.
        is_ended: Whether it came to an end, and was not killed.
    """

    start: Record
    records: list[Record] = field(default_factory=list)
    is_ended: bool = False

    @property
    def wall_s(self) -> float:
        """How long it led the search, seconds."""
        start_s = self.start["time_s"]
        at_work = (r["time_s"] for r in self.records if r["event"] in AT_WORK or _is_end(r))
        return float(max([start_s, *at_work]) - start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """CPUs and GPUs of a trial; None where the settings do not say."""

    num_cpus: float | None
    num_gpus: float | None


@dataclass(slots=True, kw_only=True)
class TrialMeter:
    """One trial's clock: CPU- and GPU-seconds.

    Attributes:
        core_s: CPU-seconds so far, None once it is not known.
        gpu_s: Likewise of GPUs.
        seen_s: Time of its last record in this session, None before.
        since_s: Since when its time is not counted yet, None while it is nowhere.
        given: What it has there.
    """

    core_s: float | None = 0.0
    gpu_s: float | None = 0.0
    seen_s: float | None = None
    since_s: float | None = None
    given: _Given = _Given(num_cpus=None, num_gpus=None)

    def add(self, time_s: float, given: _Given) -> None:
        """Counts a time with what the trial had."""
        self.core_s = _plus(self.core_s, given.num_cpus, max(0.0, time_s))
        self.gpu_s = _plus(self.gpu_s, given.num_gpus, max(0.0, time_s))

    def count_to(self, now_s: float) -> None:
        """Counts what is not counted yet."""
        if self.since_s is not None:
            self.add(now_s - self.since_s, self.given)
            self.since_s = now_s


def trial_meters(records: Iterable[Record]) -> dict[int, TrialMeter]:
    """The clock of each trial, by its number."""
    return _Metering(tuple(records)).meters()


class _Metering:
    """Goes through a journal with a clock for every trial."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._led = search_sessions(records)
        self._has_places = any(record["event"] == "placed" for record in records)
        self._meters: dict[int, TrialMeter] = {}
        self._raised: dict[int, Record] = {}
        self._settings: Mapping[str, Any] = {}
        self._gpu_share: float | None = None

    def meters(self) -> dict[int, TrialMeter]:
        """Each trial's, by its number."""
        for session in self._led:
            self._settings = session.start.get("settings") or self._settings
            for meter in self._meters.values():
                meter.seen_s = meter.since_s = None
            for place in range(len(session.records)):
                self._take(session, place)
        return self._meters

    def _take(self, session: SearchSession, place: int) -> None:
        record = session.records[place]
        event, now_s = record["event"], record["time_s"]
        if event == "gpu_share":
            self._gpu_share = record["share"]
        if event not in OF_TRIALS:
            return
        meter = self._meters.setdefault(record["trial"], TrialMeter())
        if event == "epoch" and meter.since_s is None:
            meter.add(_own_s(record), self._given(record["trial"], None))
        if not self._has_places:
            return
        if now_s < session.start["time_s"]:  # written while the search was made ready
            return
        match event:
            case "placed":
                meter.given = self._given(record["trial"], record["device"])
                earliest_s = meter.seen_s or session.start["time_s"]
                meter.since_s = max(earliest_s, now_s - _had_s(session.records, place))
            case "epoch" | "infrastructure" | "trial_ended":
                self._count(meter, record, session)
        meter.seen_s = now_s

    def _count(self, meter: TrialMeter, record: Record, session: SearchSession) -> None:
        now_s, trial = record["time_s"], record["trial"]
        is_last = record["event"] != "epoch" and record.get("kind") != NO_RETRY
        if meter.since_s is None and is_last:
            meter.given = self._given(trial, None)
            meter.since_s = meter.seen_s or session.start["time_s"]
        meter.count_to(now_s)
        if is_last:
            meter.since_s = None
        if "share" in record:
            self._raised[trial] = record

    def _given(self, trial: int, device: str | None) -> _Given:
        """What a trial has, by the settings and by what it was given after it ran out of memory.

        As `search.loop.shares.ShareAllocator.share_of` has it.
        """
        resources = self._settings.get("resources") or {}
        cpus, gpus = resources.get("cpu"), resources.get("gpu")
        if gpus == AUTO_GPU_SHARE:
            is_cpu = self._settings.get("device") == "cpu" or device == "cpu"
            gpus = 0.0 if is_cpu else self._gpu_share or 0.0
        raised = self._raised.get(trial)
        if raised is not None and cpus is not None and gpus is not None:
            if raised["resource"] == "gpu" and gpus > 0:
                gpus = max(gpus, raised["share"])
            if raised["resource"] == "cpu" and gpus == 0:
                cpus = max(cpus, raised["share"])
        return _Given(num_cpus=cpus, num_gpus=gpus)


def search_sessions(records: Iterable[Record]) -> list[SearchSession]:
    """The records by the process that wrote them, oldest first.

    What comes between the last sign of life of one and the start of the next was written while
    the next one made itself ready; what comes after an end is of none.
    """
    found: list[SearchSession] = []
    waiting: list[Record] = []
    for record in records:
        if record["event"] in STARTS:
            found.append(SearchSession(start=record, records=waiting))
            waiting = []
            continue
        waiting.append(record)
        if found and not found[-1].is_ended and (record["event"] in AT_WORK or _is_end(record)):
            found[-1].records += waiting
            found[-1].is_ended = _is_end(record)
            waiting = []
    if found and not found[-1].is_ended:
        found[-1].records += waiting
    return found


def _plus(total: float | None, share: float | None, time_s: float) -> float | None:
    return None if total is None or share is None else total + share * time_s


def _is_end(record: Record) -> bool:
    return bool(record["event"] == "search_ended")


def _had_s(records: Sequence[Record], place: int) -> float:
    """How long a trial had its share when its worker first reported, seconds.

    Args:
        records: Of a session.
        place: Where the `placed` record is among them.
    """
    placed = records[place]
    if "had_s" in placed:
        return float(placed["had_s"])
    for record in (records[later] for later in range(place + 1, len(records))):
        if record.get("trial") == placed["trial"]:
            return _own_s(record) if record["event"] == "epoch" else 0.0
    return 0.0


def _own_s(epoch: Record) -> float:
    return float((epoch.get("train_s") or 0.0) + (epoch.get("eval_s") or 0.0))
