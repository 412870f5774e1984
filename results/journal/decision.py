"""The figure by which a search compares trials: a number in percent of an epoch, lower is better.

Rungs, the sampler, the best so far and the choice of finalists stand on it. Tables, intervals and
the means of repeats give the VEER, whatever the figure is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType
from typing import Any, Literal

from spaces.files.errors import RunError

DecisionKind = Literal["veer", "mean_of_last_k", "dprime", "blend"]
# Runs that were recorded before the setting existed compared trials by VEER.
BY_VEER: DecisionKind = "veer"
# Epochs of `mean_of_last_k`.
NUM_AVERAGED = 3
FIGURE_NAMES: Mapping[DecisionKind, str] = MappingProxyType(
    {
        "veer": "VEER",
        "mean_of_last_k": f"mean VEER of {NUM_AVERAGED} epochs",
        "dprime": "EER from d'",
        "blend": "mean of VEER and EER from d'",
    }
)
# Figures that need the d' of an epoch.
NEED_DPRIME: frozenset[DecisionKind] = frozenset({"dprime", "blend"})


def decision_pct(kind: DecisionKind, veer_pct: Sequence[float], dprime: float | None) -> float:
    """Return the figure of a trial's last epoch, percent.

    Args:
        kind: The figure. Where it needs a d' and there is none, it is the VEER.
        veer_pct: VEER of the trial's epochs so far, percent, finite; at least one.
        dprime: The d' of the last epoch; None where it is not known.
    """
    last = veer_pct[-1]
    if kind == "mean_of_last_k":
        return fmean(veer_pct[-NUM_AVERAGED:])
    if kind not in NEED_DPRIME or dprime is None or not math.isfinite(dprime):
        return last
    own = eer_of_dprime(dprime)
    return own if kind == "dprime" else (last + own) / 2


def eer_of_dprime(dprime: float) -> float:
    """Return the EER in percent of two normal distributions of scores of equal variance.

    It falls with d'; 50 is chance. Source: Green and Swets, Signal detection theory and
    psychophysics, 1966.
    """
    return 50 * math.erfc(dprime / math.sqrt(8))


def decisions(
    kind: DecisionKind, epochs: Iterable[tuple[int, float | None, float | None]]
) -> dict[int, float]:
    """Return the figure of every epoch of a trial that has a VEER, percent.

    Args:
        kind: The figure.
        epochs: Epoch, VEER in percent and d', by ascending epoch.
    """
    found: dict[int, float] = {}
    veers: list[float] = []
    for epoch, veer_pct, dprime in epochs:
        if veer_pct is not None:
            veers.append(veer_pct)
            found[epoch] = decision_pct(kind, veers, dprime)
    return found


def decision_kind(settings: Mapping[str, Any]) -> DecisionKind:
    """Return the figure of a search by its settings, as the journal has them.

    Raises:
        RunError: It is none of the figures.
    """
    value = settings.get("decide_by", BY_VEER)
    for kind in FIGURE_NAMES:
        if kind == value:
            return kind
    raise RunError(
        f"the journal's decide_by must be one of {', '.join(FIGURE_NAMES)}, got {value!r}; "
        "restore the run folder from a copy"
    )
