"""Finished runs of the benchmark `bank`: kept in a file, compared seed by seed, shown."""

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
        setup: Digits that name all that the runs compared have in common.
        num_crops: Crops an utterance in the bank; None where the teacher ran online.
        seed: Of weights, order, masks and crops; the bank's places are the same in all runs.
        veer_pct: VEER after each epoch, percent.
        train_s: Seconds of training of each epoch, evaluation left out.
        taught_cosine: Mean cosine between student and teacher, after the last epoch, on the crops
            that the last epochs trained on.
        fresh_cosine: Likewise on random crops of the training utterances, the same in all arms.
        unseen_cosine: Likewise on random crops of the validation utterances, of other speakers.
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
    """The mean of differences of one seed each.

    Attributes:
        mean: Over the seeds.
        error: Standard error of the mean; NaN with one seed, as the bounds are.
        low: Lower bound of Student's 95 % interval.
        high: Upper bound.
    """

    mean: float
    error: float
    low: float
    high: float


def arm_name(num_crops: Arm) -> str:
    """An arm as the table has it."""
    return "online" if num_crops is None else f"bank of {num_crops}"


def kept_runs(file: Path, setup: str) -> dict[tuple[Arm, int], Run]:
    """The runs of this setup in a file, by arm and seed; a line cut short is left out."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    runs = [run for run in map(_run_in, lines) if run is not None and run.setup == setup]
    return {(run.num_crops, run.seed): run for run in runs}


def keep(file: Path, run: Run) -> None:
    """Add a run to a file, on a line of its own whatever the file ends with."""
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
        told = json.loads(line)
    except json.JSONDecodeError:
        return None
    return Run(**told | {name: tuple(told[name]) for name in ("veer_pct", "train_s")})


def paired_difference(one: Mapping[int, float], other: Mapping[int, float]) -> Difference:
    """The first less the second, by seed.

    Args:
        one: A figure by seed.
        other: Of the same seeds.

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
    """A figure of an arm's runs."""
    return {run.seed: figure(run) for run in runs if run.num_crops == num_crops}


def run_lines(runs: Sequence[Run]) -> list[str]:
    """Table rows, one a run, seed by seed."""
    head = "| seed | arm | " + " | ".join(FIGURES) + " | train s an epoch |"
    lines = [head, "|---" * (len(FIGURES) + 3) + "|"]
    for run in sorted(runs, key=lambda run: (run.seed, run.num_crops or 0)):
        cells = [_shown(name, figure(run)) for name, figure in FIGURES.items()]
        start = f"| {run.seed} | {arm_name(run.num_crops)} | "
        lines.append(start + " | ".join(cells) + f" | {median(run.train_s):.1f} |")
    return lines


def difference_lines(runs: Sequence[Run], banks: Sequence[int]) -> list[str]:
    """Table rows, one a bank: each figure less online's, its standard error and interval."""
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
    """Online's late VEER over the bank's, both means over seeds, and the least that is allowed.

    Args:
        runs: All of them.
        num_crops: The bank judged.
        allowed_pct: Points that its VEER may lie above online's.
    """
    online_pct = fmean(by_seed(runs, None, FIGURES[LATE]).values())
    bank_pct = fmean(by_seed(runs, num_crops, FIGURES[LATE]).values())
    return online_pct / bank_pct, online_pct / (online_pct + allowed_pct)
