"""Regression of one number on a config, from which whole functions can be drawn.

A Gaussian process with a length scale for each feature. `draw` returns one function that the data
allow (Wilson et al., Efficiently sampling functions from Gaussian process posteriors, ICML 2020):
a random function of the prior, plus what corrects it at the known configs. So two configs near
each other get similar numbers in one drawn function, and a search can learn from it.

Shapes: N known configs, M new ones, D features, R random waves.
"""

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from search.students.recorded_curve import Floats

NUM_WAVES = 400
# The kernel is a Matern kernel of this order; its spectrum is a Student t with twice as many
# degrees of freedom.
SMOOTHNESS = 2.5
START_LENGTH, LENGTHS = 1.0, (0.2, 20.0)
# In parts of the variance. A few configs, none of them run twice, may look free of noise; real
# students never were: 0.07 over 73 configs, 19 of them with two seeds.
START_NOISE, NOISES = 0.3, (0.03, 2.0)
SIGNALS = (1e-3, 10.0)

Drawn = Callable[[Floats], Floats]


class ConfigRegression:
    """A number for each config, with what is not known of it.

    Args:
        points_ND: Features of the known configs.
        value_N: Their numbers.
        variance_N: Variance of what is not known of each number.
    """

    def __init__(self, points_ND: Floats, value_N: Floats, variance_N: Floats) -> None:
        self._points_ND = points_ND
        self._mean, self._scale = float(value_N.mean()), float(value_N.std()) or 1.0
        self._target_N = (value_N - self._mean) / self._scale
        own_N = variance_N / self._scale**2
        lengths = np.full(max(points_ND.shape[1], 1), START_LENGTH)
        kernel = ConstantKernel(1.0, SIGNALS) * Matern(lengths, LENGTHS, nu=SMOOTHNESS)
        model = GaussianProcessRegressor(
            kernel + WhiteKernel(START_NOISE, NOISES),
            alpha=own_N + 1e-8,
        )
        with warnings.catch_warnings():
            # A length at its bound is a feature without an effect.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self._features(points_ND), self._target_N)
        product, white = model.kernel_.k1, model.kernel_.k2
        self._signal = float(product.k1.constant_value)
        self._lengths = np.broadcast_to(product.k2.length_scale, lengths.shape)
        self._white = float(white.noise_level)
        self._own_N = own_N + 1e-8
        covariance = product(self._features(points_ND)) + np.diag(self._own_N + self._white)
        self._inverse_NN = np.linalg.inv(covariance)

    @property
    def noise_sd(self) -> float:
        """Standard deviation between runs of one config, of the number itself."""
        return self._scale * math.sqrt(self._white)

    def left_out(self, groups: Sequence[object]) -> Floats:
        """Return what is predicted for each known config from all others, (N,).

        Args:
            groups: A key for each known config; those with the same key are left out together.
        """
        found = np.zeros(len(self._target_N))
        weights = self._inverse_NN @ self._target_N
        keys = np.array([groups.index(each) for each in groups])
        for key in np.unique(keys):
            own = np.flatnonzero(keys == key)
            block = self._inverse_NN[np.ix_(own, own)]
            found[own] = self._target_N[own] - np.linalg.solve(block, weights[own])
        return self._mean + self._scale * found

    def draw(self, rng: np.random.Generator) -> Drawn:
        """Return a function that the data allow: features (M, D) to numbers (M,)."""
        freedom = 2 * SMOOTHNESS
        waves_RD = rng.normal(size=(NUM_WAVES, len(self._lengths)))
        waves_RD /= np.sqrt(rng.chisquare(freedom, size=(NUM_WAVES, 1)) / freedom)
        waves_RD /= self._lengths
        phase_R = rng.uniform(0, 2 * np.pi, NUM_WAVES)
        weight_R = rng.normal(size=NUM_WAVES) * np.sqrt(2 * self._signal / NUM_WAVES)

        def prior(points: Floats) -> Floats:
            return np.asarray(np.cos(self._features(points) @ waves_RD.T + phase_R) @ weight_R)

        noise_N = rng.normal(size=len(self._own_N)) * np.sqrt(self._own_N + self._white)
        off_N = self._inverse_NN @ (self._target_N - prior(self._points_ND) - noise_N)
        known = self._features(self._points_ND) / self._lengths

        def drawn(points: Floats) -> Floats:
            # As scikit-learn's `Matern`, which takes ten times as long for one config.
            distance = np.sqrt(5) * cdist(self._features(points) / self._lengths, known)
            near = (1 + distance + distance**2 / 3) * np.exp(-distance)
            correction = self._signal * near @ off_N
            return np.asarray(self._mean + self._scale * (prior(points) + correction))

        return drawn

    @staticmethod
    def _features(points: Floats) -> Floats:
        # A space without a dimension has a feature too, the same for all configs.
        return points if points.shape[1] else np.zeros((len(points), 1))
