"""How many epochs Veer's sampler, Ray's OptunaSearch and random sampling need, each with ASHA.

`make bench NAME=sampler`, or `python -m tests.benchmarks.sampler`; `--seeds 100` for more seeds,
`--first-seed 50` for others, `--settings` for other settings of TPE too. The problem is made up
(`curves.py`), the clock is simulated, and no cluster is started. Each search ends when a student
is within 0.5 points of the best possible one, measured without the noise that the samplers see, or
after 1,500 epochs; a search that has not reached the goal by then counts with 1,500. The target:
Veer needs no more epochs than Ray to get within 0.8 points, at the default grace period.
"""

import argparse
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler

from tests.benchmarks.curves import MAX_EPOCHS, SPACE, CurvesProblem, optimum_pct
from tests.benchmarks.ratios import paired_ratio
from tests.benchmarks.report import finish
from tests.benchmarks.search_play import Played, Tool, play, tool_source, veer_source
from tests.benchmarks.simulation import OtherSettings, Rays
from trainable.machine.hardware import describe_hardware

NUM_SEEDS = 50
NUM_WORKERS = 4
BUDGET_EPOCHS = 1500
# Chosen on other seeds: most searches of every sampler come within the first.
WITHIN_PCT = (0.8, 0.5)
# At the last epoch every trial is complete anyway: no early stopping.
GRACES = (9, 3, MAX_EPOCHS)
TARGET = 1.0

VEER, RAY, RANDOM = "Veer", "Ray OptunaSearch", "random"
# From the seed of the search and the grace period.
Arm = Callable[[int, int], Iterator[Played]]


def _veer(kind: str) -> Arm:
    def arm(seed: int, grace: int) -> Iterator[Played]:
        problem = CurvesProblem(seed)
        settings = {"sampler": kind, "scheduler": {"grace_epochs": grace}}
        source = veer_source(problem, settings, seed)
        return play(problem, source, num_workers=NUM_WORKERS)

    return arm


def _tool(make: Callable[[int, int], Tool]) -> Arm:
    def arm(seed: int, grace: int) -> Iterator[Played]:
        source = tool_source(make(seed, grace))
        return play(CurvesProblem(seed), source, num_workers=NUM_WORKERS)

    return arm


def _ray(seed: int, grace: int, sampler: TPESampler | None = None) -> Rays:
    return Rays(SPACE, seed=seed, max_epochs=MAX_EPOCHS, grace_epochs=grace, sampler=sampler)


ARMS: dict[str, Arm] = {VEER: _veer("tpe"), RAY: _tool(_ray), RANDOM: _veer("random")}


def tpe(seed: int, **settings: object) -> TPESampler:
    """Return Veer's TPE except for these settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        chosen = {"multivariate": True, "group": True, "constant_liar": True, **settings}
        return TPESampler(seed=seed, **chosen)  # type: ignore[arg-type]


def _with(**settings: object) -> Arm:
    return _tool(
        lambda seed, grace: OtherSettings(
            SPACE, tpe(seed, **settings), max_epochs=MAX_EPOCHS, grace_epochs=grace
        )
    )


SETTINGS: dict[str, Arm] = {
    # Veer makes a sampler with a seed of its own for every suggestion.
    "one sampler for all trials": _with(),
    "Veer's TPE, results reported as Ray does": _tool(
        lambda seed, grace: _ray(seed, grace, tpe(seed))
    ),
    "Ray's TPE, results reported as Veer does": _with(group=False),
    "univariate": _with(group=False, multivariate=False),
    "constant_liar off": _with(constant_liar=False),
    "n_startup_trials 5": _with(n_startup_trials=5),
    "n_startup_trials 20": _with(n_startup_trials=20),
    "n_ei_candidates 64": _with(n_ei_candidates=64),
}


def epochs_spent(
    arm: Arm, seeds: Iterable[int], grace: int, until_pct: Sequence[float]
) -> list[list[int]]:
    """Return the epochs of each search until each VEER; the budget plus one if not reached.

    Args:
        arm: The sampler with early stopping.
        seeds: One search each.
        grace: The first rung.
        until_pct: VEERs that are good enough.
    """
    spent: list[list[int]] = [[] for _ in until_pct]
    for seed in seeds:
        lowest = lowest_pct(arm(seed, grace), min(until_pct))
        for epochs, veer_pct in zip(spent, until_pct, strict=True):
            reached = (n for n, pct in enumerate(lowest, start=1) if pct <= veer_pct)
            epochs.append(next(reached, BUDGET_EPOCHS + 1))
    return spent


def lowest_pct(played: Iterable[Played], until_pct: float) -> list[float]:
    """Return the lowest VEER without noise so far after each epoch, up to the end of a search."""
    lowest: list[float] = []
    for each in islice(played, BUDGET_EPOCHS):
        lowest.append(min(each.true_pct, lowest[-1]) if lowest else each.true_pct)
        if lowest[-1] <= until_pct:
            break
    return lowest


def main() -> None:
    parser = argparse.ArgumentParser(description="Epochs to a fixed quality.")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="searches of each sampler")
    parser.add_argument("--first-seed", type=int, default=0, help="of those that follow it")
    parser.add_argument("--settings", action="store_true", help="other settings of TPE too")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    best_pct = optimum_pct()
    until_pct = [best_pct + within for within in WITHIN_PCT]
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    print(
        f"optuna {optuna.__version__}; seeds {seeds.start} to {seeds.stop - 1}, "
        f"{NUM_WORKERS} workers; best possible VEER {best_pct:.2f} %; at most "
        f"{BUDGET_EPOCHS:,} epochs; ASHA to epoch {MAX_EPOCHS}, reduction factor 3"
    )
    print(f"\n{'':48s}epochs: median  censored  over Veer's, 95 % interval")
    spent = {}
    for grace in GRACES:
        arms = ARMS | (SETTINGS if options.settings and grace == GRACES[0] else {})
        for name, arm in arms.items():
            spent[grace, name] = epochs_spent(arm, seeds, grace, until_pct)
            for place, within in enumerate(WITHIN_PCT):
                title = f"grace {grace:2d}, within {within}: {name}"
                row = spent[grace, name][place]
                print(line(title, row, spent[grace, VEER][place]), flush=True)
    print(f"\n{'':48s}epochs: median  censored  over those of grace {GRACES[0]}")
    for place, within in enumerate(WITHIN_PCT):
        for grace in GRACES:
            title = f"grace {grace:2d}, within {within}: {VEER}"
            print(line(title, spent[grace, VEER][place], spent[GRACES[0], VEER][place]))
    verdict = paired_ratio(counted(spent[GRACES[0], RAY][0]), counted(spent[GRACES[0], VEER][0]))
    finish("sampler", ratio=verdict.value, target=TARGET)


def counted(spent: Sequence[int]) -> list[int]:
    """Return the epochs, with the budget for a search that did not reach the goal."""
    return [min(epochs, BUDGET_EPOCHS) for epochs in spent]


def line(title: str, spent: Sequence[int], against: Sequence[int]) -> str:
    """Return a table row."""
    ratio = paired_ratio(counted(spent), counted(against))
    shown = "" if spent is against else f"{ratio.value:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
    num_censored = sum(epochs > BUDGET_EPOCHS for epochs in spent)
    return f"{title:48s}{np.median(counted(spent)):14,.0f}  {num_censored:8d}  {shown}".rstrip()


if __name__ == "__main__":
    main()
