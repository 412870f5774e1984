"""Parts of a comparison of searches: what differs between mappings, and who found what when."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from results.journal.history import UNRANKED, TrialHistory
from results.tables.run_view import RunView
from spaces.files.errors import VeerError
from trainable.config.trial_config import TrialConfig

# A range of a space is one value, and so is a list.
RANGE_KEYS = frozenset({"choices", "low", "high", "ramp", "free"})
BUDGET_SHARES = (0.25, 0.5, 0.75, 1.0)
TOP_SHARE = 0.25
SEED_KEY = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing of several runs.

    Attributes:
        name: What it is.
        values: A value a run, in their order; None where a run has none.
    """

    name: str
    values: tuple[Any, ...]


def differing(mappings: Sequence[Mapping[str, Any]], leave_out: Iterable[str] = ()) -> list[Row]:
    """The dotted keys whose values differ, in the order in which they first come.

    Args:
        mappings: Nested, one a run.
        leave_out: Keys at the top that are not compared.
    """
    dropped = frozenset(leave_out)
    flat = [
        leaves({key: value for key, value in mapping.items() if key not in dropped})
        for mapping in mappings
    ]
    names = dict.fromkeys(name for each in flat for name in each)
    rows = [Row(name=name, values=tuple(each.get(name) for each in flat)) for name in names]
    return [row for row in rows if len({_text(value) for value in row.values}) > 1]


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """A nested mapping by dotted keys; ranges of a space and lists are values."""
    if not isinstance(value, Mapping) or not value or (prefix and RANGE_KEYS & value.keys()):
        return {prefix: value} if prefix else {}
    return {
        name: leaf
        for key, each in value.items()
        for name, leaf in leaves(each, f"{prefix}.{key}" if prefix else str(key)).items()
    }


def best_so_far(view: RunView) -> list[float]:
    """The lowest VEER of the search's own trials after each of its epochs, percent.

    Epochs count in the order in which they were reported, those of stopped, failed and diverged
    trials too; one that was reported again after a fault counts once. A VEER of a trial that later
    failed or diverged is nobody's best. Infinite before the first.
    """
    own = {trial.trial: trial for trial in view.own}
    best_pct, seen, course = math.inf, set[tuple[int, int]](), list[float]()
    for record in view.records:
        if record["event"] != "epoch" or record["trial"] not in own:
            continue
        key = (record["trial"], record["epoch"])
        veer_pct = record["veer_pct"]
        if veer_pct is not None and own[record["trial"]].state not in UNRANKED:
            best_pct = min(best_pct, veer_pct)
        if key in seen and course:
            course[-1] = best_pct
        else:
            seen.add(key)
            course.append(best_pct)
    return course


def anytime(views: Sequence[RunView]) -> list[Row]:
    """The best VEER after parts of the smallest number of epochs that a run has had."""
    courses = [best_so_far(view) for view in views]
    smallest = min(map(len, courses))
    budgets = sorted({math.ceil(share * smallest) for share in BUDGET_SHARES if smallest})
    return [
        Row(
            name="1 epoch" if budget == 1 else f"{budget:,} epochs",
            values=tuple(
                None if math.isinf(course[budget - 1]) else course[budget - 1]
                for course in courses
            ),
        )
        for budget in budgets
    ]


def top_quarter(view: RunView) -> list[TrialHistory]:
    """The best quarter of the search's own trials with a rank, at least one if there is any."""
    best_first = view.ranked
    return list(best_first[: math.ceil(TOP_SHARE * len(best_first))])


def favoured(views: Sequence[RunView]) -> list[Row]:
    """How often each value of the categorical parameters is in each run's top quarter."""
    tops = [top_quarter(view) for view in views]
    names = dict.fromkeys(
        name for view in views for trial in view.own for name in trial.params if name
    )
    rows = []
    for name in names:
        values = [
            trial.params[name] for view in views for trial in view.own if name in trial.params
        ]
        if not any(isinstance(value, str | bool) for value in values):
            continue
        counts = [
            Counter(_text(trial.params[name]) for trial in top if name in trial.params)
            for top in tops
        ]
        if len({*map(_text, values)}) > 1:
            rows.append(Row(name=name, values=tuple(dict(each.most_common()) for each in counts)))
    return rows


def only_here(views: Sequence[RunView]) -> list[list[TrialHistory]]:
    """Of each run the ranked trials whose config no other of the runs has tried, best first.

    Configs are compared without their seeds, and without the parameters that have no effect.
    """
    tried = [{config_key(trial) for trial in view.own} for view in views]
    found = []
    for number, view in enumerate(views):
        others = set().union(*(keys for other, keys in enumerate(tried) if other != number))
        found.append([trial for trial in view.ranked if config_key(trial) not in others])
    return found


def config_key(trial: TrialHistory) -> str:
    """What is the same for two trials of one config, whatever their seeds.

    A config of another version, or with a model of the person's own, is known by its text.
    """
    config = trial.started["config"]
    try:
        return TrialConfig.model_validate(config).recipe_hash()
    except (ValidationError, VeerError):
        return _text({key: value for key, value in config.items() if key != SEED_KEY})


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBehind:
    """How far one run's best is behind the first run's, percentage points of VEER.

    Attributes:
        behind_pct: Its VEER minus the first run's; below 0 it is ahead.
        low_pct: Lower end of the 95 % interval; None where the list's speakers are too few.
        high_pct: Its upper end.
        is_tied: Whether the interval has 0 in it, None without one.
    """

    behind_pct: float
    low_pct: float | None
    high_pct: float | None
    is_tied: bool | None


def bests_behind(views: Sequence[RunView]) -> tuple[BestBehind | None, ...]:
    """Of each run but the first; None where scores on one and the same list were not kept."""
    first, *others = views
    return tuple(_behind(other, first) for other in others)


def _behind(one: RunView, first: RunView) -> BestBehind | None:
    if one.best is None or first.best is None:
        return None
    told = one.kept.behind(one.best, first.best, scores_of_first=first.kept)
    if told is None:
        return None
    return BestBehind(
        behind_pct=told.behind_pct,
        low_pct=None if told.interval is None else told.interval.low_pct,
        high_pct=None if told.interval is None else told.interval.high_pct,
        is_tied=told.is_tied,
    )
