"""Hyperband's brackets, each an asynchronous successive halving with grace epochs of its own.

With reduction factor f and R epochs there are brackets s = 0 to floor(log_f R). Bracket s begins
at R / f^s epochs and has n_s = ceil((S + 1) / (s + 1) * f^s) trials of a round. Trials are
given to brackets in these shares, in an order that is drawn once.
Source: Li et al., Hyperband, JMLR 2018 (arXiv:1603.06560), with the rungs of ASHA.
"""

import math

import numpy as np

from results.analysis.nondominated import Point
from results.analysis.rungs import asha_rungs
from results.journal.journal import Journal
from search.config.search_config import SearchConfig
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving, Verdict
from search.loop.setup import make_coordinator
from spaces.space import Space


class Brackets(SuccessiveHalving):
    """Early stopping in the brackets of Hyperband.

    Args:
        factor: The reduction factor.
        max_epochs: Epochs of a trial that is not stopped.
        seed: Of the order in which trials are given to brackets.
    """

    def __init__(self, factor: int, max_epochs: int, seed: int) -> None:
        super().__init__((), factor)
        shares = trials_of_brackets(factor, max_epochs)
        # The last bracket has one rung at the end, at which nothing is left to stop.
        self._brackets = [
            SuccessiveHalving(asha_rungs(grace, factor, max_epochs), factor) for grace in shares
        ]
        order = np.repeat(np.arange(len(shares)), list(shares.values()))
        self._order = np.random.default_rng(seed).permutation(order)

    def decide(self, trial: int, epoch: int, figure_pct: float, costs: Point = ()) -> Verdict:
        bracket = int(self._order[trial % len(self._order)])
        return self._brackets[bracket].decide(trial, epoch, figure_pct, costs)


def trials_of_brackets(factor: int, max_epochs: int) -> dict[int, int]:
    """Return the trials of a round by the grace epochs of their bracket, the lowest first."""
    most = 0
    while factor ** (most + 1) <= max_epochs:
        most += 1
    return {
        max(1, max_epochs // factor**each): math.ceil((most + 1) / (each + 1) * factor**each)
        for each in range(most, -1, -1)
    }


def with_brackets(
    settings: SearchConfig, space: Space, journal: Journal, **options: object
) -> Coordinator:
    """Return a coordinator with brackets in place of its early stopping."""
    factor = round(settings.scheduler.reduction_factor)
    brackets = Brackets(factor, settings.max_epochs, settings.seed)
    return make_coordinator(settings, space, journal, early_stopping=brackets, **options)
