"""Finished runs of the benchmark `bank`: kept in a file, compared by seed, printed as tables."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median, stdev

import numpy as np
from scipy.stats import t as student_t

LATE_EPOCHS = 5
CONFIDENCE = 0.95

Arm = int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished training run.

    Attributes:
        setup: Hexadecimal digits that identify what all compared runs have in common.
        num_crops: Crops of an utterance in the bank; None if the teacher ran online.
        seed: Seed of weights, order, masks and crops; the bank's crops are the same in all runs.
        veer_pct: VEER after each epoch, percent.
        train_s: Training time of each epoch without evaluation, seconds.
        taught_cosine: Mean cosine between student and teacher, after the last epoch, on the crops
            of the last training epochs.
        fresh_cosine: The same on random crops of the training utterances, equal in all arms.
        unseen_cosine: The same on random crops of the validation utterances, of other speakers.
    """

    setup: str
    num_crops: Arm
    seed: int
    veer_pct: tuple[float, ...]
    train_s: tuple[float, ...]
    taught_cosine: float
    fresh_cosine: float
    unseen_cosine: float

    @property
    def late_pct(self) -> float:
        """Median VEER of the last five epochs, percent."""
        return median(self.veer_pct[-LATE_EPOCHS:])


Figure = Callable[[Run], float]
LATE = f"median VEER of the last {LATE_EPOCHS}, %"
FRESH = "cosine, fresh crops"
FIGURES: Mapping[str, Figure] = {
    "best VEER, %": lambda run: min(run.veer_pct),
    "last VEER, %": lambda run: run.veer_pct[-1],
    LATE: lambda run: run.late_pct,
    "cosine, taught crops": lambda run: run.taught_cosine,
    FRESH: lambda run: run.fresh_cosine,
    "taught less fresh": lambda run: run.taught_cosine - run.fresh_cosine,
    "cosine, new speakers": lambda run: run.unseen_cosine,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The mean of differences, one for each seed.

    Attributes:
        mean: Mean over the seeds.
        error: Standard error of the mean; NaN with one seed, and so are the bounds.
        low: Lower bound of Student's 95 % interval.
        high: Upper bound.
    """

    mean: float
    error: float
    low: float
    high: float


def arm_name(num_crops: Arm) -> str:
    """Return the name of an arm in the table."""
    return "online" if num_crops is None else f"bank of {num_crops}"


def kept_runs(file: Path, setup: str) -> dict[tuple[Arm, int], Run]:
    """Return the runs of this setup in a file, by arm and seed; skip a torn line."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    runs = [run for run in map(_run_in, lines) if run is not None and run.setup == setup]
    return {(run.num_crops, run.seed): run for run in runs}


def keep(file: Path, run: Run) -> None:
    """Append a run to a file, on its own line whatever the file ends with."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as out:
        if out.tell():
            out.seek(-1, os.SEEK_END)
        is_torn = out.read(1) not in (b"", b"\n")
        out.write(b"\n" * is_torn + json.dumps(asdict(run)).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _run_in(line: str) -> Run | None:
    try:
        values = json.loads(line)
    except json.JSONDecodeError:
        return None
    return Run(**values | {name: tuple(values[name]) for name in ("veer_pct", "train_s")})


def paired_difference(one: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """Subtract the second from the first, seed by seed.

    Args:
        one: Values by seed.
        other: Values of the same seeds.

    Raises:
        ValueError: The seeds differ.
    """
    if one.keys() != other.keys():
        raise ValueError(f"seeds must be the same, got {sorted(one)} and {sorted(other)}")
    apart = [one[seed] - other[seed] for seed in sorted(one)]
    mean, error, reach = fmean(apart), np.nan, np.nan
    if len(apart) > 1:
        error = stdev(apart) / len(apart) ** 0.5
        reach = error * float(student_t.ppf((1 + CONFIDENCE) / 2, len(apart) - 1))
    return Difference(mean=mean, error=error, low=mean - reach, high=mean + reach)


def by_seed(runs: Sequence[Run], num_crops: Arm, figure: Figure) -> dict[int, float]:
    """Return one metric of the runs of an arm, by seed."""
    return {run.seed: figure(run) for run in runs if run.num_crops == num_crops}


def run_lines(runs: Sequence[Run]) -> list[str]:
    """Return the rows of a table with one run per row, ordered by seed."""
    head = "| seed | arm | " + " | ".join(FIGURES) + " | train s an epoch |"
    lines = [head, "|---" * (len(FIGURES) + 3) + "|"]
    for run in sorted(runs, key=lambda run: (run.seed, run.num_crops or 0)):
        cells = [_shown(name, figure(run)) for name, figure in FIGURES.items()]
        start = f"| {run.seed} | {arm_name(run.num_crops)} | "
        lines.append(start + " | ".join(cells) + f" | {median(run.train_s):.1f} |")
    return lines


def difference_lines(runs: Sequence[Run], banks: Sequence[int]) -> list[str]:
    """Return table rows, one per bank: each metric minus online's, standard error, interval."""
    lines = ["| less online | " + " | ".join(FIGURES) + " |", "|---" * (len(FIGURES) + 1) + "|"]
    for num_crops in banks:
        cells = []
        for name, figure in FIGURES.items():
            apart = paired_difference(
                by_seed(runs, num_crops, figure), by_seed(runs, None, figure)
            )
            mean, error, low, high = (
                _shown(name, value, sign)
                for value, sign in (
                    (apart.mean, "+"),
                    (apart.error, ""),
                    (apart.low, "+"),
                    (apart.high, "+"),
                )
            )
            cells.append(f"{mean}, SE {error} ({low} to {high})")
        lines.append(f"| {arm_name(num_crops)} | " + " | ".join(cells) + " |")
    return lines


def _shown(name: str, value: float, sign: str = "") -> str:
    return f"{value:{sign}.2f}" if name.endswith("%") else f"{value:{sign}.4f}"


def verdict(runs: Sequence[Run], num_crops: int, allowed_pct: float) -> tuple[float, float]:
    """Compare online's late VEER with the bank's, both as means over seeds.

    Args:
        runs: All runs.
        num_crops: The bank to judge.
        allowed_pct: Points by which its VEER may be above online's.

    Returns:
        Online's VEER over the bank's, and the smallest ratio that is allowed.
    """
    online_pct = fmean(by_seed(runs, None, FIGURES[LATE]).values())
    bank_pct = fmean(by_seed(runs, num_crops, FIGURES[LATE]).values())
    return online_pct / bank_pct, online_pct / (online_pct + allowed_pct)
