"""The random students of the bank of real curves: configs, names and order of the runs.

The bank grows by more of the same sequence, so nothing here may change: not the seed, not the
order of the draws.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

EPOCHS = 12
KINDS = ("none", "cosine", "cosine", "infonce", "rkd")
SECOND_SEED = 5000
SECOND_EVERY = 4


def drawn_configs(num: int) -> list[dict[str, Any]]:
    """Return the first configs of the sequence, each the tree of a trial's config."""
    rng = np.random.default_rng(7)
    return [_drawn(rng, number) for number in range(num)]


def planned_runs(num: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, config) of every run, a fourth config's second seed just after it."""
    for number, config in enumerate(drawn_configs(num)):
        yield f"{number:03d}", config
        if number % SECOND_EVERY == 0:
            yield f"{number:03d}b", {**config, "seed": config["seed"] + SECOND_SEED}


def _drawn(rng: np.random.Generator, number: int) -> dict[str, Any]:
    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    kind = str(rng.choice(KINDS))
    model = {
        "family": "mlp_mixer",
        "hidden_dim": int(rng.choice([16, 24, 32, 48, 64])),
        "num_blocks": int(rng.integers(1, 7)),
        "expansion_factor": int(rng.integers(2, 5)),
        "embedding_dim": 256,
    }
    loss: dict[str, Any] = {
        "distillation": kind,
        "margin": float(rng.uniform(0.05, 0.4)),
        "scale": log_uniform(15, 60),
    }
    training = {
        "batch_size": 32,
        "max_epochs": EPOCHS,
        "lr": log_uniform(3e-4, 8e-3),
        "lr_decay": float(rng.uniform(0.75, 1.0)),
        "lr_decay_every_epochs": 1,
        "eval_crops": 2,
        "num_masks": int(rng.integers(0, 3)),
    }
    if kind != "none":
        loss["alpha"] = float(rng.uniform(0.1, 0.95))
    if kind == "infonce":
        loss["contrast_temperature"] = log_uniform(0.03, 0.5)
    return {"model": model, "loss": loss, "training": training, "seed": 1000 + number}
