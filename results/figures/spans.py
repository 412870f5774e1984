"""Where and when trials ran, from the journal: spans in rows, with pauses of the search removed.

The record of a placement is written with the first epoch in the new process. So a span starts
where that epoch started, which is its time minus its duration; the set-up before it is a gap.
Processes of one host that did not run at the same time share a row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from results.analysis.faults import counted, fault_in_words
from results.analysis.run_view import RunView
from results.records.record import Record, TrialRecord
from results.records.search_records import ModelsBenchmarked, SearchResumed
from results.records.trial_records import EpochEnded, InfrastructureFault, TrialEnded, TrialPlaced

# A worker that reported nothing before its fault has no placement.
_UNKNOWN_HOST = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time of a trial in one process.

    Attributes:
        trial: Number of the trial.
        state: State of the trial, as in the trials table.
        row: Name of the row in the timeline.
        begin_s: Begin in seconds since the start of the search, without pauses.
        end_s: End in seconds since the start of the search, without pauses.
        details: Hover text: epochs, duration, process.
    """

    trial: int
    state: str
    row: str
    begin_s: float
    end_s: float
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMark:
    """A fault of a trial.

    Attributes:
        trial: Number of the trial.
        row: Name of the row in the timeline.
        at_s: Time in seconds since the start of the search, without pauses.
        details: Hover text: the kind of fault and what happened.
    """

    trial: int
    row: str
    at_s: float
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All spans of a run.

    Attributes:
        spans: Spans in the order of their begins.
        faults: Faults in the order of their spans.
        rows: Names of the rows in order.
        pauses: Pairs of time and duration in seconds; times as in `Span`.
        end_s: End of the last span.
    """

    spans: tuple[Span, ...]
    faults: tuple[FaultMark, ...]
    rows: tuple[str, ...]
    pauses: tuple[tuple[float, float], ...]
    end_s: float


@dataclass(slots=True, kw_only=True)
class _OpenSpan:
    """A span while records are read; times in seconds since 1970."""

    trial: int
    host: str = _UNKNOWN_HOST
    pid: int | None = None
    device: str = ""
    begin_s: float
    end_s: float
    epochs: list[int] = field(default_factory=list)
    faults: list[InfrastructureFault] = field(default_factory=list)


def schedule_of(view: RunView) -> Schedule:
    """Return the spans of a run; empty where no trial has an epoch, a placement or a fault."""
    clock = _Clock(view.records)
    open_spans = sorted(_read_spans(view), key=lambda each: (each.begin_s, each.trial))
    row_keys = _assign_rows(open_spans)
    states = {trial.trial: trial.state for trial in view.histories}
    spans, faults = [], []
    for span, row_key in zip(open_spans, row_keys, strict=True):
        row = _row_name(*row_key)
        begin_s, end_s = clock(span.begin_s), clock(span.end_s)
        spans.append(
            Span(trial=span.trial, state=states[span.trial], row=row, begin_s=begin_s,
                 end_s=end_s, details=_details(span))
        )  # fmt: skip
        faults += [
            FaultMark(trial=span.trial, row=row, at_s=clock(each.time_s),
                      details=f"{each.kind}: {fault_in_words(each.kind)}")
            for each in span.faults
        ]  # fmt: skip
    return Schedule(
        spans=tuple(spans),
        faults=tuple(faults),
        rows=tuple(_row_name(*row_key) for row_key in sorted(set(row_keys))),
        pauses=clock.pauses,
        end_s=max((span.end_s for span in spans), default=0.0),
    )


class _Clock:
    """A conversion of seconds since 1970 to seconds of the search, without its pauses."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._start_s: float | None = None
        self._cuts: list[tuple[float, float]] = []  # (from, to), seconds since 1970
        before_s = 0.0
        for record in records:
            if self._start_s is None:
                self._start_s = record.time_s
            if isinstance(record, SearchResumed):
                self._cuts.append((before_s, max(before_s, record.time_s)))
            # A benchmark runs between searches, so the pause starts before it.
            if not isinstance(record, ModelsBenchmarked):
                before_s = record.time_s

    @property
    def pauses(self) -> tuple[tuple[float, float], ...]:
        """Pairs of time in the search and duration, in seconds."""
        return tuple((self(begin), end - begin) for begin, end in self._cuts)

    def __call__(self, time_s: float) -> float:
        # A time inside a pause maps to its begin.
        cut_s = sum(min(end, time_s) - begin for begin, end in self._cuts if begin < time_s)
        return max(time_s - cut_s - (self._start_s or 0.0), 0.0)


def _read_spans(view: RunView) -> list[_OpenSpan]:
    done: list[_OpenSpan] = []
    running: dict[int, _OpenSpan] = {}

    def at(record: TrialRecord) -> _OpenSpan:
        """Return the current span of the trial, or a new one without a host."""
        trial, time_s = record.trial, record.time_s
        if trial not in running:
            running[trial] = _OpenSpan(trial=trial, begin_s=time_s, end_s=time_s)
            done.append(running[trial])
        return running[trial]

    for record in view.records:
        match record:
            case TrialPlaced():
                running.pop(record.trial, None)
                span = at(record)
                span.host, span.pid = record.host, record.pid
                span.device = record.device
            case EpochEnded():
                _take_epoch(at(record), record)
            case InfrastructureFault():
                span = at(record)
                span.faults.append(record)
                span.end_s = record.time_s
            case TrialEnded() if record.trial in running:
                running.pop(record.trial).end_s = record.time_s
            case SearchResumed():
                # A killed search wrote no end of its trials, which continue in other processes.
                running.clear()
    return done


def _take_epoch(span: _OpenSpan, record: EpochEnded) -> None:
    if not span.epochs:
        span.begin_s = min(span.begin_s, record.time_s - record.duration_s)
    span.epochs.append(record.epoch)
    span.end_s = record.time_s


def _row_name(host: str, number: int) -> str:
    """Return the name of a row."""
    return f"worker {number} (host not recorded)" if host == _UNKNOWN_HOST else f"{host} {number}"


def _assign_rows(open_spans: Sequence[_OpenSpan]) -> list[tuple[str, int]]:
    """Return host and number of the row for each span, in the order given.

    All spans of a process are in one row. A later process gets the first row of its host that is
    free by then.
    """
    processes: dict[object, tuple[float, float]] = {}
    # A span without a process id counts as a process of its own.
    keys = [
        (each.host, number if each.pid is None else -1, each.pid)
        for number, each in enumerate(open_spans)
    ]
    for key, each in zip(keys, open_spans, strict=True):
        begin_s, end_s = processes.get(key, (each.begin_s, each.end_s))
        processes[key] = (min(begin_s, each.begin_s), max(end_s, each.end_s))
    free_from_s: dict[str, list[float]] = {}
    taken: dict[object, tuple[str, int]] = {}
    for key, each in zip(keys, open_spans, strict=True):
        if key not in taken:
            begin_s, end_s = processes[key]
            slots = free_from_s.setdefault(each.host, [])
            slot = next((n for n, free_s in enumerate(slots) if free_s <= begin_s), len(slots))
            # A slice, because the slot may be a new one at the end.
            slots[slot:slot + 1] = [end_s]  # fmt: skip
            taken[key] = (each.host, slot + 1)
    return [taken[key] for key in keys]


def _details(span: _OpenSpan) -> str:
    epochs = span.epochs
    ran = f"epochs {epochs[0]} to {epochs[-1]}" if epochs else "no epoch finished there"
    if len(epochs) == 1:
        ran = f"epoch {epochs[0]}"
    where = "" if span.pid is None else f", {span.device}, process {span.pid}"
    return f"{ran} in {counted(round(span.end_s - span.begin_s), 'second')}{where}"
