"""Commands on the results of a search: `veer trials`, `show`, `report`, `benchmark`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from search.cli.console import (
    console,
    errors,
    print_for_programs,
    print_line,
    print_wide,
    progress_bar,
    screen_width,
)
from search.cli.form_times import print_forms, print_forms_front
from search.cli.options import AllowCodeOption, permit
from search.cli.unwritable import reason
from search.cli.watch import INTERVAL_S, watch
from spaces.files.errors import ConfigError
from spaces.files.visible import visible

if TYPE_CHECKING:
    from results.journal.run_folder import RunFolder

RunArgument = Annotated[Path, typer.Argument(help="Run folder of a search.")]
AllColumnsOption = Annotated[
    bool,
    typer.Option(
        "--all-columns",
        help="Leave out no column; where they do not fit the terminal, each row is a block.",
    ),
]


def trials(
    run: RunArgument,
    sort: Annotated[
        str | None,
        typer.Option(help="Column to sort by, e.g. num_params; -num_params for descending order."),
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help="Condition on the trials to show, e.g. 'veer_pct<15', state=complete, "
            "'loss.alpha!=null'. Repeatable; all conditions must hold.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns to show, separated by commas, e.g. trial,veer_pct,loss.alpha. By "
            "default the table has the main columns and the varied settings; files have all."
        ),
    ] = None,
    form: Annotated[
        Literal["table", "csv", "json", "parquet"],
        typer.Option("--format", help="Output format."),
    ] = "table",
    out: Annotated[
        Path | None,
        typer.Option(help="File for csv, json or parquet; by default they are printed."),
    ] = None,
    shows_all: Annotated[
        bool, typer.Option("--all", help="A line for each repeat and control too.")
    ] = False,
    has_all_columns: AllColumnsOption = False,
    watching: Annotated[
        bool,
        typer.Option("--watch", help="Update the table of the best trials until the search ends."),
    ] = False,
    interval_s: Annotated[
        float | None,
        typer.Option(
            "--interval", min=0.1, help="With --watch: seconds between updates; by default 2."
        ),
    ] = None,
) -> None:
    """List a run's trials, the best first.

    VEER is the lowest validation EER over a trial's epochs, in percent. The files trials.parquet
    and epochs.parquet in the run folder are rebuilt; docs/tables.md describes their columns.
    """
    from results.analysis.run_view import RunView
    from results.journal.run_folder import RunFolder
    from results.tables.formats import write_table
    from results.tables.query import select
    from results.tables.trials import trials_table, write_tables
    from results.terminal.cells import rows_view
    from results.terminal.front import front_view
    from results.terminal.listing import trial_rows
    from results.terminal.trials import trials_view

    folder = RunFolder(run)
    if watching or interval_s is not None:
        chosen_otherwise = sort or conditions or columns or out or form != "table"
        _watch(folder, interval_s, watching=watching, alone=not chosen_otherwise)
        return
    view = RunView.read(folder)
    table = trials_table(view)
    # On stderr, so that csv or json on stdout stay readable for programs.
    for damage in view.run_scores.damages:
        errors.print(damage, highlight=False, markup=False, soft_wrap=True)
    try:
        # Rebuilt at every call: the files of a search that was killed are older than its journal.
        write_tables(view)
    except OSError as error:  # a full disk, or a read-only folder
        errors.print(f"tables not written: {reason(error)}", highlight=False, soft_wrap=True)
    names = [name.strip() for name in columns.split(",")] if columns else []
    rows = select(table, conditions=conditions or (), sort=sort)
    chosen = select(rows, columns=names)
    if form != "table":
        text = write_table(chosen, form, out)
        # Unchanged into a pipe or a file, for programs.
        print_for_programs(visible(text, keep="\n\t") if sys.stdout.isatty() else text, nl=False)
    elif names:
        print_wide(rows_view(trial_rows(rows), chosen.column_names, screen_width()))
    else:
        if table.num_rows and not rows.num_rows:
            wanted = " and ".join(conditions or ())
            console.print(f"none of the {table.num_rows} trials has {wanted}", highlight=False)
        width = screen_width() if has_all_columns else console.width
        print_wide(
            trials_view(view, rows, width, shows_all=shows_all, has_all_columns=has_all_columns)
        )
        if (front := front_view(view, console.width)) is not None:
            print_wide(front)
        print_forms_front(folder)


def _watch(folder: RunFolder, interval_s: float | None, *, watching: bool, alone: bool) -> None:
    if not watching:
        raise ConfigError("--interval needs --watch: it sets the time between its updates")
    if not alone:
        raise ConfigError(
            "--watch shows the main columns by rank; omit --sort, --filter, --columns, --format "
            "and --out, or omit --watch"
        )
    if status := watch(folder, console, interval_s or INTERVAL_S):
        raise typer.Exit(status)


def show(
    run: RunArgument,
    trial: Annotated[int, typer.Argument(help="Number of the trial.")],
    has_all_columns: AllColumnsOption = False,
) -> None:
    """Show one trial: its results, its config, VEER and losses by epoch."""
    from results.analysis.run_view import RunView
    from results.terminal.trial import find_trial, trial_view

    view = RunView.read(run)
    found = find_trial(view.histories, trial)
    width = screen_width() if has_all_columns else console.width
    print_wide(trial_view(view, found, width, has_all_columns=has_all_columns))


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="File to write; by default RUN/report.html.")
    ] = None,
) -> None:
    """Write a page about a run: best trial, table, charts, costs, faults and provenance.

    The page is one HTML file that loads nothing from a network. A click on a trial, in a chart or
    in the table, shows its details and the commands to export and train it. The search may still
    run, or may have been killed.
    """
    from results.analysis.run_view import RunView
    from results.page.report import write_report
    from search.review.audit_run import audit_search

    with console.status("drawing the charts"):
        written = write_report(RunView.read(run), out, audit=audit_search)
    console.print(str(written), markup=False, highlight=False, soft_wrap=True)


def benchmark(
    run: RunArgument,
    top: Annotated[int, typer.Option(min=1, help="Number of best trials.")] = 3,
    rounds: Annotated[
        int | None,
        typer.Option(
            min=1, help="Timed calls of each model in each setting.", show_default="30"
        ),
    ] = None,
    with_forms: Annotated[
        bool,
        typer.Option(
            "--forms",
            help="Compare the networks with their compiled and ONNX forms, in float32 and in 8 "
            "bits, also by VEER and peak memory; the results go to RUN/forms.json only.",
        ),
    ] = False,
    code: AllowCodeOption = False,
) -> None:
    """Compare the speed of the best trials and the teacher on this machine's CPU.

    The time from a 2-s waveform to the embedding is measured, front end included, at batch 1 and
    8, with one thread and with all cores. All models take turns in one process, in a new order
    each round. The results are written to RUN/benchmark.json and the journal.
    """
    from results.analysis.run_view import RunView
    from results.export.benchmark import BenchmarkConfig, benchmark_run
    from results.records.benchmark_row import benchmark_columns
    from results.terminal.cells import benchmark_view
    from search.use.teacher_enrols import enrolment_columns
    from spaces.files.disk import require_writable

    permit(code)
    require_writable(run)
    config = BenchmarkConfig() if rounds is None else BenchmarkConfig(rounds=rounds)
    if with_forms:
        print_forms(RunView.read(run), top, config)
        return
    with progress_bar("rounds") as progress:
        enrolments = partial(enrolment_columns, print_line=print_line)
        measured = benchmark_run(RunView.read(run), top, config, progress, enrolments)
    rows = [row.as_dict() for row in measured.rows]
    console.print(benchmark_view(rows, benchmark_columns(measured.rows), console.width))
    hardware = (f"{name} {value}" for name, value in measured.hardware.items())
    console.print(f"on {', '.join(hardware)}", highlight=False)
