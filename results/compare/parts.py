"""Parts of a comparison of searches.

In this order: keys whose values differ between mappings; the best VEER by number of epochs; values
that the best trials have most often; trials whose config only one run tried; and the difference
between the runs' best trials on the same bootstrap replicates.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from results.analysis.run_view import RunView
from results.journal.history import UNRANKED, TrialHistory
from results.records.trial_records import EpochEnded
from spaces.files.errors import VeerError
from trainable.config.trial_config import TrialConfig

SEED_KEY = "seed"
# A mapping with one of these keys is a dimension of a space: its bounds are compared together.
_DIMENSION_KEYS = frozenset({"choices", "low", "high", "ramp", "free"})
# Parts of the smallest budget at which the best VEERs are compared.
_BUDGET_SHARES = (0.25, 0.5, 0.75, 1.0)
_TOP_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One setting or result, with its value in each run.

    Attributes:
        name: Name of the setting or result.
        values: One value per run, in the order of the runs; None where a run has none.
    """

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBehind:
    """The difference between one run's best trial and the first run's, in points of VEER.

    Attributes:
        behind_pct: VEER of this run's best minus that of the first run's; below 0 this one is
            better.
        low_pct: Lower end of the 95 % interval; None where the list has too few speakers.
        high_pct: Upper end of the interval; None where the list has too few speakers.
        is_tied: Whether the interval contains 0; None without an interval.
    """

    behind_pct: float
    low_pct: float | None
    high_pct: float | None
    is_tied: bool | None


def differing_rows(
    mappings: Sequence[Mapping[str, Any]], leave_out: Iterable[str] = ()
) -> list[ComparisonRow]:
    """Return a row for each dotted key whose values differ, in order of first appearance.

    Args:
        mappings: One nested mapping per run.
        leave_out: Top-level keys that are not compared.
    """
    dropped = frozenset(leave_out)
    flat = [
        flatten_settings({key: value for key, value in mapping.items() if key not in dropped})
        for mapping in mappings
    ]
    names = dict.fromkeys(name for each in flat for name in each)
    rows = [
        ComparisonRow(name=name, values=tuple(each.get(name) for each in flat)) for name in names
    ]
    # As text, because lists have no hash, and because 1 == True in Python.
    return [row for row in rows if len({_text(value) for value in row.values}) > 1]


def flatten_settings(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping by dotted keys; lists and dimensions of a space stay whole."""
    # Without a prefix the mapping is the whole tree, which is never a dimension.
    is_dimension = isinstance(value, Mapping) and prefix and _DIMENSION_KEYS & value.keys()
    if not isinstance(value, Mapping) or not value or is_dimension:
        return {prefix: value} if prefix else {}
    return {
        name: leaf
        for key, each in value.items()
        for name, leaf in flatten_settings(each, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def best_so_far(view: RunView) -> list[float]:
    """Return the lowest VEER of the search's own trials after each of its epochs, in percent.

    Epochs count in the order of their reports, also those of trials that were stopped, failed or
    diverged; an epoch that was reported again after a fault counts once. The VEERs of failed and
    diverged trials are not used. The value is infinite before the first VEER.
    """
    own = {trial.trial: trial for trial in view.own}
    best_pct, seen, course = math.inf, set[tuple[int, int]](), list[float]()
    for record in view.all_of(EpochEnded):
        if record.trial not in own:
            continue
        key = (record.trial, record.epoch)
        veer_pct = record.veer_pct
        if veer_pct is not None and own[record.trial].state not in UNRANKED:
            best_pct = min(best_pct, veer_pct)
        # The epoch counts once, so that a fault does not shift the budget of a run.
        if key in seen and course:
            course[-1] = best_pct
        else:
            seen.add(key)
            course.append(best_pct)
    return course


def anytime_rows(views: Sequence[RunView]) -> list[ComparisonRow]:
    """Return the best VEERs after parts of the smallest number of epochs that any run has."""
    courses = [best_so_far(view) for view in views]
    smallest = min(map(len, courses))
    budgets = sorted({math.ceil(share * smallest) for share in _BUDGET_SHARES if smallest})
    return [
        ComparisonRow(
            name="1 epoch" if budget == 1 else f"{budget:,} epochs",
            values=tuple(
                None if math.isinf(course[budget - 1]) else course[budget - 1]
                for course in courses
            ),
        )
        for budget in budgets
    ]


def favoured_rows(views: Sequence[RunView]) -> list[ComparisonRow]:
    """Return, for each categorical parameter, how often the best trials of a run have each value.

    The best trials are the best quarter of those with a rank. Only parameters with more than one
    value are included.
    """
    tops = [_top_quarter(view) for view in views]
    names = dict.fromkeys(
        name for view in views for trial in view.own for name in trial.params if name
    )
    rows = []
    for name in names:
        values = [
            trial.params[name] for view in views for trial in view.own if name in trial.params
        ]
        # The journal does not record which parameters are categorical: text and booleans are.
        if not any(isinstance(value, str | bool) for value in values):
            continue
        counts = [
            Counter(_text(trial.params[name]) for trial in top if name in trial.params)
            for top in tops
        ]
        if len({*map(_text, values)}) > 1:
            counts_by_run = tuple(dict(each.most_common()) for each in counts)
            rows.append(ComparisonRow(name=name, values=counts_by_run))
    return rows


def _top_quarter(view: RunView) -> list[TrialHistory]:
    """Return the best quarter of the ranked trials, rounded up."""
    best_first = view.ranked
    return list(best_first[: math.ceil(_TOP_SHARE * len(best_first))])


def trials_of_one_run(views: Sequence[RunView]) -> list[list[TrialHistory]]:
    """Return, for each run, the ranked trials whose config no other run tried, best first.

    Configs are compared without their seeds and without parameters that have no effect.
    """
    tried = [{config_key(trial) for trial in view.own} for view in views]
    found = []
    for number, view in enumerate(views):
        others = set().union(*(keys for other, keys in enumerate(tried) if other != number))
        found.append([trial for trial in view.ranked if config_key(trial) not in others])
    return found


def config_key(trial: TrialHistory) -> str:
    """Return a key that is equal for two trials of the same config, whatever their seeds."""
    config = trial.started.config
    try:
        return TrialConfig.model_validate(config).recipe_hash()
    except (ValidationError, VeerError):
        # A config of another version of Veer, or one with a model class of the user's own.
        return _text({key: value for key, value in config.items() if key != SEED_KEY})


def bests_behind(views: Sequence[RunView]) -> tuple[BestBehind | None, ...]:
    """Return the difference to the first run for each other run.

    A difference is None where the two runs did not keep scores on the same list.
    """
    first, *others = views
    return tuple(_best_behind(other, first) for other in others)


def _best_behind(other: RunView, first: RunView) -> BestBehind | None:
    if other.best is None or first.best is None:
        return None
    difference = other.run_scores.behind(other.best, first.best, scores_of_first=first.run_scores)
    if difference is None:
        return None
    interval = difference.interval
    return BestBehind(
        behind_pct=difference.behind_pct,
        low_pct=None if interval is None else interval.low_pct,
        high_pct=None if interval is None else interval.high_pct,
        is_tied=difference.is_tied,
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)
