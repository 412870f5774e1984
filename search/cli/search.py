"""`veer search`."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from results.benchmark import BENCHMARK_COLUMNS
from results.export import export_trial
from results.history import latest, ranked, trial_histories
from results.journal import ENDINGS, Record
from results.remarks import run_remarks
from results.render import benchmark_view, trials_view
from results.run_folder import RunFolder
from results.trials import trials_table
from search.cli.console import INTERRUPTED_STATUS, console
from search.cli.options import AllowCode, permission_flag, permit, training_command
from search.config import DEFAULT_SETTINGS, SearchConfig, read_search_config
from search.progress import SearchView
from search.run import SearchResult, run_search
from search.run_state import resumed_settings
from spaces.errors import ConfigError


class Sampler(StrEnum):
    """How configs are suggested."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"
    GP = "gp"


class Scheduler(StrEnum):
    """How trials are stopped early."""

    ASHA = "asha"
    NONE = "none"


class Device(StrEnum):
    """Where trials compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def search(
    settings: Annotated[
        str | None,
        typer.Argument(
            help="The search's YAML, or a bundled one: demo.",
            show_default="demo, with --space none",
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/SETTINGS or runs/SPACE")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Continue this run with the settings it was begun with."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="corpus.yaml, as `veer data` writes it.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Teacher: a model file, a training run's folder, a .parquet of embeddings, or "
            "the .yaml of a plug-in."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Space: a YAML file, or a bundled one (`veer space list`).")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials in all; else 12, or all of a grid's.")
    ] = None,
    repetitions: Annotated[
        int | None,
        typer.Option(min=1, help="How often a config may be run, each time with another seed."),
    ] = None,
    stop_at: Annotated[
        str | None,
        typer.Option(help="End the search when a trial meets this criterion of `success`."),
    ] = None,
    width_scale: Annotated[
        float | None,
        typer.Option(help="Factor on every student's width, for a small corpus: 0.375."),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of a trial at most.")
    ] = None,
    max_concurrent: Annotated[
        int | None, typer.Option(min=1, help="Trials at once; else as many as the cluster fits.")
    ] = None,
    time_limit_s: Annotated[
        float | None, typer.Option(help="Seconds after which no epoch is started.")
    ] = None,
    sampler: Annotated[
        Sampler | None, typer.Option(help="tpe and gp learn from results; grid runs every config.")
    ] = None,
    scheduler: Annotated[
        Scheduler | None, typer.Option(help="asha stops trials whose VEER falls behind.")
    ] = None,
    grace_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs before which asha stops no trial.")
    ] = None,
    reduction_factor: Annotated[
        float | None, typer.Option(help="At asha's rungs about one trial in so many goes on.")
    ] = None,
    cpu: Annotated[float | None, typer.Option(help="CPUs a trial.")] = None,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|auto",
            help="GPUs a trial; 0.25 lets four trials share one, auto measures how many fit.",
        ),
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="auto takes the GPU given to a trial, else the CPU.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the search and of its trials.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster to join, such as 10.0.0.1:6379; else one is started here."),
    ] = None,
    code: AllowCode = False,
) -> None:
    """Search for the student with the lowest VEER (validation EER, percent).

    Settings come from the YAML; options given here win. All of it is resolved once and written to
    RUN/search.yaml. The same command again continues an unfinished search and reuses a finished
    one. Ctrl-C ends the search after the running epochs, a second one at once.

    At the end: trial table, CPU benchmark of the best trials, and the best one exported.
    """
    permit(code)
    overrides = {
        "corpus": corpus,
        "teacher": teacher,
        "space": space,
        "num_trials": trials,
        "repetitions": repetitions,
        "stop_at": stop_at,
        "width_scale": width_scale,
        "max_epochs": max_epochs,
        "max_concurrent": max_concurrent,
        "time_limit_s": time_limit_s,
        "sampler": sampler and sampler.value,
        "scheduler.kind": scheduler and scheduler.value,
        "scheduler.grace_epochs": grace_epochs,
        "scheduler.reduction_factor": reduction_factor,
        "resources.cpu": cpu,
        "resources.gpu": gpu,
        "device": device and device.value,
        "seed": seed,
        "address": address,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    config, folder = _what_and_where(settings, run, resume, given)
    try:
        result = run_search(config, folder, SearchView(console))
    except KeyboardInterrupt:  # outside of training: while reading the corpus, or benchmarking
        console.print("stopped; the same command goes on from here")
        raise typer.Exit(INTERRUPTED_STATUS) from None
    _print_result(result)
    if result.reason == "interrupted":
        raise typer.Exit(INTERRUPTED_STATUS)


def _what_and_where(
    settings: str | None, run: Path | None, resume: Path | None, given: dict[str, Any]
) -> tuple[SearchConfig, Path]:
    if resume is None:
        # The demo's numbers are for the demo's space.
        name = settings or (None if "space" in given else DEFAULT_SETTINGS)
        stem = Path(name or given["space"]).stem
        return read_search_config(name, given), run or Path("runs") / stem
    if settings is not None or run is not None:
        raise ConfigError("--resume RUN takes its settings from RUN; leave out SETTINGS and --run")
    return resumed_settings(resume, given), resume


def _print_result(result: SearchResult) -> None:
    run = result.run
    records = run.read()
    if result.was_finished:
        console.print(f"reusing {run.path}: {_why_finished(records)}", highlight=False)
    teacher = latest(records, "teacher")
    table, remarks = trials_table(records), run_remarks(records)
    console.print(trials_view(table, teacher, remarks=remarks, width=console.width))
    if result.reason not in ENDINGS:
        why = "stopped" if result.reason == "interrupted" else "time limit reached"
        again = f"veer search --resume {run.path}{permission_flag()}"
        console.print(f"{why}; go on with: {again}", highlight=False)
        return
    benchmark = latest(records, "benchmark")
    if benchmark is not None:
        console.print(benchmark_view(benchmark["rows"], BENCHMARK_COLUMNS, console.width))
    if not ranked(trial_histories(records)):
        console.print("no trial reached a VEER: nothing to export")
    else:
        _export(run)


def _why_finished(records: Sequence[Record]) -> str:
    ended = latest(records, "search_ended")
    match ended["reason"] if ended else None:
        case "exhausted":
            num_trials = len(trial_histories(records))
            return f"this search is finished, its space had no more than {num_trials} trials"
        case "target_met":
            return "this search is finished, its target is met"
        case _:
            return "this search is finished already"


def _export(run: RunFolder) -> None:
    exported = export_trial(run)
    console.print(
        f"best: trial {exported.trial}, exported to {exported.folder}; train it in full with\n"
        f"  {training_command(exported)}",
        highlight=False,
        soft_wrap=True,
    )
