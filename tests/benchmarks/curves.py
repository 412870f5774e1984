"""Made-up students with learning curves: a search problem with a known solution.

A student's VEER falls from 45 % towards its own asymptote. The asymptote depends on size, learning
rate (the best one is lower for larger students) and loss; the best alpha is 0.3 for mse and 0.8
for cosine. Large students, low learning rates and much distillation learn slowly, so the best
students of the first epochs are not those of the last. VEERs lie between 5 and 50 %.
"""

import math
import zlib
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np

from spaces.dimensions import Choice, Float, Integer
from spaces.space import Space
from tests.benchmarks.search_problem import Student

MAX_EPOCHS = 27
START_PCT = 45.0
NOISE_PCT = 0.4

# Like the bundled space `mixer`, and independent of its changes.
SPACE = Space(
    name="curves",
    fixed={"model": {"family": "mlp_mixer"}},
    dimensions=(
        Choice(name="model.hidden_dim", choices=(64, 96, 128, 192, 256)),
        Integer(name="model.num_blocks", low=2, high=8),
        Choice(name="model.expansion_factor", choices=(2, 3, 4)),
        Choice(name="loss.distillation", choices=("none", "mse", "cosine")),
        Float(
            name="loss.alpha", low=0.1, high=0.95, when={"loss.distillation": ["mse", "cosine"]}
        ),
        Float(
            name="loss.temperature", low=0.05, high=8, log=True, when={"loss.distillation": "mse"}
        ),
        Float(name="training.lr", low=3e-4, high=3e-3, log=True),
    ),
)


def size(params: Mapping[str, Any]) -> float:
    """Return the size of a student, from 0 (smallest) to 1."""
    return float(
        0.5 * math.log(params["model.hidden_dim"] / 64) / math.log(4)
        + 0.35 * (params["model.num_blocks"] - 2) / 6
        + 0.15 * (params["model.expansion_factor"] - 2) / 2
    )


def asymptote_pct(params: Mapping[str, Any]) -> Any:
    """Return the VEER after endless training; arguments may be arrays of one shape."""
    large = size(params)
    lr_off = np.log10(params["training.lr"] / (2e-3 * 4**-large))
    veer_pct = 6.0 + 12.0 * (large - 0.7) ** 2 + 12.0 * lr_off**2
    match params["loss.distillation"]:
        case "none":
            return veer_pct + 3.0
        case "mse":
            temperature_off = np.log10(params["loss.temperature"])
            alpha_off = params["loss.alpha"] - 0.3
            return veer_pct + 1.0 + 16.0 * alpha_off**2 + 2.0 * temperature_off**2
        case _:
            return veer_pct + 16.0 * (params["loss.alpha"] - 0.8) ** 2


def tau_epochs(params: Mapping[str, Any]) -> Any:
    """Return the epochs in which the distance from the asymptote falls to 1/e."""
    distilled = params.get("loss.alpha", 0.0)
    by_lr = (1e-3 / params["training.lr"]) ** 0.2
    return (1.5 + 3.0 * size(params)) * by_lr * (1 + 0.4 * distilled)


def curve_pct(params: Mapping[str, Any]) -> np.ndarray:
    """Return the VEER after epochs 1 to 27 without noise, percent, (27,)."""
    left = np.exp(-np.arange(1, MAX_EPOCHS + 1) / tau_epochs(params))
    return np.asarray(asymptote_pct(params) + (START_PCT - asymptote_pct(params)) * left)


def noise_pct(params: Mapping[str, Any], seed: int) -> np.ndarray:
    """Return the noise that a validation list adds to each epoch's VEER, percentage points, (27,).

    It depends only on params and seed.
    """
    rng = np.random.default_rng([seed, zlib.crc32(repr(sorted(params.items())).encode())])
    return rng.normal(scale=NOISE_PCT, size=MAX_EPOCHS)


def epoch_s(params: Mapping[str, Any]) -> float:
    """Return the seconds of an epoch."""
    return 10 + 30 * size(params)


class CurvesProblem:
    """A search of these students, with the noise of one seed."""

    space = SPACE
    max_epochs = MAX_EPOCHS

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def student(self, params: Mapping[str, Any]) -> Student:
        """Return the student of any params."""
        true_pct = curve_pct(params)
        return Student(
            veer_pct=true_pct + noise_pct(params, self._seed),
            dprime=None,
            true_pct=true_pct,
            epoch_s=epoch_s(params),
        )


def optimum_pct(num_points: int = 61) -> float:
    """Return the lowest VEER of any student, percent: all choices, ranges on a grid."""
    lr = np.geomspace(3e-4, 3e-3, num_points)[:, None, None]
    alpha = np.linspace(0.1, 0.95, num_points)[:, None]
    temperature = np.geomspace(0.05, 8, num_points)
    ranges = {
        "none": {},
        "cosine": {"loss.alpha": alpha},
        "mse": {"loss.alpha": alpha, "loss.temperature": temperature},
    }
    lowest = math.inf
    for width, blocks, expansion, kind in product((64, 96, 128, 192, 256), range(2, 9), (2, 3, 4),
                                                  ranges):  # fmt: skip
        params = {
            "model.hidden_dim": width,
            "model.num_blocks": blocks,
            "model.expansion_factor": expansion,
            "loss.distillation": kind,
            "training.lr": lr,
            **ranges[kind],
        }
        left = np.exp(-MAX_EPOCHS / tau_epochs(params))
        last = asymptote_pct(params) + (START_PCT - asymptote_pct(params)) * left
        lowest = min(lowest, float(np.min(last)))
    return lowest
