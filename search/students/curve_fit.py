"""Smooth curves through noisy and partly short ones: a linear mixed model, fitted by EM.

The curve of a trial is the logarithm of its figures, log VEER and log EER from d', each a mixture
of a constant and two falls of different speed, (1 + epoch / c) ** -1. Its coefficients are drawn
from one normal distribution of all trials. So the curve of a stopped trial is continued as those
of the trials that resemble it so far (Laird and Ware, Random-effects models for longitudinal data,
Biometrics 1982).

Shapes: N trials, E epochs, F figures (1 without d', else 2), B = 3 shapes, K = F * B coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.students.recorded_curve import Floats, RecordedCurve

NUM_SHAPES = 3
FAST_EPOCHS = 1.0
# The slow fall has this share of the longest curve as its constant.
SLOW_SHARE = 1 / 3
NUM_ROUNDS = 60
# Least standard deviation of noise and of coefficients, in logarithms: keeps matrices regular.
LEAST_SD = 1e-3
# More noise than this part from one epoch to the next is not carried over.
MOST_CARRIED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveFit:
    """The coefficients of all trials, and the noise around their curves.

    Attributes:
        slow_epochs: Time constant of the slow fall.
        num_figures: 2 with d', else 1.
        mean_K: Mean coefficients of a trial.
        cov_KK: Their covariance between trials.
        coef_NK: Expected coefficients of each trial.
        error_NKK: Covariance of what is not known of them.
        noise_FF: Covariance of the noise of an epoch, in logarithms.
        carried: Correlation of the noise of two epochs in succession.
    """

    slow_epochs: float
    num_figures: int
    mean_K: Floats
    cov_KK: Floats
    coef_NK: Floats
    error_NKK: Floats
    noise_FF: Floats
    carried: float

    def shapes(self, num_epochs: int) -> Floats:
        """Return the shapes of a curve after epochs 1 to `num_epochs`, (E, B)."""
        return curve_shapes(num_epochs, self.slow_epochs)

    def log_pct(self, coef_K: Floats, num_epochs: int) -> Floats:
        """Return the logarithm of each figure after each epoch, (F, E)."""
        by_figure = coef_K.reshape(self.num_figures, NUM_SHAPES)
        return np.asarray(by_figure @ self.shapes(num_epochs).T)


def curve_shapes(num_epochs: int, slow_epochs: float) -> Floats:
    """Return the constant, the fast and the slow fall after each epoch, (E, B)."""
    epoch = np.arange(1, num_epochs + 1)
    return np.stack(
        [np.ones(num_epochs), 1 / (1 + epoch / FAST_EPOCHS), 1 / (1 + epoch / slow_epochs)], axis=1
    )


def fit_curves(curves: Sequence[RecordedCurve]) -> CurveFit:
    """Fit all curves together.

    Args:
        curves: At least two, each with a VEER.
    """
    longest = max(curve.num_epochs for curve in curves)
    slow_epochs = max(2 * FAST_EPOCHS, SLOW_SHARE * longest)
    has_dprime = any(np.isfinite(curve.dprime_pct).any() for curve in curves)
    num_figures = 2 if has_dprime else 1
    data = [_TrialData.of(curve, slow_epochs, num_figures) for curve in curves]
    state = _start(data, num_figures)
    for _ in range(NUM_ROUNDS):
        state = _round(data, state)
    mean_K, cov_KK, var_F = state
    posteriors = [each.posterior(mean_K, cov_KK, var_F) for each in data]
    noise_FF, carried = _noise(data, posteriors, var_F)
    return CurveFit(
        slow_epochs=slow_epochs,
        num_figures=num_figures,
        mean_K=mean_K,
        cov_KK=cov_KK,
        coef_NK=np.stack([mean for mean, _ in posteriors]),
        error_NKK=np.stack([error for _, error in posteriors]),
        noise_FF=noise_FF,
        carried=carried,
    )


_State = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class _TrialData:
    """The values of one trial that are known: (M,) values, (M, K) design, (M,) figure, epoch."""

    value: Floats
    design: Floats
    figure: Floats
    epoch: Floats

    @classmethod
    def of(cls, curve: RecordedCurve, slow_epochs: float, num_figures: int) -> "_TrialData":
        shapes = curve_shapes(curve.num_epochs, slow_epochs)
        rows, values, figures, epochs = [], [], [], []
        for figure, pct in enumerate((curve.veer_pct, curve.dprime_pct)[:num_figures]):
            for epoch in np.flatnonzero(np.isfinite(pct)):
                row = np.zeros(num_figures * NUM_SHAPES)
                row[figure * NUM_SHAPES : (figure + 1) * NUM_SHAPES] = shapes[epoch]
                rows.append(row)
                values.append(np.log(max(pct[epoch], 1e-3)))
                figures.append(figure)
                epochs.append(epoch)
        return cls(np.array(values), np.array(rows), np.array(figures), np.array(epochs))

    def posterior(self, mean_K: Floats, cov_KK: Floats, var_F: Floats) -> tuple[Floats, Floats]:
        """Return mean and covariance of the coefficients, given the values."""
        weighted = self.design / var_F[self.figure.astype(int)][:, None]
        precision = np.linalg.inv(cov_KK)
        error = np.linalg.inv(precision + weighted.T @ self.design)
        return error @ (precision @ mean_K + weighted.T @ self.value), error


def _start(data: Sequence[_TrialData], num_figures: int) -> _State:
    num = num_figures * NUM_SHAPES
    values = np.concatenate([each.value for each in data])
    design = np.concatenate([each.design for each in data])
    mean_K = np.linalg.solve(design.T @ design + 1e-3 * np.eye(num), design.T @ values)
    return mean_K, np.eye(num), np.full(num_figures, 0.1**2)


def _round(data: Sequence[_TrialData], state: _State) -> _State:
    mean_K, cov_KK, var_F = state
    posteriors = [each.posterior(mean_K, cov_KK, var_F) for each in data]
    means = np.stack([mean for mean, _ in posteriors])
    off = means - means.mean(axis=0)
    cov_KK = off.T @ off / len(data) + np.mean([error for _, error in posteriors], axis=0)
    new_var_F = np.zeros(len(var_F))
    for figure in range(len(var_F)):
        squares, num = 0.0, 0
        for each, (mean, error) in zip(data, posteriors, strict=True):
            own = each.figure == figure
            left = each.value[own] - each.design[own] @ mean
            spread = np.einsum("mk,kl,ml->m", each.design[own], error, each.design[own])
            squares, num = squares + float((left**2 + spread).sum()), num + int(own.sum())
        new_var_F[figure] = max(squares / max(num, 1), LEAST_SD**2)
    return means.mean(axis=0), cov_KK + LEAST_SD**2 * np.eye(len(mean_K)), new_var_F


def _noise(
    data: Sequence[_TrialData], posteriors: Sequence[tuple[Floats, Floats]], var_F: Floats
) -> tuple[Floats, float]:
    """Return the covariance of the noise between figures, and how much is carried over.

    Second differences show the noise that is new in each epoch: of independent noise their
    variance is 6 times its own, of noise with correlation r between epochs 6 - 8 r + 2 r ** 2
    times.
    """
    pairs, second = [], []
    for each, (mean, _) in zip(data, posteriors, strict=True):
        left = each.value - each.design @ mean
        own = each.figure == 0
        second += _second_differences(left[own], each.epoch[own])
        if len(var_F) == 2 and np.array_equal(each.epoch[own], each.epoch[~own]):
            pairs.append(np.stack([left[own], left[~own]]))
    ratio = float(np.mean(np.square(second))) / var_F[0] if second else 6.0
    carried = float(np.clip(2 - np.sqrt(1 + ratio / 2), 0.0, MOST_CARRIED))
    noise_FF = np.diag(var_F)
    if pairs:
        together = np.concatenate(pairs, axis=1)
        scale = np.sqrt(np.maximum((together**2).mean(axis=1), LEAST_SD**4))
        shared = float((together[0] * together[1]).mean() / scale.prod())
        noise_FF[0, 1] = noise_FF[1, 0] = 0.99 * shared * np.sqrt(var_F.prod())
    return noise_FF, carried


def _second_differences(left: Floats, epoch: Floats) -> list[float]:
    return [
        float(left[k] - 2 * left[k + 1] + left[k + 2])
        for k in range(len(left) - 2)
        if epoch[k + 2] - epoch[k] == 2
    ]
