"""`veer train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.options import (
    AddressOption,
    AllowCodeOption,
    DeviceOption,
    GpuWorkersOption,
    RunSetOption,
    SeedOption,
    WorkersOption,
    WorkerThreadsOption,
    permit,
)
from search.cli.training import run_and_show
from search.full_training.plan import Workers
from spaces.files.errors import ConfigError
from trainable.config.teacher_forms import TEACHER_FORMS

if TYPE_CHECKING:
    from trainable.config.trial_config import TrainRunConfig


def train(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="YAML file of a training run, written by `veer export`; or give --preset.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A preset; `veer presets` lists them."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="With --preset: corpus.yaml. A CONFIG has its own.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help=f"With a --preset that distils: {TEACHER_FORMS}."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Run folder.", show_default="runs/train, or runs/PRESET"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train, instead of those in the config.")
    ] = None,
    overrides: RunSetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: WorkerThreadsOption = None,
    workers: WorkersOption = 1,
    gpu: GpuWorkersOption = False,
    address: AddressOption = None,
    code: AllowCodeOption = False,
) -> None:
    """Train one model: a preset, a config, or the full training of a search's best student.

    Give CONFIG, or --preset with --corpus. The command writes OUT/model/model%09d.model (best and
    last epoch), TensorBoard scalars and OUT/result/scores.txt in voxceleb_trainer's format. A
    folder with a checkpoint of the same config is continued; more --epochs train it further.

    With --workers the batch is divided among several processes, which Ray starts on this machine
    or, with --address, on a cluster. `torchrun -m search.cli train ...` does it without Ray.
    """
    permit(code)
    assignments = list(overrides or ())
    if epochs is not None:
        assignments.append(f"training.max_epochs={epochs}")
    if seed is not None:
        assignments.append(f"seed={seed}")
    run = _training_run(config, preset, corpus, teacher, assignments)
    run_and_show(
        corpus=run.corpus,
        teacher=run.teacher,
        teacher_sha256=run.teacher_sha256,
        targets=run.targets,
        init_from=run.init_from,
        trial=run.trial,
        engine=run.engine,
        out=out or Path("runs") / (preset or "train"),
        device=device,
        workers=Workers(number=workers, use_gpu=gpu, num_threads=threads, address=address),
    )


def _training_run(
    config: Path | None,
    preset: str | None,
    corpus: Path | None,
    teacher: Path | None,
    assignments: Sequence[str],
) -> TrainRunConfig:
    """Return the run for these arguments; settings of the trial may omit `trial.`."""
    from trainable.config.reading import read_preset_run
    from trainable.config.trial_config import read_train_config

    if (config is None) == (preset is None):
        given = "neither" if config is None else f"{config} and --preset {preset}"
        raise ConfigError(
            f"give either CONFIG or --preset NAME (`veer presets` lists them), got {given}"
        )
    if config is not None:
        if corpus is not None or teacher is not None:
            raise ConfigError(
                f"--corpus and --teacher need --preset; {config} has its own, which --set "
                "teacher=PATH overrides"
            )
        return read_train_config(config, [_run_key(each) for each in assignments])
    if preset is None or corpus is None:
        raise ConfigError(
            f"--preset {preset} needs --corpus, a corpus.yaml written by `veer data prepare`"
        )
    # A preset is a trial's config itself; in a file of `veer export` it lies under `trial`.
    own = [each.removeprefix("trial.") for each in assignments]
    return read_preset_run(preset, corpus, teacher, own)


def _run_key(assignment: str) -> str:
    from trainable.config.trial_config import TrialConfig

    first = assignment.partition("=")[0].partition(".")[0]
    return f"trial.{assignment}" if first in TrialConfig.model_fields else assignment
