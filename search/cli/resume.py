"""`veer resume`."""

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


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder of a search.")],
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Total number of trials, including those that have run."),
    ] = None,
    total_epochs: TotalEpochsOption = None,
    repeat: RepeatOption = None,
    finalists: FinalistsOption = None,
    control: ControlOption = None,
    time_limit_s: Annotated[
        float | None, typer.Option(help="Start no epoch after this many seconds from now.")
    ] = None,
    stop_at: StopAtOption = None,
    max_concurrent: MaxConcurrentOption = None,
    cpu: CpuOption = None,
    gpu: GpuOption = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also run failed trials again."),
    ] = False,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Continue a search that was interrupted or killed, or extend it by trials or repeats.

    The search continues from RUN's journal with its original settings. No trial is lost and none
    runs twice; the sampler and early stopping know every result; unfinished trials continue from
    their checkpoints. The options change the number of trials and their resources, not the trials
    themselves.
    """
    from search.provenance.run_state import resumed_settings
    from search.remote.working_copy import copy_to_search

    permit(code)
    folder = copy_to_search(run)
    overrides = {
        "num_trials": trials,
        "total_epochs": total_epochs,
        "repeat": repeat,
        "finalists": finalists,
        "control": control,
        "time_limit_s": time_limit_s,
        "stop_at": stop_at,
        "max_concurrent": max_concurrent,
        "resources.cpu": cpu,
        "resources.gpu": gpu,
        "address": address,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    run_and_print(resumed_settings(folder, given), folder, retry_failed=retry_failed)
