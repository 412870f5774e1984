"""What a search left: `veer trials`, `show`, `report`, `benchmark` and `export`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from results.analysis.remarks import run_remarks
from results.analysis.trial_scores import RunScores
from results.export.benchmark import BENCHMARK_COLUMNS, BenchmarkConfig, benchmark_run
from results.export.export import export_trial
from results.journal.history import latest, trial_histories
from results.journal.run_folder import RunFolder
from results.page.report import write_report
from results.tables.formats import FileFormat, write_table
from results.tables.query import select
from results.tables.trials import epochs_table, trials_table, write_tables
from results.terminal.cells import benchmark_view, rows_view
from results.terminal.listing import trial_rows
from results.terminal.sparklines import veer_curves
from results.terminal.trial import find_trial, trial_view
from results.terminal.trials import trials_view
from search.cli.console import console, errors, progress_bar
from search.cli.options import AllowCodeOption, permit, training_command
from search.cli.watch import INTERVAL_S, watch
from search.review.audit_run import audit_search
from spaces.files.errors import ConfigError
from spaces.files.visible import visible
from trainable.machine.hardware import describe_hardware

RunArgument = Annotated[Path, typer.Argument(help="A run's folder, as `veer search` writes it.")]


class OutputFormat(StrEnum):
    """What `veer trials` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


FILE_FORMATS: dict[OutputFormat, FileFormat] = {
    OutputFormat.CSV: "csv",
    OutputFormat.JSON: "json",
    OutputFormat.PARQUET: "parquet",
}


def trials(
    run: RunArgument,
    sort: Annotated[
        str | None,
        typer.Option(help="Column to sort by, e.g. num_params; -num_params for downwards."),
    ] = None,
    conditions: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="CONDITION",
            help="Rows to show, e.g. 'veer_pct<15', state=complete, 'loss.alpha!=null'. "
            "Repeatable; all must hold.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns to show, separated by commas, e.g. trial,veer_pct,loss.alpha. "
            "Without it the table shows the main ones and what varied; files hold all."
        ),
    ] = None,
    form: Annotated[OutputFormat, typer.Option("--format", help="How to print.")] = OutputFormat.TABLE,
    out: Annotated[
        Path | None, typer.Option(help="File for csv, json or parquet; else they are printed.")
    ] = None,
    watching: Annotated[
        bool, typer.Option("--watch", help="Show the best again and again until the search ends.")
    ] = False,
    interval_s: Annotated[
        float | None,
        typer.Option("--interval", min=0.1, help="Seconds between two looks, with --watch: 2."),
    ] = None,
) -> None:
    """List a run's trials, the best first.

    VEER is the lowest validation EER over a trial's epochs, percent. Rebuilds trials.parquet and
    epochs.parquet in the run's folder; docs/tables.md explains their columns.
    """
    folder = RunFolder(run)
    if watching or interval_s is not None:
        chosen_otherwise = sort or conditions or columns or out or form is not OutputFormat.TABLE
        _watch(folder, interval_s, watching=watching, alone=not chosen_otherwise)
        return
    records = folder.read()
    scores = RunScores(folder)
    table = trials_table(records, scores)
    for damage in scores.damages:
        errors.print(damage, highlight=False, markup=False, soft_wrap=True)
    try:
        write_tables(folder, table, epochs_table(records))
    except OSError as error:  # a full disk, or a folder that may only be read
        errors.print(f"tables not written: {error}", highlight=False, soft_wrap=True)
    names = [name.strip() for name in columns.split(",")] if columns else []
    rows = select(table, conditions=conditions or (), sort=sort)
    chosen = select(rows, columns=names)
    if form is not OutputFormat.TABLE:
        text = write_table(chosen, FILE_FORMATS[form], out)
        # Into a pipe or a file as it is: programs read it there.
        typer.echo(visible(text, keep="\n\t") if sys.stdout.isatty() else text, nl=False)
    elif names:
        console.print(rows_view(trial_rows(rows), chosen.column_names))
    else:
        teacher, remarks = latest(records, "teacher"), run_remarks(records)
        if table.num_rows and not rows.num_rows:
            told = " and ".join(conditions or ())
            console.print(f"none of the {table.num_rows} trials has {told}", highlight=False)
        curves = veer_curves(trial_histories(records))
        view = trials_view(
            rows, teacher, remarks=remarks, width=console.width, curves=curves
        )
        console.print(view)


def _watch(folder: RunFolder, interval_s: float | None, *, watching: bool, alone: bool) -> None:
    if not watching:
        raise ConfigError("--interval needs --watch: it is how often that looks")
    if not alone:
        raise ConfigError(
            "--watch shows the main columns by rank; leave out --sort, --filter, --columns, "
            "--format and --out, or leave out --watch"
        )
    if status := watch(folder, console, interval_s or INTERVAL_S):
        raise typer.Exit(status)


def show(run: RunArgument, trial: Annotated[int, typer.Argument(help="Number of the trial.")]) -> None:
    """Show one trial: its figures, its config, VEER and losses by epoch."""
    folder = RunFolder(run)
    records = folder.read()
    history = find_trial(trial_histories(records), trial)
    console.print(trial_view(records, history, console.width, RunScores(folder)))


def report(
    run: RunArgument,
    out: Annotated[
        Path | None, typer.Option(help="File to write; without it RUN/report.html.")
    ] = None,
) -> None:
    """Write a page about a run: best trial, table, charts, costs, faults, where it all came from.

    One HTML file that stands by itself: it loads nothing from a network. A click on a trial, in a
    chart or in the table, shows its details and the commands to export and train it. It tells of a
    search that runs, that was killed, or that has ended.
    """
    with console.status("drawing the charts"):
        written = write_report(RunFolder(run), out, audit=audit_search)
    console.print(str(written), markup=False, highlight=False, soft_wrap=True)


def benchmark(
    run: RunArgument,
    top: Annotated[int, typer.Option(min=1, help="How many of the best trials.")] = 3,
    rounds: Annotated[
        int, typer.Option(min=1, help="Timed calls of each model in each setting.")
    ] = BenchmarkConfig().rounds,
    code: AllowCodeOption = False,
) -> None:
    """Measure the best trials against the teacher on this machine's CPU.

    From a 2-s waveform to the embedding, front end included, at batch 1 and 8, with one thread and
    with all cores. All models take turns in one process, in a new order each round. The figures go
    to RUN/benchmark.json and into the journal.
    """
    permit(code)
    with progress_bar("rounds") as progress:
        rows = benchmark_run(RunFolder(run), top, BenchmarkConfig(rounds=rounds), progress)
    shown = [row.as_dict() for row in rows]
    console.print(benchmark_view(shown, BENCHMARK_COLUMNS, console.width))
    hardware = (f"{name} {value}" for name, value in describe_hardware().items())
    console.print(f"on {', '.join(hardware)}", highlight=False)


def export(
    run: RunArgument,
    trial: Annotated[
        int | None, typer.Option(help="Number of the trial; without it the best that has ended.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; without it RUN/export/trial-NNNN.")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Epochs of the full training; without it as in the trial."),
    ] = None,
    code: AllowCodeOption = False,
) -> None:
    """Export a trial: config.yaml for `veer train`, weights.safetensors and a model card.

    The weights are those of the trial's best epoch. An earlier export in the folder is replaced.
    """
    permit(code)
    exported = export_trial(RunFolder(run), trial, out, epochs)
    console.print(
        f"trial {exported.trial} is in {exported.folder}; train it in full with\n"
        f"  {training_command(exported)}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
