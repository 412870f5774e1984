"""The learning curves of earlier runs, as the student model is fitted to them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from results.analysis.run_view import RunView
from results.journal.decision import eer_of_dprime
from results.journal.history import CONTROL, RUNNING, TrialHistory
from results.records.search_records import CorpusRecord
from spaces.dimensions import Value
from spaces.files.errors import RunError, VeerError
from spaces.fitting import fit_config
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecordedCurve:
    """The curve of one trial of an earlier run.

    Attributes:
        params: Sampled values by dotted name, of the space that is simulated.
        recipe: The config without its seed: equal for runs that differ only in their seed.
        veer_pct: (E,) VEER by epoch, percent; NaN where it was not evaluated.
        dprime_pct: (E,) the EER from d', percent; NaN where it is not known.
        epoch_s: Median seconds of an epoch; None where no epoch has a time.
        setup_s: Seconds for which the trial had its worker beside its epochs; None if unknown.
        diverged: The epoch at which it diverged, None where it did not; E is the epochs before.
    """

    params: Mapping[str, Value]
    recipe: str
    veer_pct: Floats
    dprime_pct: Floats
    epoch_s: float | None
    setup_s: float | None
    diverged: int | None = None

    @property
    def num_epochs(self) -> int:
        """Number of epochs with a VEER or without, up to the last one with a VEER."""
        return len(self.veer_pct)


def recorded_curves(views: Sequence[RunView], space: Space) -> list[RecordedCurve]:
    """Return the curves of all trials of several runs whose configs fit the space.

    A control is the longer run of the trial that it follows, and takes its place.

    Raises:
        RunError: The runs have different validation lists, so their VEERs cannot be compared.
    """
    _require_one_list(views)
    found = []
    for view in views:
        continued = {trial.follows for trial in view.histories if trial.follow_up == CONTROL}
        for trial in view.histories:
            if trial.trial not in continued and (curve := _curve(view, trial, space)):
                found.append(curve)
    return found


def _require_one_list(views: Sequence[RunView]) -> None:
    first: tuple[str, object] | None = None
    for view in views:
        corpus = view.latest(CorpusRecord)
        if corpus is None:
            continue
        own = (str(view.folder.path), corpus.lists.get("val"))
        first = first or own
        if first[1] != own[1]:
            raise RunError(
                f"all runs must have one validation list, as VEERs of different lists cannot be "
                f"compared, got those of {first[0]} and {own[0]}; leave one of them out"
            )


def _curve(view: RunView, trial: TrialHistory, space: Space) -> RecordedCurve | None:
    """Return the curve of a trial; None of a failed one, without an epoch, or not in the space."""
    if trial.state in {"failed", RUNNING} or not trial.epochs:
        return None
    params = _params(trial, space)
    measured = trial.measured
    if params is None or (not measured and trial.state != "diverged"):
        return None
    last = max(measured, default=0)
    epochs = [trial.epochs.get(epoch) for epoch in range(1, last + 1)]
    times_s = [each.duration_s for each in trial.in_order if each.duration_s > 0]
    core_h, cpus = view.costs[trial.trial].core_hours, _cpus(view)
    setup_s = None
    if core_h is not None and cpus and times_s:
        setup_s = max(0.0, 3600 * core_h / cpus - sum(times_s))
    return RecordedCurve(
        params=params,
        recipe=trial.recipe,
        veer_pct=_column(None if each is None else each.veer_pct for each in epochs),
        dprime_pct=_column(
            None if each is None or each.dprime is None else eer_of_dprime(each.dprime)
            for each in epochs
        ),
        epoch_s=median(times_s) if times_s else None,
        setup_s=setup_s,
        diverged=max(trial.epochs) if trial.state == "diverged" else None,
    )


def _column(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=float)


def _cpus(view: RunView) -> float | None:
    cpus = (view.settings.get("resources") or {}).get("cpu")
    return float(cpus) if isinstance(cpus, int | float) else None


def _params(trial: TrialHistory, space: Space) -> Mapping[str, Value] | None:
    own = trial.params
    by_name = {each.name: each for each in space.dimensions}
    if all(name in by_name and by_name[name].contains(value) for name, value in own.items()):
        missing = [each for each in space.dimensions if each.name not in own and not each.when]
        if not missing:
            return own
    try:
        config = TrialConfig.model_validate(trial.started.config)
    except (ValueError, VeerError):
        return None
    return fit_config(space, config.model_dump(mode="json"), TrialConfig).params
