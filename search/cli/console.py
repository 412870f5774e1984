"""The screen: one console for tables, one for errors, and progress bars."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from trainable.training import EpochReport

FILE_WIDTH = 160
# The exit status of what Ctrl-C ended: 128 and the signal's number.
INTERRUPTED_STATUS = 130


def _width(stream: TextIO) -> int | None:
    """Rich finds a terminal's, and $COLUMNS; a file or a pipe has none and gets a wide one."""
    return None if stream.isatty() or "COLUMNS" in os.environ else FILE_WIDTH


console = Console(width=_width(sys.stdout))
errors = Console(stderr=True, width=_width(sys.stderr))


@contextmanager
def counting(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that tells (done, in all); it appears with the first call."""
    with _bar() as bar:
        task = None

        def show(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = bar.add_task(title, total=total, note="")
            bar.update(task, completed=done, total=total)

        yield show


class TrainingBar:
    """A bar for a training run; every epoch also leaves a line."""

    def __init__(self, bar: Progress, title: str, max_epochs: int) -> None:
        self._bar = bar
        self._training = bar.add_task(title, total=max_epochs, note="")
        self._evaluation = bar.add_task("evaluation", visible=False, note="")
        self._teacher = bar.add_task("teacher", visible=False, note="")
        self._best_pct = float("inf")

    def epoch(self, report: EpochReport) -> None:
        """Show a finished epoch."""
        self._best_pct = min(self._best_pct, report.veer_pct)
        note = f"best VEER {self._best_pct:.2f} %"
        self._bar.update(self._training, completed=report.epoch, note=note)
        self._bar.console.print(epoch_line(report), highlight=False, soft_wrap=True)

    def evaluation(self, done: int, total: int) -> None:
        """Show how far the evaluation of the whole protocol is; hidden when done."""
        self._bar.update(self._evaluation, completed=done, total=total, visible=done < total)

    def teacher(self, done: int, total: int) -> None:
        """Show how far a plug-in teacher is with its embeddings; hidden when done."""
        self._bar.update(self._teacher, completed=done, total=total, visible=done < total)


@contextmanager
def epochs(title: str, max_epochs: int) -> Iterator[TrainingBar]:
    """A bar for a training run."""
    with _bar() as bar:
        yield TrainingBar(bar, title, max_epochs)


def epoch_line(report: EpochReport) -> str:
    """One epoch in one line."""
    cosine = "" if report.teacher_cosine is None else f"  cosine {report.teacher_cosine:5.3f}"
    share = "" if report.distill_share is None else f"  share {report.distill_share:6.2%}"
    return (
        f"epoch {report.epoch:3d}  VEER {report.veer_pct:6.2f} %  loss {report.loss_total:7.4f}  "
        f"accuracy {report.train_accuracy_pct:6.2f} %{share}{cosine}  "
        f"lr {report.lr:.2e}  {report.samples_per_s:4.0f} utt/s"
    )


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
