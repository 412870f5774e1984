"""What any config of a space would do, by the curves of earlier runs.

The coefficients of the curves (`curve_fit`) are turned so that they are independent of each other;
each is then regressed on the config (`config_regression`), and so are the seconds of an epoch.
Shapes: N trials, K coefficients of a curve, C components.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from search.students.config_points import ConfigPoints
from search.students.config_regression import ConfigRegression
from search.students.curve_fit import CurveFit, fit_curves
from search.students.recorded_curve import Floats, RecordedCurve
from spaces.files.errors import RunError
from spaces.space import Space

# Fewer configs, or fewer that were trained to the end, are refused.
MIN_CONFIGS, MIN_COMPLETE = 10, 5
# More curves are thinned out: the time of a fit grows with the cube of their number.
MOST_CURVES = 400
# Curves with this part of the longest one's epochs count as trained to the end.
COMPLETE_SHARE = 0.9
# Components that explain less than this part of the differences between curves are left out.
LEAST_SHARE = 0.01
# Longer trials than this many times the longest recorded one are refused.
MOST_LONGER = 2.0
Z_95 = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuality:
    """From what the model was made, and how good it is.

    Attributes:
        num_curves: Curves that it was fitted to.
        num_configs: Different configs among them.
        num_complete: Curves of trials that were trained to the end.
        num_diverged: Trials that diverged, beside the curves.
        longest: Epochs of the longest curve.
        rank_correlation: Spearman's, of the last VEER of configs trained to the end with what
            was predicted for them from the others.
        low: Lower end of its 95 % interval.
        high: Upper end.
        error_pct: Median difference of these, percentage points.
        epoch_noise_pct: Standard deviation of the noise of an epoch at the median last VEER.
        seed_noise_pct: Standard deviation between runs of one config, at the median last VEER.
        num_repeated: Configs that were run with several seeds.
    """

    num_curves: int
    num_configs: int
    num_complete: int
    num_diverged: int
    longest: int
    rank_correlation: float
    low: float
    high: float
    error_pct: float
    epoch_noise_pct: float
    seed_noise_pct: float
    num_repeated: int


class StudentModel:
    """A model of the students of a space.

    Args:
        curves: The curves of earlier runs.
        space: The space.

    Attributes:
        fit: The curves.
        points: The features of a config.
        parts: The regression of each component.
        times: The regression of the logarithm of the seconds of an epoch.
        to_coef_CK: Turns components into coefficients.
        setup_s: Median seconds for which a trial has its worker beside its epochs.
        diverged: Features of the diverged trials' configs, and the epoch of each.

    Raises:
        RunError: There are too few curves.
    """

    def __init__(self, curves: Sequence[RecordedCurve], space: Space) -> None:
        diverging = [each for each in curves if each.diverged is not None]
        curves = _thinned([each for each in curves if each.diverged is None])
        _require_enough(curves)
        self.points = ConfigPoints(space)
        self.fit: CurveFit = fit_curves(curves)
        self._curves = curves
        self.known_ND = self.points.features([each.params for each in curves])
        self.diverged = (
            self.points.features([each.params for each in diverging]),
            [each.diverged or 1 for each in diverging],
        )
        to_part_KC, self.to_coef_CK = _turned(self.fit.cov_KK)
        part_NC = (self.fit.coef_NK - self.fit.mean_K) @ to_part_KC
        error_NC = np.einsum("kc,nkl,lc->nc", to_part_KC, self.fit.error_NKK, to_part_KC)
        self.parts = [
            ConfigRegression(self.known_ND, part_NC[:, c], error_NC[:, c])
            for c in range(part_NC.shape[1])
        ]
        self.times = self._time_regression()
        setups = [each.setup_s for each in curves if each.setup_s is not None]
        self.setup_s = float(np.median(setups)) if setups else 0.0

    @property
    def longest(self) -> int:
        """Epochs of the longest curve."""
        return max(each.num_epochs for each in self._curves)

    def coefficients(self, part_NC: Floats) -> Floats:
        """Return the coefficients of curves, (N, K), from their components."""
        return np.asarray(self.fit.mean_K + part_NC @ self.to_coef_CK)

    def quality(self) -> ModelQuality:
        """Return how good the model is."""
        recipes = [each.recipe for each in self._curves]
        longest = self.longest
        is_complete = np.array([_is_complete(each, longest) for each in self._curves])
        left_out = np.stack([each.left_out(recipes) for each in self.parts], axis=1)
        predicted = self._last_pct(self.coefficients(left_out))[is_complete]
        seen = self._last_pct(self.fit.coef_NK)[is_complete]
        found = spearmanr(predicted, seen).statistic if np.ptp(predicted) else 0.0
        rho = 0.0 if math.isnan(found) else float(found)
        low, high = _interval(rho, int(is_complete.sum()))
        typical_pct = float(np.median(seen))
        shapes = self.fit.shapes(longest)[-1]
        to_last = self.to_coef_CK[:, : len(shapes)] @ shapes
        own_sd = [each.noise_sd for each in self.parts]
        seed_sd = float(np.linalg.norm(own_sd * to_last))
        return ModelQuality(
            num_curves=len(self._curves),
            num_configs=len(set(recipes)),
            num_complete=int(is_complete.sum()),
            num_diverged=len(self.diverged[1]),
            longest=longest,
            rank_correlation=rho,
            low=low,
            high=high,
            error_pct=float(np.median(np.abs(predicted - seen))),
            epoch_noise_pct=typical_pct * float(self.fit.noise_FF[0, 0]) ** 0.5,
            seed_noise_pct=typical_pct * seed_sd,
            num_repeated=sum(recipes.count(each) > 1 for each in set(recipes)),
        )

    def _last_pct(self, coef_NK: Floats) -> Floats:
        last = [self.fit.log_pct(each, self.longest)[0, -1] for each in coef_NK]
        return np.asarray(np.exp(last))

    def _time_regression(self) -> ConfigRegression | None:
        timed = [n for n, each in enumerate(self._curves) if each.epoch_s is not None]
        if len(timed) < MIN_CONFIGS:
            return None
        log_s = np.log([self._curves[n].epoch_s or 1.0 for n in timed])
        return ConfigRegression(self.known_ND[timed], log_s, np.zeros(len(timed)))


def _thinned(curves: Sequence[RecordedCurve]) -> list[RecordedCurve]:
    step = -(-len(curves) // MOST_CURVES) or 1
    return list(curves[::step])


def _is_complete(curve: RecordedCurve, longest: int) -> bool:
    return curve.num_epochs >= COMPLETE_SHARE * longest


def _require_enough(curves: Sequence[RecordedCurve]) -> None:
    configs = len({each.recipe for each in curves})
    if configs < MIN_CONFIGS:
        raise RunError(
            f"at least {MIN_CONFIGS} different configs with a VEER are needed to predict others, "
            f"got {configs}; give more runs, or run more trials"
        )
    longest = max(each.num_epochs for each in curves)
    complete = sum(_is_complete(each, longest) for each in curves)
    if complete < MIN_COMPLETE:
        raise RunError(
            f"at least {MIN_COMPLETE} trials must have run to the end (of {longest} epochs), got "
            f"{complete}; give more runs, or resume one with --control {MIN_COMPLETE - complete}"
        )


def _turned(cov_KK: Floats) -> tuple[Floats, Floats]:
    """Return matrices that turn coefficients into independent components, and back."""
    share, axes = np.linalg.eigh(cov_KK)
    kept = share >= LEAST_SHARE * share.sum()
    return axes[:, kept], axes[:, kept].T


def _interval(rho: float, num: int) -> tuple[float, float]:
    """Return the 95 % interval of a rank correlation, by Fisher's transformation."""
    if num <= 3:
        return -1.0, 1.0
    middle, half = math.atanh(min(max(rho, -0.999), 0.999)), Z_95 * 1.03 / math.sqrt(num - 3)
    return math.tanh(middle - half), math.tanh(middle + half)
