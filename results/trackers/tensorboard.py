"""TensorBoard's event files of a run, made from its journal: scalars of each epoch, and HParams.

    tensorboard/events...                  the experiment of HParams: parameters, bounds, metrics
    tensorboard/trial-0007/events...       trial 7: its epochs and its HParams session
    tensorboard/trial-0012-repeat-of-0003  a follow-up: its epochs, no session
    tensorboard/trial-0004-again           a failed trial that was started again: the epochs since

The tags are those of `results.trackers.scalars`. The bytes of an event depend only on the journal,
so files that grow while a search runs are equal to files written from the whole journal (tested).
The writers of tensorboardX are not used, because each keeps a thread and an open file.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorboardX.proto.summary_pb2 import Summary

from results.analysis.run_view import RunView
from results.analysis.speed import speed_ratios
from results.journal.history import TrialFold, TrialHistory
from results.records.record import Record
from results.records.search_records import ModelsBenchmarked
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from results.trackers.event_records import (
    FILE_NAME,
    event_record,
    experiment,
    first_record,
    scalar,
    session_end,
    session_start,
)
from results.trackers.scalars import (
    BEST,
    MEDIAN,
    PARAMETERS,
    SPEED,
    epoch_scalars,
    shown_name,
)
from spaces.dimensions import Dimension
from spaces.files.atomic import write_bytes_atomically

# The metrics of a trial in HParams: tag to display name.
METRICS: Mapping[str, str] = {
    BEST: "best VEER, %",
    "veer_pct": "last VEER, %",
    MEDIAN: "median VEER of the last five epochs, %",
    PARAMETERS: "parameters",
    SPEED: "speed / teacher",
}


class EventLog:
    """A conversion of journal records into the bytes that they add to event files.

    Args:
        dimensions: The dimensions of the space.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = tuple(dimensions)
        self._fold = TrialFold()

    def first(self) -> list[tuple[str, bytes]]:
        """Return the files before any record, as pairs of path below the folder and content."""
        # Time 0, since the bytes must depend only on the journal.
        described = event_record(0.0, experiment(self._dimensions, METRICS))
        return [(FILE_NAME, first_record(0.0) + described)]

    def take(self, record: Record) -> Iterator[tuple[str, bytes]]:
        """Yield what the next record adds: path below the folder, and bytes to append there."""
        self._fold.take(record)
        match record:
            case ModelsBenchmarked():
                yield from self._speeds(record)
            case TrialStarted() | EpochEnded() | TrialEnded():
                history = self._fold.trials[record.trial]
                if content := self._added(record, history):
                    yield _file(history), content

    def _added(
        self, record: TrialStarted | EpochEnded | TrialEnded, history: TrialHistory
    ) -> bytes:
        """Return what a record adds to the file of its trial.

        Args:
            record: The record.
            history: The trial, with this record.
        """
        time_s, has_session = record.time_s, history.follow_up is None
        match record:
            case EpochEnded():
                return _epoch(record, history)
            case TrialEnded():
                ended = session_end(record.state, time_s)
                return event_record(time_s, ended) if has_session else b""
            case TrialStarted() if history.is_continued:
                return b""  # in the same file
        started = session_start(record.params, self._dimensions, record.trial, time_s)
        return first_record(time_s) + (event_record(time_s, started) if has_session else b"")

    def _speeds(self, record: ModelsBenchmarked) -> Iterator[tuple[str, bytes]]:
        for number, ratio in speed_ratios(record).items():
            if (history := self._fold.trials.get(number)) is not None:
                summary = Summary(value=[scalar(SPEED, ratio)])
                step = max(history.epochs, default=0)
                yield _file(history), event_record(record.time_s, summary, step)


def event_files(view: RunView, dimensions: Sequence[Dimension]) -> dict[str, bytes]:
    """Return the content of every file, by its path below the folder."""
    log = EventLog(dimensions)
    parts: dict[str, list[bytes]] = {name: [content] for name, content in log.first()}
    for record in view.records:
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


def _file(history: TrialHistory) -> str:
    """Return the path of a trial's file below the folder."""
    # A new folder for each further run, since HParams keeps the first end of a session.
    return f"{shown_name(history)}{'-again' * (history.num_runs - 1)}/{FILE_NAME}"


def _epoch(record: EpochEnded, history: TrialHistory) -> bytes:
    values = [scalar(name, number) for name, number in epoch_scalars(record, history)]
    return event_record(record.time_s, Summary(value=values), record.epoch)
