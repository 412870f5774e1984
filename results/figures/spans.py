"""When and where trials ran, by the journal: spans on rows, with pauses of the search cut out.

A placement's record is written with the first epoch from there, so a span begins when that epoch
did, by its own times; the set-up before it shows as a gap. Processes of one host that did not run
at the same time share a row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from results.analysis.faults import counted, fault_in_words
from results.journal.journal import Record
from results.tables.run_view import RunView

UNTOLD = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of a trial in one process.

    Attributes:
        trial: Its number.
        state: The trial's.
        row: Where it stands.
        begin_s: Seconds since the search began, without pauses.
        end_s: Likewise.
        told: What is said of it.
    """

    trial: int
    state: str
    row: str
    begin_s: float
    end_s: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A fault: what befell which trial, on which row, in seconds since the search began."""

    trial: int
    row: str
    at_s: float
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """All spans of a run.

    Attributes:
        spans: By their begin.
        faults: By their time.
        rows: Names in order.
        pauses: When, and for how long, in seconds.
        end_s: End of the last span.
    """

    spans: tuple[Span, ...]
    faults: tuple[Mark, ...]
    rows: tuple[str, ...]
    pauses: tuple[tuple[float, float], ...]
    end_s: float


@dataclass(slots=True, kw_only=True)
class _Stretch:
    """A span in the making; times in seconds since 1970."""

    trial: int
    host: str = UNTOLD
    pid: int | None = None
    device: str = ""
    begin_s: float
    end_s: float
    epochs: list[int] = field(default_factory=list)
    faults: list[Record] = field(default_factory=list)


def schedule_of(view: RunView) -> Schedule:
    """The spans of a run, empty where no trial has an epoch, a place or a fault."""
    clock = _Clock(view.records)
    stretches = sorted(_stretches(view), key=lambda each: (each.begin_s, each.trial))
    places = _places(stretches)
    states = {trial.trial: trial.state for trial in view.histories}
    spans, faults = [], []
    for stretch, place in zip(stretches, places, strict=True):
        row = _row(*place)
        begin_s, end_s = clock(stretch.begin_s), clock(stretch.end_s)
        spans.append(
            Span(trial=stretch.trial, state=states[stretch.trial], row=row, begin_s=begin_s,
                 end_s=end_s, told=_told(stretch))
        )  # fmt: skip
        faults += [
            Mark(trial=stretch.trial, row=row, at_s=clock(each["time_s"]),
                 told=f"{each['kind']}: {fault_in_words(each['kind'])}")
            for each in stretch.faults
        ]  # fmt: skip
    return Schedule(
        spans=tuple(spans),
        faults=tuple(faults),
        rows=tuple(_row(*place) for place in sorted(set(places))),
        pauses=clock.pauses,
        end_s=max((span.end_s for span in spans), default=0.0),
    )


class _Clock:
    """Seconds since 1970 to seconds of the search, pauses cut out."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._start_s: float | None = None
        self._cuts: list[tuple[float, float]] = []  # (from, to), seconds since 1970
        before_s = 0.0
        for record in records:
            if self._start_s is None:
                self._start_s = record["time_s"]
            if record["event"] == "search_resumed":
                self._cuts.append((before_s, max(before_s, record["time_s"])))
            if record["event"] != "benchmark":
                before_s = record["time_s"]

    @property
    def pauses(self) -> tuple[tuple[float, float], ...]:
        """When in the search, and for how long."""
        return tuple((self(begin), end - begin) for begin, end in self._cuts)

    def __call__(self, time_s: float) -> float:
        cut_s = sum(min(end, time_s) - begin for begin, end in self._cuts if begin < time_s)
        return max(time_s - cut_s - (self._start_s or 0.0), 0.0)


def _stretches(view: RunView) -> list[_Stretch]:
    done: list[_Stretch] = []
    running: dict[int, _Stretch] = {}

    def at(record: Record) -> _Stretch:
        """The trial's stretch, a new one of unknown place where it has none."""
        trial, time_s = record["trial"], record["time_s"]
        if trial not in running:
            running[trial] = _Stretch(trial=trial, begin_s=time_s, end_s=time_s)
            done.append(running[trial])
        return running[trial]

    for record in view.records:
        match record["event"]:
            case "placed":
                running.pop(record["trial"], None)
                stretch = at(record)
                stretch.host, stretch.pid = record["host"], record["pid"]
                stretch.device = record["device"]
            case "epoch":
                _take_epoch(at(record), record)
            case "infrastructure":
                stretch = at(record)
                stretch.faults.append(record)
                stretch.end_s = record["time_s"]
            case "trial_ended" if record["trial"] in running:
                running.pop(record["trial"]).end_s = record["time_s"]
            case "search_resumed":
                running.clear()
    return done


def _take_epoch(stretch: _Stretch, record: Record) -> None:
    if not stretch.epochs:
        took_s = (record.get("train_s") or 0.0) + (record.get("eval_s") or 0.0)
        stretch.begin_s = min(stretch.begin_s, record["time_s"] - took_s)
    stretch.epochs.append(record["epoch"])
    stretch.end_s = record["time_s"]


def _row(host: str, number: int) -> str:
    """What a row is called."""
    return f"worker {number} (place not recorded)" if host == UNTOLD else f"{host} {number}"


def _places(stretches: Sequence[_Stretch]) -> list[tuple[str, int]]:
    """Host and number of a row each, in the order given.

    A process keeps its row, which a later one may take over.
    """
    processes: dict[object, tuple[float, float]] = {}
    keys = [
        (each.host, number if each.pid is None else -1, each.pid)
        for number, each in enumerate(stretches)
    ]
    for key, each in zip(keys, stretches, strict=True):
        begin_s, end_s = processes.get(key, (each.begin_s, each.end_s))
        processes[key] = (min(begin_s, each.begin_s), max(end_s, each.end_s))
    free_from_s: dict[str, list[float]] = {}
    taken: dict[object, tuple[str, int]] = {}
    for key, each in zip(keys, stretches, strict=True):
        if key not in taken:
            begin_s, end_s = processes[key]
            slots = free_from_s.setdefault(each.host, [])
            slot = next((n for n, free_s in enumerate(slots) if free_s <= begin_s), len(slots))
            slots[slot:slot + 1] = [end_s]  # fmt: skip
            taken[key] = (each.host, slot + 1)
    return [taken[key] for key in keys]


def _told(stretch: _Stretch) -> str:
    epochs = stretch.epochs
    ran = f"epochs {epochs[0]} to {epochs[-1]}" if epochs else "no epoch finished there"
    if len(epochs) == 1:
        ran = f"epoch {epochs[0]}"
    where = "" if stretch.pid is None else f", {stretch.device}, process {stretch.pid}"
    return f"{ran} in {counted(round(stretch.end_s - stretch.begin_s), 'second')}{where}"
