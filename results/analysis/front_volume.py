"""The volume that the front of a run dominates, over its epochs."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from results.analysis.nondominated import Point, hypervolume
from results.journal.goals import Goal, cost_values
from results.journal.history import TrialHistory
from results.records.record import Record
from results.records.trial_records import EpochEnded

CHANCE_PCT = 50.0
# More would take long in a run of many epochs, and no chart shows them.
MOST_PLACES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontVolume:
    """The volume over epochs.

    Attributes:
        reference: The end of the volume: a VEER of chance, and of each cost the highest of all
            trials, by goal. It is the same for all epochs of a run, but not for other runs.
        epochs: Epochs of the search's own trials so far, ascending.
        shares: The volume after each, as a share of the box from 0 to the reference.
    """

    reference: dict[str, float]
    epochs: tuple[int, ...]
    shares: tuple[float, ...]


def front_volume(
    trials: Iterable[TrialHistory], records: Iterable[Record], goals: Iterable[Goal]
) -> FrontVolume | None:
    """Return the volume over epochs; None in a search with one goal, and before an epoch.

    Failed and diverged trials count with the epochs that they had, as they were then.

    Args:
        trials: The search's own trials.
        records: All records of the journal.
        goals: The goals of the search.
    """
    costs = {trial.trial: trial.costs for trial in trials if trial.costs}
    own = [r for r in records if isinstance(r, EpochEnded) and r.trial in costs]
    if not own:
        return None
    # In the order of `cost_values`, that of the names.
    names = sorted(goal for goal in goals if goal in next(iter(costs.values())))
    highest: dict[str, float] = {n: max(each[n] for each in costs.values()) for n in names}
    reference: Point = (CHANCE_PCT, *highest.values())
    places = {*np.linspace(1, len(own), min(MOST_PLACES, len(own))).astype(int).tolist()}
    best: dict[int, float] = {}
    epochs, shares = [], []
    for number, record in enumerate(own, start=1):
        if record.veer_pct is not None:
            best[record.trial] = min(best.get(record.trial, CHANCE_PCT), record.veer_pct)
        if number in places:
            points = [(pct, *cost_values(costs[trial])) for trial, pct in best.items()]
            epochs.append(number)
            shares.append(hypervolume(points, reference) / float(np.prod(reference)))
    return FrontVolume(
        reference={"veer": CHANCE_PCT, **highest}, epochs=tuple(epochs), shares=tuple(shares)
    )
