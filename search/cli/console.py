"""The consoles for output and for errors, and progress bars.

All text is printed literally: nothing in it acts as markup, as an emoji's name or as a command to
the terminal. File names and journals may come from other people.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment
from rich.text import Span, Text

from results.terminal.grid import grid_or_blocks, text_columns
from search.cli.streams import is_closed
from spaces.files.errors import VeerError
from spaces.files.visible import visible

if TYPE_CHECKING:
    import torch

    from trainable.report.epoch_report import EpochReport

# Columns for tables in a file or a pipe, where lines are not wrapped.
FILE_WIDTH = 160
# Exit status after Ctrl-C, as in shells: 128 and the signal's number.
INTERRUPTED_STATUS = 130
# Exit status of a search that stopped because of failing trials or a full disk.
STOPPED_STATUS = 1
# A long evaluation prints a line so often, in seconds, where no bar is shown.
QUIET_S = 30.0
_LAYOUT = "\n\t"
# Characters that a progress bar with all of its parts needs.
_BAR_WIDTH = 60
_MOST_CHARACTERS = 10_000


class Screen(Console):
    """A console that prints every text literally, from any source."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text with visible control characters; see rich's `Console.render_str`."""
        return super().render_str(visible(text, keep=_LAYOUT), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield segments; only rich's own, such as cursor movements, control the terminal."""
        if isinstance(renderable, Text):
            # Before wrapping, since an escape is longer than its character.
            renderable = _shown(renderable)
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text, keep=_LAYOUT), segment.style)


def _shown(text: Text) -> Text:
    """Return the text with visible control characters and its styles at the same characters."""
    if text.plain.isprintable():
        return text
    pieces = [visible(each, keep=_LAYOUT) for each in text.plain]
    position = [0, *accumulate(map(len, pieces))]
    last = len(pieces)
    shown = text.blank_copy("".join(pieces))
    shown.spans = [
        Span(position[min(span.start, last)], position[min(span.end, last)], span.style)
        for span in text.spans
    ]
    return shown


def _width(stream: TextIO) -> int | None:
    """Return the console's width; None where rich finds it, from a terminal or $COLUMNS."""
    return None if stream.isatty() or "COLUMNS" in os.environ else FILE_WIDTH


console = Screen(width=_width(sys.stdout))
errors = Screen(stderr=True, width=_width(sys.stderr))


def print_for_programs(text: str, *, nl: bool = True) -> None:
    """Print text that another program reads, unchanged: JSON, CSV, a token.

    Raises:
        VeerError: Standard output is closed, so that the text would be lost.
    """
    if is_closed(sys.stdout):
        raise VeerError("standard output is closed, and would lose what the command prints")
    typer.echo(text, nl=nl)


def screen_width() -> int | None:
    """Return the characters of a line on the screen; None in a file or a pipe, without limit."""
    return console.width if console.is_terminal or "COLUMNS" in os.environ else None


def print_wide(view: RenderableType) -> None:
    """Print tables in their own width where no screen limits it."""
    wide = console
    if screen_width() is None:
        options = console.options.update(max_width=_MOST_CHARACTERS)
        width = console.measure(view, options=options).maximum
        wide = Screen(file=console.file, width=max(width, console.width))
    wide.print(view)


def table_of(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    texts: Iterable[int] = (0,),
    title: str = "",
) -> RenderableType:
    """Return a table for the console; on one that is too narrow, a block of lines for each row.

    Args:
        headings: Headings of the columns.
        rows: The cells.
        texts: Places of the columns with texts; the others have numbers.
        title: Title above it.
    """
    return grid_or_blocks(text_columns(headings, rows, texts), width=console.width, title=title)


def computing_device(name: str) -> torch.device:
    """Return the device for the option `--device`; print why `auto` leaves a GPU unused.

    Raises:
        ConfigError: PyTorch sees a GPU that it cannot use, or there is none for `cuda`.
    """
    from trainable.machine.gpus import why_not_built
    from trainable.machine.hardware import choose_device

    chosen = choose_device(name)
    if name == "auto" and (why := why_not_built()) is not None:
        console.print(f"on the CPU: {why}", highlight=False, soft_wrap=True, markup=False)
    return chosen


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows (done, total) in a bar, from its first call on.

    A pipe or a file, which shows no bar, gets a line with an estimate every `QUIET_S`.
    """
    with _bar() as bar:
        task, began_s = None, time.monotonic()
        printed_s = began_s

        def show(done: int, total: int) -> None:
            nonlocal task, printed_s
            if task is None:
                task = bar.add_task(title, total=total, note="")
            bar.update(task, completed=done, total=total)
            now_s = time.monotonic()
            if not console.is_terminal and 0 < done < total and now_s - printed_s >= QUIET_S:
                printed_s = now_s
                left_s = (now_s - began_s) * (total - done) / done
                line = f"{title}: {done:,} of {total:,}, about {left_s:,.0f} s left"
                console.print(line, highlight=False, soft_wrap=True)

        try:
            yield show
        except BaseException:
            # An error stands alone: a bar above it, full or not, says nothing more.
            bar.live.transient = True
            raise


class TrainingBar:
    """A progress bar for a training run, with a line for every epoch."""

    def __init__(self, bar: Progress, title: str, max_epochs: int) -> None:
        self._bar = bar
        self._training = bar.add_task(title, total=max_epochs, note="")
        self._evaluation = bar.add_task("evaluation", visible=False, note="")
        self._teacher = bar.add_task("teacher", visible=False, note="")
        self._best_pct = float("inf")
        self._printed_s = time.monotonic()

    def epoch(self, report: EpochReport) -> None:
        """Show a finished epoch."""
        self._best_pct = min(self._best_pct, report.rank_key[0])
        has_veer = math.isfinite(self._best_pct)
        note = f"best VEER {self._best_pct:.2f} %" if has_veer else "no VEER yet"
        self._bar.update(self._training, completed=report.epoch, note=note)
        self._bar.console.print(epoch_line(report), highlight=False, soft_wrap=True)
        self._printed_s = time.monotonic()

    def evaluation(self, done: int, total: int) -> None:
        """Show the progress of the full evaluation; hidden when done."""
        self._bar.update(self._evaluation, completed=done, total=total, visible=done < total)
        # A pipe or a file shows no bar.
        if done < total and not self._bar.console.is_terminal and self._is_time():
            self.print_line(f"evaluation: {done} of {total}")

    def _is_time(self) -> bool:
        """Return whether nothing was printed for `QUIET_S`; then count from now on."""
        now_s = time.monotonic()
        if now_s - self._printed_s < QUIET_S:
            return False
        self._printed_s = now_s
        return True

    def teacher(self, done: int, total: int) -> None:
        """Show the progress of a plug-in teacher's embeddings; hidden when done."""
        self._bar.update(self._teacher, completed=done, total=total, visible=done < total)

    def print_line(self, text: str) -> None:
        """Print a line above the bar unchanged: brackets in it are not markup."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def training_bar(title: str, max_epochs: int) -> Iterator[TrainingBar]:
    """Yield a bar that counts the epochs up to `max_epochs`, stopped after the block."""
    with _bar() as bar:
        yield TrainingBar(bar, title, max_epochs)


def epoch_line(report: EpochReport) -> str:
    """Format an epoch's report as one line."""
    veer = "   -  " if report.veer_pct is None else f"{report.veer_pct:6.2f}"
    cosine = "" if report.teacher_cosine is None else f"  cosine {report.teacher_cosine:5.3f}"
    share = "" if report.distill_share is None else f"  share {report.distill_share:6.2%}"
    return (
        f"epoch {report.epoch:3d}  VEER {veer} %  loss {report.loss_total:7.4f}  "
        f"accuracy {report.train_accuracy_pct:6.2f} %{share}{cosine}  "
        f"lr {report.lr:.2e}  {report.samples_per_s:4.0f} utt/s"
    )


class _Bar(Progress):
    """A bar that leaves nothing, not even a line end, where it is transient."""

    def stop(self) -> None:
        """Stop the display."""
        if self.live.transient:
            self.live.stop()
        else:
            super().stop()


def _bar() -> Progress:
    # Without room for all of it, the bar and the time so far say least.
    is_wide = console.width >= _BAR_WIDTH
    return _Bar(
        TextColumn("{task.description}", markup=False),
        *([BarColumn()] if is_wide else []),
        MofNCompleteColumn(),
        *([TimeElapsedColumn()] if is_wide else []),
        TextColumn("left", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    )


def print_line(text: str) -> None:
    """Print a line as it is: without colours of its own, and wrapped by the terminal alone."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
