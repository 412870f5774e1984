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
from search.provenance.run_state import resumed_settings


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder of a search.")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials in all, those that ran counted in.")
    ] = None,
    total_epochs: TotalEpochsOption = None,
    repeat: RepeatOption = None,
    finalists: FinalistsOption = None,
    control: ControlOption = None,
    time_limit_s: Annotated[
        float | None, typer.Option(help="Seconds from now after which no epoch is started.")
    ] = None,
    stop_at: StopAtOption = None,
    max_concurrent: MaxConcurrentOption = None,
    cpu: CpuOption = None,
    gpu: GpuOption = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also run the trials again that failed."),
    ] = False,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Go on with a search that was interrupted, killed, or is to have more trials or repeats.

    It goes on from RUN's journal with the settings that it was begun with: no trial is lost and
    none is run twice, the sampler and early stopping know every result, and unfinished trials
    continue from their checkpoints. The options change how much is done and where, not what a
    trial is.
    """
    permit(code)
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
    run_and_print(resumed_settings(run, given), run, retry_failed=retry_failed)
