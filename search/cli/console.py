"""The screen: one console for tables, one for errors, and progress bars."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

console = Console()
errors = Console(stderr=True)


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


@contextmanager
def epochs(title: str, max_epochs: int) -> Iterator[Callable[[EpochReport], None]]:
    """A bar for a training run; every epoch also leaves a line."""
    with _bar() as bar:
        task = bar.add_task(title, total=max_epochs, note="")
        best = float("inf")

        def show(report: EpochReport) -> None:
            nonlocal best
            best = min(best, report.veer_pct)
            bar.update(task, completed=report.epoch, note=f"best VEER {best:.2f} %")
            bar.console.print(epoch_line(report), highlight=False)

        yield show


def epoch_line(report: EpochReport) -> str:
    """One epoch in one line."""
    cosine = "" if report.teacher_cosine is None else f"  cosine {report.teacher_cosine:5.3f}"
    share = "" if report.distill_share is None else f"  share {report.distill_share:6.2%}"
    return (
        f"epoch {report.epoch:3d}  VEER {report.veer_pct:6.2f} %  loss {report.loss_total:7.4f}  "
        f"accuracy {report.train_accuracy_pct:6.2f} %{share}{cosine}  "
        f"lr {report.lr:.2e}  {report.samples_per_s:5.0f} utterances/s"
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
