"""Bank B: real Mixer students on real speech, as the command `extend-bank` makes them.

The folder in $VEER_BANK has one file a run (`tests.benchmarks.extend_bank`). Of each cut of the 28
validation speakers one half decides, which is what a search sees, and the other half judges: the
true value of a student is its EER there, a mean over its epoch and the two next to it (less chance
than a single one), divided by the mean of all configs on that half and multiplied by the mean on
all halves, since some halves are harder. Each cut has two such searches. Runs with a second seed
(`NNNb.npz`) are not used here. The seconds of an epoch are in proportion to the network's
parameters, plus a constant.
"""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spaces.dimensions import Choice, Float, Integer
from spaces.space import Space
from tests.benchmarks.curve_masks import NUM_CUTS
from tests.benchmarks.search_problem import NearestConfigs, Student

Weights = Literal["raw", "ema"]
NUM_SIDES = 2 * NUM_CUTS
TEACHES = ["cosine", "infonce", "rkd"]
SPACE = Space(
    name="minivox",
    fixed={
        "model": {"family": "mlp_mixer", "embedding_dim": 256},
        "training": {"batch_size": 32, "lr_decay_every_epochs": 1, "eval_crops": 2},
    },
    dimensions=(
        Choice(name="model.hidden_dim", choices=(16, 24, 32, 48, 64)),
        Integer(name="model.num_blocks", low=1, high=6),
        Integer(name="model.expansion_factor", low=2, high=4),
        Choice(name="loss.distillation", choices=("none", "cosine", "infonce", "rkd")),
        Float(name="loss.margin", low=0.05, high=0.4),
        Float(name="loss.scale", low=15, high=60, log=True),
        Float(name="loss.alpha", low=0.1, high=0.95, when={"loss.distillation": TEACHES}),
        Float(
            name="loss.contrast_temperature",
            low=0.03,
            high=0.5,
            log=True,
            when={"loss.distillation": "infonce"},
        ),
        Float(name="training.lr", low=3e-4, high=8e-3, log=True),
        Float(name="training.lr_decay", low=0.75, high=1.0),
        Integer(name="training.num_masks", low=0, high=2),
    ),
)


class MinivoxBank:
    """The runs of a folder, loaded once.

    Args:
        folder: The bank.

    Attributes:
        metrics: Figures by kind of weights, (N, E, parts, 3), as `extend_bank` describes them.
        configs: The places of the configs.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.glob("[0-9][0-9][0-9].npz"))
        if not files:
            raise FileNotFoundError(f"{folder}: no run of the bank here, such as 000.npz")
        params, sizes = [], []
        self.metrics: dict[str, Any] = {"raw": [], "ema": []}
        for file in files:
            with np.load(file) as run:
                params.append(SPACE.params_of(json.loads(str(run["cfg"]))))
                sizes.append(int(run["num_params"]))
                for weights, found in self.metrics.items():
                    found.append(run[f"metrics_{weights}"].astype(float))
        self.metrics = {weights: np.stack(found) for weights, found in self.metrics.items()}
        self.epoch_s = 2 + np.array(sizes) / 5e4
        self.params = params
        self.configs = NearestConfigs(SPACE, params)

    def judged_pct(self, weights: Weights, half: int) -> Any:
        """Return the true values if a half of the speakers judges, percent, (N, E)."""
        eer_pct = self.metrics[weights][:, :, half, 0]
        num_epochs = eer_pct.shape[1]
        smooth = [eer_pct[:, max(0, e - 1) : e + 2].mean(axis=1) for e in range(num_epochs - 1)]
        smooth.append(eer_pct[:, -3:].mean(axis=1))
        # By raw weights for both kinds: averaged ones must keep their advantage.
        halves = self.metrics["raw"][:, -3:, 1 : NUM_SIDES + 1, 0].mean(axis=(0, 1))
        return np.stack(smooth, axis=1) * halves.mean() / halves[half - 1]


class MinivoxProblem:
    """A search in which one half of one cut of the speakers decides.

    Args:
        bank: The runs.
        side: From 0; the cut and which of its halves decides.
        weights: Raw or averaged.
    """

    space = SPACE

    def __init__(self, bank: MinivoxBank, side: int, weights: Weights) -> None:
        self._bank = bank
        found = bank.metrics[weights]
        self.max_epochs = found.shape[1]
        cut, half = divmod(side % NUM_SIDES, 2)
        decides, judges = 1 + 2 * cut + half, 2 + 2 * cut - half
        self._seen, self._true = found[:, :, decides], bank.judged_pct(weights, judges)
        bank.configs.renew()

    def student(self, params: Any) -> Student | None:
        """Return the nearest run, None if the bank is used up."""
        number = self._bank.configs.take(params)
        return None if number is None else self.nth(number)

    def nth(self, number: int) -> Student:
        """Return a run by its number."""
        return Student(
            veer_pct=self._seen[number, :, 0],
            dprime=self._seen[number, :, 1],
            true_pct=self._true[number],
            epoch_s=float(self._bank.epoch_s[number]),
        )
