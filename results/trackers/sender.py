"""A search sent to an experiment tracker while it runs, by a thread of its own.

The journal is the reference. A record costs the search no more than its place in a queue of
bounded length. While the tracker does not answer, the thread tries again, less and less often.
When the queue is full, nothing more is sent until the end of the search; then all that the tracker
lacks is sent from the journal, and at the latest by the next `veer resume` of the finished search.
"""

import hashlib
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from results.journal.history import TrialFold, TrialHistory, trial_histories
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.records.search_records import SearchStarted
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from results.trackers.scalars import BEST, MEDIAN, PARAMETERS, epoch_scalars, shown_name

logger = logging.getLogger(__name__)
MOST_WAITING = 10_000
RETRY_AFTER_S = (2.0, 10.0, 60.0)
# How long the end of a search waits for a tracker.
FINISH_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedSearch:
    """A search, as a tracker shows it.

    Attributes:
        name: Name of its run folder.
        key: Tells it from other searches with this name, and is equal after a resume.
        folder: Its run folder.
        params: Its settings by dotted name.
        start_s: Start, seconds since 1970.
        ended: Trials that had ended when the tracker was opened.
    """

    name: str
    key: str
    folder: Path
    params: Mapping[str, Any]
    start_s: float
    ended: frozenset[int]


class Tracker(Protocol):
    """A tracker to which a search is sent; used by one thread. A repeated call changes nothing."""

    def open(self, search: TrackedSearch) -> None:
        """Connect, and find out what the tracker already has of the search."""

    def start(self, trial: TrialHistory, name: str) -> None:
        """Begin a trial."""

    def epoch(self, trial: TrialHistory, record: EpochEnded, numbers: Mapping[str, float]) -> None:
        """Send an epoch."""

    def end(self, trial: TrialHistory, summary: Mapping[str, float]) -> None:
        """End a trial."""

    def finish(self, files: Sequence[Path], summary: Mapping[str, float]) -> None:
        """Send files of the search, and end it."""


class Sender:
    """The thread that sends one search to one tracker.

    Args:
        tracker: The tracker.
        name: Its name, for the message.
        remedy: The command that sends what is missing, for the message.
        print_line: Prints one line to the user.
        most_waiting: Records that may wait.
        retry_after_s: Seconds after the first, second, ... failure in a row.
    """

    def __init__(
        self,
        tracker: Tracker,
        name: str,
        remedy: str,
        print_line: Callable[[str], None],
        *,
        most_waiting: int = MOST_WAITING,
        retry_after_s: Sequence[float] = RETRY_AFTER_S,
    ) -> None:
        self._tracker, self._name, self._remedy = tracker, name, remedy
        self._print_line = print_line
        self._retry_after_s = tuple(retry_after_s)
        self._queue: queue.Queue[Record] = queue.Queue(most_waiting)
        self._has_gap = self._is_open = self._has_warned = False
        self._is_ending, self._is_given_up = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._search: TrackedSearch | None = None
        self._fold = TrialFold()

    def begin(self, run: RunFolder, records: Sequence[Record]) -> None:
        """Start the thread with what the journal has so far."""
        self._search = tracked_search(run, records)
        self._start(lambda: self._follow(records))

    def take(self, record: Record) -> None:
        """Queue a record that the journal already has; never raises, never waits."""
        if not self._has_gap:
            try:
                self._queue.put_nowait(record)
            except queue.Full:
                self._has_gap = True  # a trial without one of its records would be wrong

    def finish(
        self,
        run: RunFolder,
        records: Sequence[Record],
        files: Sequence[Path],
        within_s: float = FINISH_WITHIN_S,
    ) -> None:
        """Send what the tracker lacks, then the files; give up where that takes too long.

        Args:
            run: The run folder.
            records: All records of its journal.
            files: Files of the search; missing ones are left out.
            within_s: Seconds after which to give up.
        """
        self._is_ending.set()
        if self._thread is not None:
            self._thread.join(within_s)  # sends what is queued
        if self._thread is None or not self._thread.is_alive():
            self._search = self._search or tracked_search(run, records)
            self._start(lambda: self._complete(records, files))
            assert self._thread is not None  # noqa: S101 - started in the line above
            self._thread.join(within_s)
        if self._thread.is_alive():
            self._warn("did not answer in time")
        self._is_given_up.set()

    def _start(self, work: Callable[[], None]) -> None:
        # A daemon: a tracker that hangs must not keep the command from ending.
        self._thread = threading.Thread(target=work, name=f"veer-{self._name}", daemon=True)
        self._thread.start()

    def _follow(self, records: Iterable[Record]) -> None:
        for record in records:
            if not self._keep_trying(record):
                return
        while not (self._is_ending.is_set() and self._queue.empty()):
            try:
                record = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            if not self._keep_trying(record):
                return

    def _keep_trying(self, record: Record) -> bool:
        """Send a record; return whether it was sent before the end of the search."""
        self._fold.take(record)
        failures = 0
        while True:
            try:
                self._send(record)
            # Any error of any library: nothing about a tracker may end a search.
            except Exception as error:  # noqa: BLE001 - see above
                self._warn(_cause(error))
                wait_s = self._retry_after_s[min(failures, len(self._retry_after_s) - 1)]
                failures += 1
                # At the end all is sent from the journal, once.
                if self._is_ending.wait(wait_s):
                    self._has_gap = True
                    return False
            else:
                return True

    def _complete(self, records: Sequence[Record], files: Sequence[Path]) -> None:
        try:
            if self._has_gap or not self._is_open:
                self._fold = TrialFold()
                for record in records:
                    self._fold.take(record)
                    self._send(record)
            best = [t.best_veer_pct for t in self._fold.trials.values() if t.best is not None]
            known = [each for each in best if each is not None]
            summary = {BEST: min(known)} if known else {}
            self._tracker.finish([file for file in files if file.is_file()], summary)
        except Exception as error:  # noqa: BLE001 - as in `_keep_trying`
            self._warn(_cause(error))

    def _send(self, record: Record) -> None:
        if not self._is_open and self._search is not None:
            self._tracker.open(self._search)
            self._is_open = True
        match record:
            case TrialStarted():
                trial = self._fold.trials[record.trial]
                self._tracker.start(trial, shown_name(trial))
            case EpochEnded():
                trial = self._fold.trials[record.trial]
                self._tracker.epoch(trial, record, dict(epoch_scalars(record, trial)))
            case TrialEnded():
                trial = self._fold.trials[record.trial]
                self._tracker.end(trial, _summary(trial))

    def _warn(self, why: str) -> None:
        if self._has_warned or self._is_given_up.is_set():
            logger.info("%s: %s", self._name, why)
            return
        self._has_warned = True
        self._print_line(
            f"{self._name} is not up to date: {why}; the search goes on without it, and what is "
            f"missing is sent later, or by {self._remedy}"
        )


def tracked_search(run: RunFolder, records: Sequence[Record]) -> TrackedSearch | None:
    """Return the search of a journal as trackers show it; None before its first record."""
    record = next((each for each in records if isinstance(each, SearchStarted)), None)
    if record is None:
        return None
    name = run.path.resolve().name
    histories = trial_histories(records)
    return TrackedSearch(
        name=name,
        key=hashlib.sha256(f"{record.time_s!r} {name}".encode()).hexdigest()[:12],
        folder=run.path,
        params=dict(flat(record.settings)),
        start_s=record.time_s,
        ended=frozenset(trial.trial for trial in histories if trial.ended is not None),
    )


def flat(tree: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the leaves of a tree by dotted name."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _summary(trial: TrialHistory) -> dict[str, float]:
    last = trial.last
    values = {
        BEST: trial.best_veer_pct,
        MEDIAN: trial.median_veer_pct,
        PARAMETERS: None if last is None else last.num_params,
    }
    return {name: value for name, value in values.items() if value is not None}


def _cause(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip()[:300]
