"""`veer train`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from search.cli.options import AllowCode, Device, RunSet, Seed, permit
from search.cli.training import run_and_show
from spaces.files.errors import ConfigError
from trainable.config.reading import read_preset_run
from trainable.config.trial_config import TrainRunConfig, TrialConfig, read_train_config


def train(
    config: Annotated[
        Path | None,
        typer.Argument(
            help="A training run's YAML, as `veer export` writes it; or give --preset.",
            show_default=False,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An approach of the notes; `veer presets` lists them."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="corpus.yaml; with --preset, else CONFIG names it.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Teacher: a model file, or a training run's folder; with a --preset that distils."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run.", show_default="runs/train, or runs/PRESET"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train, in place of the config's.")
    ] = None,
    overrides: RunSet = None,
    seed: Seed = None,
    device: Device = "auto",
    code: AllowCode = False,
) -> None:
    """Train one model: a preset, a config, or the full retraining of a search's winner.

    Takes CONFIG, or --preset with --corpus. Writes OUT/model/model%09d.model (the best and the
    last epoch), TensorBoard scalars and OUT/result/scores.txt in voxceleb_trainer's format. A
    folder that holds a checkpoint of the same config is continued; raising --epochs trains
    further.
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
        trial=run.trial,
        engine=run.engine,
        out=out or Path("runs") / (preset or "train"),
        device=device,
    )


def _training_run(
    config: Path | None,
    preset: str | None,
    corpus: Path | None,
    teacher: Path | None,
    assignments: Sequence[str],
) -> TrainRunConfig:
    """The run that the arguments name; the trial's settings may be given without `trial.`."""
    if (config is None) == (preset is None):
        given = "neither" if config is None else f"{config} and --preset {preset}"
        raise ConfigError(
            f"give either CONFIG or --preset NAME (`veer presets` lists them), got {given}"
        )
    if config is not None:
        if corpus is not None or teacher is not None:
            raise ConfigError(
                f"--corpus and --teacher go with --preset; {config} names its own, which "
                "--set teacher=PATH overrides"
            )
        return read_train_config(config, [_run_key(each) for each in assignments])
    if preset is None or corpus is None:
        raise ConfigError(
            f"--preset {preset} needs --corpus, a corpus.yaml as `veer data prepare` writes it"
        )
    own = [each.removeprefix("trial.") for each in assignments]
    return read_preset_run(preset, corpus, teacher, own)


def _run_key(assignment: str) -> str:
    first = assignment.partition("=")[0].partition(".")[0]
    return f"trial.{assignment}" if first in TrialConfig.model_fields else assignment
