"""`veer train` and `veer evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from search.cli.console import console, counting
from search.cli.options import Device, RunSet, Seed
from search.cli.training import evaluation_table, run_and_show
from trainable.checkpoint import load_speaker_model
from trainable.config import read_train_config
from trainable.corpus import read_trial_list
from trainable.device import choose_device
from trainable.evaluation import DEFAULT_EVAL_FRAMES, evaluate_pairs


def train(
    config: Annotated[
        Path,
        typer.Argument(help="A training run's YAML, as `veer export` writes it."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/train"),
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train, in place of the file's.")
    ] = None,
    overrides: RunSet = None,
    seed: Seed = None,
    device: Device = "auto",
) -> None:
    """Train one model from a config: a single run, or the full retraining of a search's winner.

    Writes OUT/model/model%09d.model (the best and the last epoch), TensorBoard scalars and
    OUT/result/scores.txt in voxceleb_trainer's format. A folder that holds a checkpoint of the
    same config is continued; raising --epochs trains further.
    """
    assignments = list(overrides or ())
    if epochs is not None:
        assignments.append(f"trial.training.max_epochs={epochs}")
    if seed is not None:
        assignments.append(f"trial.seed={seed}")
    run = read_train_config(config, assignments)
    run_and_show(
        corpus=run.corpus,
        teacher=run.teacher,
        teacher_sha256=run.teacher_sha256,
        trial=run.trial,
        out=out,
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
) -> None:
    """Score a checkpoint on a trial list, under both protocols.

    Cosine of the mean embeddings over 10 crops of the log-mels, and voxceleb_trainer's mean
    distance between 10 crops of the waveform; each metric is named with its prior.
    """
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
