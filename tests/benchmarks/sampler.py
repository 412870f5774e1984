"""How many epochs Veer's sampler, Ray's OptunaSearch and chance need, each with ASHA.

`make bench NAME=sampler`, or `python -m tests.benchmarks.sampler`; with `--settings` also other
settings of TPE. The problem is made up (`curves.py`), the clock simulated, no cluster started.
Each search ends when a student lies within 0.8 points of the best one possible, measured without
the noise that the samplers see, or after 1,500 epochs; a search that has not got there by then
counts with 1,500. The target says that Veer's needs no more epochs than Ray's.
"""

import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from results.hardware import describe_hardware
from tests.benchmarks.curves import MAX_EPOCHS, optimum_pct
from tests.benchmarks.report import finish
from tests.benchmarks.simulation import (
    Arm,
    OtherSettings,
    Rays,
    Veer,
    epochs_until,
    paired_ratio,
    play,
)

NUM_SEEDS = 100
NUM_WORKERS = 4
BUDGET_EPOCHS = 1500
WITHIN_PCT = 0.8
# At the last epoch every trial is complete anyway: no early stopping.
GRACES = (9, 3, MAX_EPOCHS)
TARGET = 1.0

VEER, RAY, RANDOM = "Veer", "Ray OptunaSearch", "random"
MakeArm = Callable[[int, int], Arm]
ARMS: dict[str, MakeArm] = {
    VEER: lambda seed, grace: Veer("tpe", seed=seed, grace_epochs=grace),
    RAY: lambda seed, grace: Rays(seed=seed, grace_epochs=grace),
    RANDOM: lambda seed, grace: Veer("random", seed=seed, grace_epochs=grace),
}


def tpe(seed: int, **settings: object) -> TPESampler:
    """Veer's TPE but for these settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        chosen = {"multivariate": True, "group": True, "constant_liar": True, **settings}
        return TPESampler(seed=seed, **chosen)  # type: ignore[arg-type]


def _with(**settings: object) -> MakeArm:
    return lambda seed, grace: OtherSettings(
        tpe(seed, **settings), seed=seed, grace_epochs=grace
    )


SETTINGS: dict[str, MakeArm] = {
    "Veer's TPE, told as Ray tells": lambda seed, grace: Rays(
        seed=seed, grace_epochs=grace, sampler=tpe(seed)
    ),
    "Ray's TPE, told as Veer tells": _with(group=False),
    "univariate": _with(group=False, multivariate=False),
    "constant_liar off": _with(constant_liar=False),
    "n_startup_trials 5": _with(n_startup_trials=5),
    "n_startup_trials 20": _with(n_startup_trials=20),
    "n_ei_candidates 64": _with(n_ei_candidates=64),
}


def epochs_spent(make: MakeArm, seeds: Iterable[int], grace: int, until_pct: float) -> list[int]:
    """Epochs of each search; one more than the budget where it did not get there."""
    spent = []
    for seed in seeds:
        played = play(
            make(seed, grace),
            seed=seed,
            num_workers=NUM_WORKERS,
            budget_epochs=BUDGET_EPOCHS,
            until_pct=until_pct,
        )
        spent.append(epochs_until(played, until_pct) or BUDGET_EPOCHS + 1)
    return spent


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("ray").setLevel(logging.ERROR)
    arms = ARMS | (SETTINGS if "--settings" in sys.argv[1:] else {})
    best_pct = optimum_pct()
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    print(
        f"optuna {optuna.__version__}; {NUM_SEEDS} seeds, {NUM_WORKERS} workers, epochs until "
        f"VEER <= {best_pct:.2f} + {WITHIN_PCT} %, at most {BUDGET_EPOCHS:,}; ASHA to epoch "
        f"{MAX_EPOCHS}, reduction factor 3"
    )
    spent = {}
    for grace in GRACES:
        print(f"\ngrace {grace:<24d} median epochs  censored  epochs / Veer's, 95 % interval")
        for name, make in arms.items():
            spent[grace, name] = epochs_spent(
                make, range(NUM_SEEDS), grace, best_pct + WITHIN_PCT
            )
            print(line(name, spent[grace, name], spent[grace, VEER]), flush=True)
    print(f"\n{VEER:30s} median epochs  censored  epochs / those of grace {GRACES[0]}")
    for grace in GRACES:
        print(line(f"grace {grace}", spent[grace, VEER], spent[GRACES[0], VEER]))
    verdict = paired_ratio(counted(spent[GRACES[0], RAY]), counted(spent[GRACES[0], VEER]))
    finish("sampler", ratio=verdict.median, target=TARGET)


def counted(spent: Sequence[int]) -> list[int]:
    """With the budget for a search that did not get there."""
    return [min(epochs, BUDGET_EPOCHS) for epochs in spent]


def line(name: str, spent: Sequence[int], against: Sequence[int]) -> str:
    """A table row."""
    ratio = paired_ratio(counted(spent), counted(against))
    shown = "" if spent is against else f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    num_censored = sum(epochs > BUDGET_EPOCHS for epochs in spent)
    return f"{name:30s} {np.median(counted(spent)):13,.0f}  {num_censored:8d}  {shown}".rstrip()


if __name__ == "__main__":
    main()
