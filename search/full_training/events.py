"""What happens in a training, sent from a worker to the process that started it."""

import time
from typing import Any, NamedTuple

from ray.util.queue import Queue

from spaces.files.errors import VeerError
from trainable.report.epoch_report import EpochReport
from trainable.training.full import TrainResult, Watcher

# An event is a call to an actor, about 1 ms.
PROGRESS_EVERY_S = 0.5


class Event(NamedTuple):
    """A call of a `Watcher`, or the end of the training.

    Attributes:
        name: Name of the watcher's method, `RESULT` or `FAILED`.
        arguments: Its arguments; the result or the error.
    """

    name: str
    arguments: tuple[Any, ...]


RESULT, FAILED = "result", "failed"


class EventSender(Watcher):
    """Sends the events of a training to a queue, of progress only some."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._sent_s = float("-inf")

    def epoch(self, report: EpochReport) -> None:
        """Send a finished epoch."""
        self._send("epoch", report)

    def evaluation(self, done: int, total: int) -> None:
        """Send the progress of an evaluation."""
        self._progress("evaluation", done, total)

    def teacher(self, done: int, total: int) -> None:
        """Send the progress of the teacher."""
        self._progress("teacher", done, total)

    def print_line(self, text: str) -> None:
        """Send a message."""
        self._send("print_line", text)

    def result(self, result: TrainResult) -> None:
        """Send the result of the training."""
        self._send(RESULT, result)

    def failed(self, error: VeerError) -> None:
        """Send an error that would come again if the training were started again."""
        self._send(FAILED, error)

    def _progress(self, name: str, done: int, total: int) -> None:
        if done < total and time.monotonic() < self._sent_s + PROGRESS_EVERY_S:
            return
        self._sent_s = time.monotonic()
        self._send(name, done, total)

    def _send(self, name: str, *arguments: Any) -> None:
        self._queue.put(Event(name, arguments))
