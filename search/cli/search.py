"""`veer search`."""

from pathlib import Path
from typing import Annotated

import typer

from results.journal.decision import DecisionKind
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
from search.config.kinds import SchedulerKind, SearchDevice
from search.suggest.sampler_kind import SamplerKind
from trainable.config.teacher_forms import TEACHER_FORMS


def search(
    settings: Annotated[
        str | None,
        typer.Argument(
            help="YAML file with the settings of the search, or the bundled one: demo.",
            show_default="demo; with --space none",
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/SETTINGS or runs/SPACE")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="corpus.yaml, written by `veer data prepare` or `veer data demo`."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help=f"Teacher: {TEACHER_FORMS}."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Space: a YAML file, or a bundled one (`veer space list`).")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Number of trials; by default 12, or all of a grid.")
    ] = None,
    repetitions: Annotated[
        int | None,
        typer.Option(min=1, help="Most runs of the same config, each with another seed."),
    ] = None,
    stop_at: StopAtOption = None,
    width_scale: Annotated[
        float | None,
        typer.Option(help="Factor on the width of every student, e.g. 0.375 for a small corpus."),
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Most epochs of a trial.")] = None,
    total_epochs: TotalEpochsOption = None,
    repeat: RepeatOption = None,
    finalists: FinalistsOption = None,
    control: ControlOption = None,
    max_concurrent: MaxConcurrentOption = None,
    time_limit_s: Annotated[
        float | None, typer.Option(help="Start no epoch after this many seconds.")
    ] = None,
    sampler: Annotated[
        SamplerKind | None,
        typer.Option(help="guided, tpe and gp learn from results; grid runs every config."),
    ] = None,
    learn_from: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of an earlier run to learn from; may be repeated."),
    ] = None,
    scheduler: Annotated[
        SchedulerKind | None, typer.Option(help="asha stops trials that fall behind early.")
    ] = None,
    decide_by: Annotated[
        DecisionKind | None,
        typer.Option(help="What trials are compared by until their config is repeated."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="GOALS",
            help="veer, or with one or two of cpu_latency, params and macs, such as "
            "veer,cpu_latency: the result is then the front of students that no other beats.",
        ),
    ] = None,
    grace_epochs: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|auto",
            help="Epochs that asha lets every trial run; auto begins at 1 and moves with what the "
            "rungs show.",
        ),
    ] = None,
    reduction_factor: Annotated[
        float | None,
        typer.Option(help="At each rung of asha about one trial in this many goes on."),
    ] = None,
    cpu: CpuOption = None,
    gpu: GpuOption = None,
    device: Annotated[
        SearchDevice | None,
        typer.Option(help="auto uses the trial's share of a GPU if there is one, else the CPU."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the search and its trials.")
    ] = None,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Search for the student with the lowest VEER (validation EER, percent).

    Settings are read from the YAML file; options override them. The resolved settings are written
    to RUN/search.yaml. Ctrl-C ends the search after the running epochs, a second Ctrl-C at once;
    `veer resume RUN`, or the same command again, continues it. A finished search is reused.

    --repeat and --control run more trials after the search's own. These count neither in --trials
    nor in --total-epochs.

    At the end the trials are listed, the best are benchmarked on the CPU, and the best one is
    exported.
    """
    from search.config.reading import read_search_config
    from search.config.search_config import DEFAULT_SETTINGS
    from search.remote.working_copy import copy_to_search

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
        "sampler": sampler,
        "learn_from": learn_from or None,
        "scheduler.kind": scheduler,
        "decide_by": decide_by,
        "objective": objective,
        "scheduler.grace_epochs": grace_epochs,
        "scheduler.reduction_factor": reduction_factor,
        "resources.cpu": cpu,
        "resources.gpu": gpu,
        "device": device,
        "seed": seed,
        "address": address,
    }
    # An option that was not given must not override the file with its None.
    given = {name: value for name, value in overrides.items() if value is not None}
    # The bundled demo settings suit the demo's space only.
    name = settings or (None if "space" in given else DEFAULT_SETTINGS)
    folder = run or Path("runs") / Path(name or str(space)).stem
    config = read_search_config(name, given)
    run_and_print(config, copy_to_search(folder))
