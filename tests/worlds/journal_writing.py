"""Records of trials as a search writes them, with a space that they are of."""

from typing import Any

from results.journal.journal import Journal
from results.records.trial_records import EpochEnded, TrialStarted
from spaces.dimensions import Choice, Dimension, Float, Integer

DIMENSIONS: tuple[Dimension, ...] = (
    Choice(name="loss.distillation", choices=("none", "mse", "cosine")),
    Float(
        name="loss.alpha",
        low=0.1,
        high=0.9,
        when={"loss.distillation": ["mse", "cosine"]},
    ),
    Float(name="loss.temperature", low=1, high=8, when={"loss.distillation": "mse"}),
    Integer(name="model.num_blocks", low=2, high=6, step=2),
    Float(name="training.lr", low=1e-4, high=1e-2, log=True),
)


def start(journal: Journal, trial: int, **params: Any) -> None:
    """Write the start of a trial with sampled values; an underscore pair stands for a dot."""
    dotted = {name.replace("__", "."): value for name, value in params.items()}
    loss = {key.removeprefix("loss."): v for key, v in dotted.items() if key.startswith("loss.")}
    journal.append(
        TrialStarted(
            trial=trial,
            params=dotted,
            config={"loss": loss, "training": {"lr": dotted["training.lr"]}, "seed": trial},
            config_hash=f"{trial:012x}",
            seed=trial,
        )
    )


def report(journal: Journal, trial: int, epoch: int, veer_pct: float, **fields: Any) -> None:
    """Write an epoch with the fields that every report has."""
    journal.append(
        EpochEnded(
            trial=trial,
            epoch=epoch,
            veer_pct=veer_pct,
            **{
            "loss_total": 3.0,
            "loss_classification": 4.0,
            "loss_distillation": None,
            "loss_reconstruction": None,
            "distill_share": None,
            "teacher_cosine": None,
            "train_accuracy_pct": 50.0,
            "lr": 1e-3,
            "samples_per_s": 100.0,
            "train_s": 2.0,
            "eval_s": 0.5,
            "num_params": 1000 + trial,
            **fields,
            },
        )
    )
