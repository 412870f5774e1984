"""TensorBoard's files of a run, by its journal: what every trial reported, and HParams.

    tensorboard/events...                  what HParams shows: parameters with bounds, metrics
    tensorboard/trial-0007/events...       trial 7: its epochs and its HParams session
    tensorboard/trial-0012-repeat-of-0003  a follow-up: its epochs, no session
    tensorboard/trial-0004-again           a failed trial that was begun again: the rest of it

Epochs have the tags of the epochs table, so that `veer train`'s lie in the same charts. An
event's bytes depend on the journal alone: files that grow while a search runs are the ones that
are written of the whole journal (tested). tensorboardX's writers are not used, since each holds a
thread and a file open.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboardX.proto.summary_pb2 import Summary

from results.analysis.speed import speed_ratios
from results.journal.history import TrialHistory
from results.journal.journal import Record
from results.tables.schema import EPOCHS
from results.trackers.event_records import (
    FILE_NAME,
    event_record,
    experiment,
    first_record,
    scalar,
    session_end,
    session_start,
)
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically

# Columns of the epochs table that are no scalars, or no epoch's.
NOT_SCALARS = frozenset({"trial", "epoch", "num_params", "time"})
SCALARS = tuple(column.name for column in EPOCHS if column.name not in NOT_SCALARS)
BEST, MEDIAN, PARAMETERS, SPEED = (
    f"trial/{name}" for name in ("best_veer_pct", "median_veer_pct", "num_params", "speed_ratio")
)
# What HParams shows of a trial: tag to name.
METRICS: Mapping[str, str] = {
    BEST: "best VEER, %",
    "veer_pct": "last VEER, %",
    MEDIAN: "median VEER of the last five epochs, %",
    PARAMETERS: "parameters",
    SPEED: "speed / teacher",
}


class EventLog:
    """Turns a journal's records into what they add to event files.

    Args:
        dimensions: The space's.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = tuple(dimensions)
        self._trials: dict[int, TrialHistory] = {}
        self._files: dict[int, str] = {}

    def first(self) -> list[tuple[str, bytes]]:
        """What is there before any record: (file below the folder, its content)."""
        described = event_record(0.0, experiment(self._dimensions, METRICS))
        return [(FILE_NAME, first_record(0.0) + described)]

    def take(self, record: Record) -> Iterator[tuple[str, bytes]]:
        """What the next record adds: (file below the folder, bytes at its end)."""
        match record["event"]:
            case "trial_started":
                yield from self._start(record)
            case "epoch":
                yield self._file(record), self._epoch(record)
            case "trial_ended":
                self._trials[record["trial"]].ended = record
                if not self._is_follow_up(record["trial"]):
                    ended = session_end(record["state"], record["time_s"])
                    yield self._file(record), event_record(record["time_s"], ended)
            case "benchmark":
                yield from self._speeds(record)

    def _start(self, record: Record) -> Iterator[tuple[str, bytes]]:
        number = record["trial"]
        before = self._trials.get(number)
        if before is not None and before.ended is None:
            return
        if before is None:
            folder = _folder(record)
            history = TrialHistory(trial=number, started=record, start_s=record["time_s"])
            self._trials[number] = history
        else:  # TensorBoard would keep the first end of a session
            folder = f"{Path(self._files[number]).parent.name}-again"
            before.started, before.ended = record, None
        self._files[number] = f"{folder}/{FILE_NAME}"
        content = first_record(record["time_s"])
        if not self._is_follow_up(number):
            started = session_start(record["params"], self._dimensions, number, record["time_s"])
            content += event_record(record["time_s"], started)
        yield self._files[number], content

    def _epoch(self, record: Record) -> bytes:
        history = self._trials[record["trial"]]
        kept = ("epoch", "veer_pct", "num_params")
        history.epochs[record["epoch"]] = {name: record.get(name) for name in kept}
        values = [value for name in SCALARS for value in _scalars(name, record.get(name))]
        best = history.best
        of_trial = {
            BEST: None if best is None else best["veer_pct"],
            MEDIAN: history.median_veer_pct,
            PARAMETERS: record.get("num_params"),
        }
        values += [value for name, number in of_trial.items() for value in _scalars(name, number)]
        return event_record(record["time_s"], Summary(value=values), record["epoch"])

    def _speeds(self, record: Record) -> Iterator[tuple[str, bytes]]:
        for number, ratio in speed_ratios([record]).items():
            if number in self._files:
                step = max(self._trials[number].epochs, default=0)
                summary = Summary(value=[scalar(SPEED, ratio)])
                yield self._files[number], event_record(record["time_s"], summary, step)

    def _file(self, record: Record) -> str:
        return self._files[record["trial"]]

    def _is_follow_up(self, number: int) -> bool:
        return self._trials[number].follow_up is not None


def event_files(
    records: Iterable[Record], dimensions: Sequence[Dimension]
) -> dict[str, bytes]:
    """The content of every file, by its path below the folder."""
    log = EventLog(dimensions)
    parts: dict[str, list[bytes]] = {name: [content] for name, content in log.first()}
    for record in records:
        for name, more in log.take(record):
            parts.setdefault(name, []).append(more)
    return {name: b"".join(content) for name, content in parts.items()}


def write_event_files(folder: Path, content: Mapping[str, bytes]) -> None:
    """Writes the files that differ, each in one step, and takes away those of other trials.

    Args:
        folder: Made if need be.
        content: By path below the folder, all of them.

    Raises:
        DiskFullError: There is no room for one; the earlier file stands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"*/{FILE_NAME}"):
        if str(path.relative_to(folder)) not in content:
            path.unlink()
    for name, wanted in content.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.is_symlink() or path.read_bytes() != wanted:
            write_bytes_atomically(path, wanted)


def _folder(started: Record) -> str:
    name = f"trial-{started['trial']:04d}"
    if started.get("follow_up"):
        name += f"-{started['follow_up']}-of-{started['follows']:04d}"
    return name


def _scalars(name: str, value: Any) -> list[Summary.Value]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [scalar(f"{name}/{place}", each) for place, each in enumerate(value, start=1)]
    return [scalar(name, value)]
