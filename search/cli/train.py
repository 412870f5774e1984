"""`veer train` and `veer evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console, counting
from search.cli.options import AllowCode, Device, RunSet, Seed, permit
from search.cli.training import evaluation_table, run_and_show
from spaces.errors import ConfigError
from trainable.checkpoint import load_speaker_model
from trainable.config import TrainRunConfig, TrialConfig, read_train_config
from trainable.corpus import read_trial_list
from trainable.device import choose_device
from trainable.evaluation import DEFAULT_EVAL_FRAMES, evaluate_pairs
from trainable.presets import read_preset_run


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


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="A model file, or a run's folder (its best epoch).")
    ],
    trials: Annotated[
        Path, typer.Option("--pairs", help="Trial list: lines '1|0 PATH_A PATH_B'.")
    ],
    root: Annotated[Path, typer.Option(help="Folder that the list's paths start from.")],
    eval_frames: Annotated[
        int, typer.Option(min=1, help="Crop length, frames of 10 ms.")
    ] = DEFAULT_EVAL_FRAMES,
    device: Device = "auto",
    code: AllowCode = False,
) -> None:
    """Score a checkpoint on a trial list, under both protocols.

    Cosine of the mean embeddings over 10 crops of the log-mels, and voxceleb_trainer's mean
    distance between 10 crops of the waveform; each metric is named with its prior.
    """
    permit(code)
    loaded = load_speaker_model(model)
    pairs = read_trial_list(trials, root)
    with counting("utterances") as progress:
        result = evaluate_pairs(
            loaded.model,
            root,
            pairs,
            eval_frames=eval_frames,
            device=choose_device(device),
            progress=progress,
        )
    title = f"{loaded.file}, epoch {loaded.epoch}: {len(pairs)} pairs of {trials}"
    console.print(evaluation_table(result, title))


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
