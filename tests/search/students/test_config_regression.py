import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from search.students.config_regression import ConfigRegression

RNG = np.random.default_rng(0)
POINTS = RNG.random((30, 2))
VALUES = np.sin(4 * POINTS[:, 0]) + 0.05 * RNG.normal(size=30)
NONE = np.zeros(30)


@pytest.fixture(scope="module")
def regression():
    return ConfigRegression(POINTS, VALUES, NONE)


def test_functions_are_drawn_as_scikit_learn_has_their_mean_and_spread(regression):
    own = regression
    kernel = ConstantKernel(own._signal) * Matern(own._lengths, nu=2.5)
    peer = GaussianProcessRegressor(kernel, alpha=own._white + 1e-8, optimizer=None)
    peer.fit(POINTS, own._target_N)
    new = np.random.default_rng(1).random((15, 2))
    mean, sd = peer.predict(new, return_std=True)
    rng = np.random.default_rng(2)
    drawn = np.stack([own.draw(rng)(new) for _ in range(300)])
    found = (drawn - own._mean) / own._scale
    assert found.mean(axis=0) == pytest.approx(mean, abs=0.06)
    assert found.std(axis=0) == pytest.approx(sd, rel=0.35, abs=0.02)


def test_what_is_left_out_is_predicted_as_by_a_fit_without_it(regression):
    own = regression
    groups = [str(n // 2) for n in range(30)]
    found = own.left_out(groups)
    kernel = ConstantKernel(own._signal) * Matern(own._lengths, nu=2.5)
    for first in (0, 14):
        kept = np.array([n not in (first, first + 1) for n in range(30)])
        peer = GaussianProcessRegressor(kernel, alpha=own._white + 1e-8, optimizer=None)
        peer.fit(POINTS[kept], own._target_N[kept])
        expected = own._mean + own._scale * peer.predict(POINTS[~kept])
        assert found[~kept] == pytest.approx(expected, abs=1e-6)


def test_noise_between_runs_of_one_config_is_found():
    rng = np.random.default_rng(3)
    points = np.repeat(rng.random((40, 1)), 2, axis=0)
    values = np.sin(4 * points[:, 0]) + 0.3 * rng.normal(size=80)
    assert ConfigRegression(points, values, np.zeros(80)).noise_sd == pytest.approx(0.3, rel=0.25)


def test_a_space_without_dimensions_and_equal_values_are_no_fault():
    found = ConfigRegression(np.zeros((12, 0)), np.full(12, 3.0), np.zeros(12))
    drawn = found.draw(np.random.default_rng(0))(np.zeros((2, 0)))
    assert drawn.shape == (2,)
    assert drawn[0] == drawn[1]
    assert np.isfinite(drawn).all()
