"""`veer benchmark --forms`: networks, compiled or as ONNX, measured beside each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from search.cli.console import console, errors, progress_bar
from spaces.files.errors import RunError
from spaces.files.visible import visible

if TYPE_CHECKING:
    from results.analysis.run_view import RunView
    from results.export.benchmark import BenchmarkConfig
    from results.journal.run_folder import RunFolder
    from results.records.benchmark_row import BenchmarkRow


def print_forms(view: RunView, top: int, config: BenchmarkConfig) -> None:
    """Measure the forms of the best trials and of the teacher, print the table, write the file.

    Where the extra is missing, only PyTorch is measured, and a line says so.
    """
    from results.analysis.form_front import form_points, front_lines
    from results.export.form_run import benchmark_run_forms
    from results.records.benchmark_row import TIMED_FORMS, benchmark_columns
    from results.terminal.cells import benchmark_view
    from search.review.model_source import corpus_of_search

    corpus = corpus_of_search(view)
    with ExitStack() as shown_meanwhile:
        status = shown_meanwhile.enter_context(console.status("converting, compiling, timing"))
        bars: list[Callable[[int, int], None]] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # the time that is left is that of the utterances alone
                status.stop()
                bars.append(shown_meanwhile.enter_context(progress_bar("utterances of all forms")))
            bars[0](done, total)

        measured = benchmark_run_forms(view, top, TIMED_FORMS, corpus, config, progress)
    rows = measured.rows
    shown = [row.as_dict() for row in rows]
    console.print(benchmark_view(shown, benchmark_columns(rows), console.width))
    lines = [*measured.missing, *_why_missing(rows), *front_lines(form_points(rows))]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    facts = ", ".join(f"{name} {value}" for name, value in measured.hardware.items())
    console.print(f"on {facts}", highlight=False)


def print_forms_front(folder: RunFolder) -> None:
    """Print the front of the forms that were measured in a run, if they were."""
    from results.analysis.form_front import form_points, front_lines, read_form_rows

    try:
        lines = front_lines(form_points(read_form_rows(folder.path)))
    except RunError as error:  # the trials do not depend on it
        errors.print(str(error), highlight=False, markup=False, soft_wrap=True)
        return
    for line in lines:
        console.print(visible(line), highlight=False, markup=False, soft_wrap=True)


def _why_missing(rows: Sequence[BenchmarkRow]) -> list[str]:
    """Return a line on each kind of value that some row lacks by its nature."""
    lines = []
    if any(row.load_ms is None for row in rows):
        lines.append(
            "torch has no load time and no cosine: it is in memory, and compared with; "
            "torch-compile has no file to load"
        )
    if all(row.teacher_form is None for row in rows):
        lines.append("no speed / teacher: there is no teacher that is a network of Veer's")
    elif any(row.speed_ratio is None for row in rows):
        lines.append("a speed / teacher is missing where the machine was too busy for one")
    return lines
