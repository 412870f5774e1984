"""TensorBoard's event files of a run, made from its journal: scalars of each epoch, and HParams.

    tensorboard/events...                  the experiment of HParams: parameters, bounds, metrics
    tensorboard/trial-0007/events...       trial 7: its epochs and its HParams session
    tensorboard/trial-0012-repeat-of-0003  a follow-up: its epochs, no session
    tensorboard/trial-0004-again           a failed trial that was started again: the epochs since

The tags are the columns of the epochs table, so that epochs of `veer train` appear in the same
charts. The bytes of an event depend only on the journal, so files that grow while a search runs
are equal to files written from the whole journal (tested). The writers of tensorboardX are not
used, because each keeps a thread and an open file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboardX.proto.summary_pb2 import Summary

from results.analysis.speed import speed_ratios
from results.journal.history import TrialHistory
from results.journal.journal import Record
from results.tables.schema import EPOCH_COLUMNS
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

# Columns of the epochs table that are the step, the time, or the same in every epoch.
NOT_SCALARS = frozenset({"trial", "epoch", "num_params", "time"})
SCALARS = tuple(column.name for column in EPOCH_COLUMNS if column.name not in NOT_SCALARS)
_BEST, _MEDIAN, _PARAMETERS, _SPEED = (
    f"trial/{name}" for name in ("best_veer_pct", "median_veer_pct", "num_params", "speed_ratio")
)
# The metrics of a trial in HParams: tag to display name.
METRICS: Mapping[str, str] = {
    _BEST: "best VEER, %",
    "veer_pct": "last VEER, %",
    _MEDIAN: "median VEER of the last five epochs, %",
    _PARAMETERS: "parameters",
    _SPEED: "speed / teacher",
}


class EventLog:
    """A conversion of journal records into the bytes that they add to event files.

    Args:
        dimensions: The dimensions of the space.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = tuple(dimensions)
        self._trials: dict[int, TrialHistory] = {}
        self._files: dict[int, str] = {}

    def first(self) -> list[tuple[str, bytes]]:
        """Return the files before any record, as pairs of path below the folder and content."""
        # Time 0, since the bytes must depend only on the journal.
        described = event_record(0.0, experiment(self._dimensions, METRICS))
        return [(FILE_NAME, first_record(0.0) + described)]

    def take(self, record: Record) -> Iterator[tuple[str, bytes]]:
        """Yield what the next record adds: path below the folder, and bytes to append there."""
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
            return  # a resumed search continues the trial in the same file
        if before is None:
            folder = _folder(record)
            history = TrialHistory(trial=number, started=record, start_s=record["time_s"])
            self._trials[number] = history
        else:  # in another folder, since HParams keeps the first end of a session
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
        kept = ("epoch", "veer_pct", "num_params")  # all that `best` and the median need
        history.epochs[record["epoch"]] = {name: record.get(name) for name in kept}
        values = [value for name in SCALARS for value in _scalars(name, record.get(name))]
        best = history.best
        of_trial = {
            _BEST: None if best is None else best["veer_pct"],
            _MEDIAN: history.median_veer_pct,
            _PARAMETERS: record.get("num_params"),
        }
        values += [value for name, number in of_trial.items() for value in _scalars(name, number)]
        return event_record(record["time_s"], Summary(value=values), record["epoch"])

    def _speeds(self, record: Record) -> Iterator[tuple[str, bytes]]:
        for number, ratio in speed_ratios([record]).items():
            if number in self._files:
                step = max(self._trials[number].epochs, default=0)
                summary = Summary(value=[scalar(_SPEED, ratio)])
                yield self._files[number], event_record(record["time_s"], summary, step)

    def _file(self, record: Record) -> str:
        return self._files[record["trial"]]

    def _is_follow_up(self, number: int) -> bool:
        return self._trials[number].follow_up is not None


def event_files(
    records: Iterable[Record], dimensions: Sequence[Dimension]
) -> dict[str, bytes]:
    """Return the content of every file, by its path below the folder."""
    log = EventLog(dimensions)
    parts: dict[str, list[bytes]] = {name: [content] for name, content in log.first()}
    for record in records:
        for name, more in log.take(record):
            parts.setdefault(name, []).append(more)
    return {name: b"".join(content) for name, content in parts.items()}


def write_event_files(folder: Path, content: Mapping[str, bytes]) -> None:
    """Write the files that differ, each atomically, and delete event files of other trials.

    Args:
        folder: The folder of the event files; created if it does not exist.
        content: Content of all files, by path below the folder.

    Raises:
        DiskFullError: The disk is full; the previous version of that file is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(f"*/{FILE_NAME}"):
        if str(path.relative_to(folder)) not in content:
            path.unlink()
    for name, wanted in content.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        # A link is replaced even if its target is equal: later events are not appended to links.
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
        return [scalar(f"{name}/{index}", each) for index, each in enumerate(value, start=1)]
    return [scalar(name, value)]
