"""The numbers that trackers show of each epoch: the columns of the epochs table, and its trial's.

The names are those of the epochs table, so that epochs of `veer train` appear in the same charts.
"""

from collections.abc import Iterator
from typing import Any

from results.journal.history import TrialHistory
from results.records.trial_records import EpochEnded
from results.tables.schema import EPOCH_COLUMNS

# Columns of the epochs table that are the step, the time, or the same in every epoch.
NOT_SCALARS = frozenset(
    {"trial", "epoch", "num_params", "time", "is_unevaluated", "is_last_phase"}
)
SCALARS = tuple(column.name for column in EPOCH_COLUMNS if column.name not in NOT_SCALARS)
BEST, MEDIAN, PARAMETERS, SPEED = (
    f"trial/{name}" for name in ("best_veer_pct", "median_veer_pct", "num_params", "speed_ratio")
)


def epoch_scalars(record: EpochEnded, history: TrialHistory) -> Iterator[tuple[str, float]]:
    """Yield the numbers of an epoch by name, without those that it does not have.

    Args:
        record: The epoch.
        history: Its trial, with this epoch.
    """
    of_trial = {
        BEST: history.best_veer_pct,
        MEDIAN: history.median_veer_pct,
        PARAMETERS: record.num_params,
    }
    for name, value in ({name: getattr(record, name) for name in SCALARS} | of_trial).items():
        yield from _numbers(name, value)


def shown_name(history: TrialHistory) -> str:
    """Return the name of a trial: `trial-0007`, or `trial-0012-repeat-of-0003` of a follow-up."""
    name = f"trial-{history.trial:04d}"
    return f"{name}-{history.follow_up}-of-{history.follows:04d}" if history.follow_up else name


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, list | tuple):
        yield from ((f"{name}/{index}", each) for index, each in enumerate(value, start=1))
    elif value is not None:
        yield name, value
