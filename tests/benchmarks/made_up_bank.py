"""Bank C: made-up students of any number of epochs, with the noise of the real ones (bank B).

Space, best value of each setting and order of the students are those of `curves`. The course is a
power law, asymptote + (45 - asymptote) * (1 + epoch / c) ** -0.96, as the mean of bank B's curves
is; c is 1.6 epochs times (tau / its median) ** 0.4, so students that `curves` makes slow are slow
here too. What a search sees has a constant for each run (one half of the speakers) and independent
noise for each epoch. Fitted to bank B: rank correlation with the end after 1, 3, 6, 9 and 12 of 12
epochs, noise of an epoch, and what is left between two halves of the speakers at the end;
`python -m tests.benchmarks.made_up_bank FOLDER` prints both banks' figures.
"""

import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

from spaces.space import Space
from tests.benchmarks.curves import SPACE, START_PCT, asymptote_pct, epoch_s, tau_epochs
from tests.benchmarks.search_problem import Floats, Student, equivalent_dprime, random_params

Weights = Literal["raw", "ema"]
POWER = 0.96
FAST_EPOCHS = 1.6
MEDIAN_TAU = 3.4
TAU_POWER = 0.4
# Standard deviations, percentage points: of a run's constant, and of an epoch.
RUN_PCT = {"veer": 0.6, "dprime": 0.5}
EPOCH_PCT = {("raw", "veer"): 0.8, ("ema", "veer"): 0.28, ("raw", "dprime"): 0.79,
             ("ema", "dprime"): 0.25}  # fmt: skip
LOWEST_PCT = 0.5


def true_curve_pct(params: Mapping[str, Any], num_epochs: int) -> Floats:
    """Return the VEER without noise after each epoch, percent, (E,)."""
    last = float(asymptote_pct(params))
    c = FAST_EPOCHS * (float(tau_epochs(params)) / MEDIAN_TAU) ** TAU_POWER
    left = (1 + np.arange(1, num_epochs + 1) / c) ** -POWER
    return np.asarray(last + (START_PCT - last) * left)


class MadeUpProblem:
    """A search of made-up students.

    Args:
        seed: Seed of the noise, which depends only on it and on the params.
        max_epochs: Epochs of a trial at full length.
        weights: Whose noise: raw or averaged.
    """

    space: Space = SPACE

    def __init__(self, seed: int, max_epochs: int, weights: Weights) -> None:
        self.max_epochs = max_epochs
        self._seed, self._weights = seed, weights

    def student(self, params: Mapping[str, Any]) -> Student:
        """Return the student of any params."""
        text = repr(sorted(params.items())).encode()
        rng = np.random.default_rng([self._seed, zlib.crc32(text)])
        true_pct = true_curve_pct(params, self.max_epochs)
        run, *epochs = rng.normal(size=1 + 2 * self.max_epochs)
        noise = np.reshape(epochs, (2, self.max_epochs))
        seen = {
            figure: np.maximum(
                LOWEST_PCT,
                true_pct + RUN_PCT[figure] * run + EPOCH_PCT[self._weights, figure] * each,
            )
            for figure, each in zip(("veer", "dprime"), noise, strict=True)
        }
        return Student(
            veer_pct=seen["veer"],
            dprime=equivalent_dprime(seen["dprime"]),
            true_pct=true_pct,
            epoch_s=epoch_s(params),
        )


def print_fit() -> None:
    """Print the rank correlations of both banks."""
    from tests.benchmarks.minivox_bank import NUM_SIDES, MinivoxBank, MinivoxProblem

    epochs = np.array([1, 3, 6, 9, 12])
    rng = np.random.default_rng(0)
    bank = MinivoxBank(Path(sys.argv[1]))
    num = len(bank.params)
    drawn = [random_params(SPACE, rng) for _ in range(num)]
    for weights in ("raw", "ema"):
        real = [MinivoxProblem(bank, side, weights) for side in range(NUM_SIDES)]
        made = [MadeUpProblem(seed, 12, weights) for seed in range(NUM_SIDES)]
        for name, found in (
            ("B", [[each.nth(n) for n in range(num)] for each in real]),
            ("C", [[each.student(p) for p in drawn] for each in made]),
        ):
            print(name, weights, *_rank_correlations(found, epochs))


def _rank_correlations(found: list[list[Student]], epochs: Any) -> list[str]:
    lines = []
    for share in (1.0, 0.5):
        rows = []
        for students in found:
            end = np.array([each.true_pct[-1] for each in students])
            best = np.argsort(end)[: int(share * len(end))]
            seen = np.array([each.veer_pct[epochs - 1] for each in students])
            rows.append([spearmanr(end[best], seen[best, k])[0] for k in range(len(epochs))])
        lines.append(f"best {share:.0%}: {np.mean(rows, axis=0).round(2).tolist()}")
    return lines


if __name__ == "__main__":
    print_fit()
