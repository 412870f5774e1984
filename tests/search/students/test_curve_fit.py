import numpy as np
import pytest

from search.students.curve_fit import curve_shapes, fit_curves
from search.students.recorded_curve import RecordedCurve

SLOW = 3.0


def drawn(num, noise, carried=0.0, epochs=9, seed=0):
    """Curves of the model itself, with their coefficients."""
    rng = np.random.default_rng(seed)
    shapes, found, coefs = curve_shapes(epochs, SLOW), [], []
    for _ in range(num):
        coef = np.array([2.0, 0.8, 0.9]) + np.array([0.2, 0.1, 0.2]) * rng.normal(size=3)
        left = rng.normal(size=epochs)
        for k in range(1, epochs):
            left[k] = carried * left[k - 1] + np.sqrt(1 - carried**2) * left[k]
        found.append(curve(np.exp(shapes @ coef + noise * left)))
        coefs.append(coef)
    return found, np.array(coefs)


def curve(veer_pct):
    unknown = np.full(len(veer_pct), np.nan)
    return RecordedCurve(params={}, recipe=str(veer_pct[0]), veer_pct=np.asarray(veer_pct),
                         dprime_pct=unknown, epoch_s=1.0, setup_s=None)  # fmt: skip


@pytest.mark.parametrize("noise", [0.02, 0.06])
def test_the_noise_of_an_epoch_is_found(noise):
    fit = fit_curves(drawn(60, noise)[0])
    assert fit.num_figures == 1
    assert fit.noise_FF[0, 0] ** 0.5 == pytest.approx(noise, rel=0.15)
    assert fit.carried < 0.2


def test_noise_that_is_carried_over_is_told_from_noise_that_is_not():
    alone, carried = (fit_curves(drawn(80, 0.05, r, epochs=27)[0]).carried for r in (0.0, 0.6))
    assert alone < 0.1
    assert 0.3 < carried < 0.8


def test_a_stopped_curve_is_continued_as_those_that_resemble_it():
    curves, coefs = drawn(40, 0.01)
    end = np.exp(curve_shapes(9, SLOW) @ coefs.T)[-1]
    cut = [each if n >= 20 else curve(each.veer_pct[:4]) for n, each in enumerate(curves)]
    fit = fit_curves(cut)
    found = np.exp([fit.log_pct(each, 9)[0, -1] for each in fit.coef_NK])
    error = np.abs(np.log(found / end))[:20]
    guess = np.abs(np.log(np.exp(np.log(end[20:]).mean()) / end))[:20]
    assert error.mean() < 0.3 * guess.mean()
    # What is not known of a short curve is more than of a whole one.
    spread = fit.error_NKK[:, 0, 0]
    assert spread[:20].mean() > 1.5 * spread[20:].mean()


def test_both_figures_are_fitted_together():
    curves, _ = drawn(30, 0.03)
    both = [
        RecordedCurve(params={}, recipe=each.recipe, veer_pct=each.veer_pct,
                      dprime_pct=0.9 * each.veer_pct, epoch_s=1.0, setup_s=None)
        for each in curves
    ]  # fmt: skip
    fit = fit_curves(both)
    assert fit.num_figures == 2
    last = fit.log_pct(fit.coef_NK[0], 9)
    assert np.exp(last[1] - last[0]) == pytest.approx(np.full(9, 0.9), rel=0.01)
    scale = np.sqrt(fit.noise_FF[0, 0] * fit.noise_FF[1, 1])
    assert fit.noise_FF[0, 1] / scale == pytest.approx(0.99, abs=0.02)
