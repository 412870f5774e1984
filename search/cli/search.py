"""`veer search`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import (
    AddressOption,
    AllowCodeOption,
    ControlOption,
    CpuOption,
    FinalistsOption,
    GpuOption,
    MaxConcurrentOption,
    RepeatOption,
    StopAtOption,
    TotalEpochsOption,
    permit,
)
from search.cli.outcome import run_and_print
from search.config.reading import read_search_config
from search.config.search_config import DEFAULT_SETTINGS


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


class SearchDevice(StrEnum):
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
    stop_at: StopAtOption = None,
    width_scale: Annotated[
        float | None,
        typer.Option(help="Factor on every student's width, for a small corpus: 0.375."),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of a trial at most.")
    ] = None,
    total_epochs: TotalEpochsOption = None,
    repeat: RepeatOption = None,
    finalists: FinalistsOption = None,
    control: ControlOption = None,
    max_concurrent: MaxConcurrentOption = None,
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
    cpu: CpuOption = None,
    gpu: GpuOption = None,
    device: Annotated[
        SearchDevice | None, typer.Option(help="auto takes the GPU given to a trial, else the CPU.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the search and of its trials.")
    ] = None,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Search for the student with the lowest VEER (validation EER, percent).

    Settings come from the YAML; options given here win. All of it is resolved once and written to
    RUN/search.yaml. Ctrl-C ends the search after the running epochs, a second one at once;
    `veer resume RUN`, or the same command again, goes on. A finished search is reused.

    --repeat and --control run more trials after the search's own; they count neither as trials
    nor in --total-epochs.

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
        "total_epochs": total_epochs,
        "repeat": repeat,
        "finalists": finalists,
        "control": control,
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
    # The demo's numbers are for the demo's space.
    name = settings or (None if "space" in given else DEFAULT_SETTINGS)
    folder = run or Path("runs") / Path(name or str(space)).stem
    run_and_print(read_search_config(name, given), folder)
