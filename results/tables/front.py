"""The front of a run as plain data, for front.json."""

from typing import Any

from results.analysis.front_volume import front_volume
from results.analysis.run_view import RunView, interval_of, once_a_view


@once_a_view
def front_summary(view: RunView) -> dict[str, Any] | None:
    """Return goals, front and volume over the epochs; None in a search with the one goal VEER.

    `front` is by ascending VEER: number of the trial, VEER in percent with its 95 % interval (null
    where it is not known), costs by goal. `volume` has the reference, and after `epochs` the share
    of the box from 0 to the reference that the trials so far dominate.
    """
    volume = front_volume(view.own, view.records, view.goals)
    if volume is None:
        return None
    return {
        "goals": list(view.goals),
        "front": [
            {
                "trial": trial.trial,
                "veer_pct": trial.best_veer_pct,
                "interval_pct": interval_of(trial),
                **trial.costs,
            }
            for trial in view.front
        ],
        "volume": {
            "reference": volume.reference,
            "epochs": list(volume.epochs),
            "shares": list(volume.shares),
        },
    }
