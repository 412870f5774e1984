"""Mixtures of kernels around configs: densities to draw from and to compare.

A kernel is a product over the dimensions: a normal distribution cut off at 0 and 1 for a number,
for a choice its own value with some probability, else any. In a dimension that is not active at
its centre a kernel is uniform. So one mixture covers all branches of a space with conditions, and
what the branches share is modelled once, together with what only some of them have.

Shapes: M points, N kernels, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from search.guided.unit_space import Points, UnitSpace
from spaces.conditions import Params

LOG_SQRT_TWO_PI = 0.5 * float(np.log(2 * np.pi))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """A mixture of kernels.

    Attributes:
        space: The space of the points.
        centres: The centres, (N, D); a row of NaN is the uniform distribution.
        widths: Standard deviations of the numbers, (N, D).
        keep: Probability with which a kernel's own choice is kept, from 0 to 1, (N,).
        weights: Weights of the kernels, above 0, of any sum, (N,).
    """

    space: UnitSpace
    centres: Points
    widths: Points
    keep: Points
    weights: Points

    def draw(self, rng: np.random.Generator, number: int) -> list[Params]:
        """Draw parameters from the mixture."""
        # All random numbers first: a draw does not depend on which dimensions are active.
        shares = self.weights / self.weights.sum()
        chosen = rng.choice(len(shares), size=number, p=shares)
        even = rng.random((number, *self.centres.shape[1:]))
        again = rng.random(even.shape)
        centres, widths, keep = self.centres[chosen], self.widths[chosen], self.keep[chosen]
        coordinates = _cut_off_normal(centres, widths, even)
        sizes = self.space.num_choices
        kept = (again < keep[:, None]) & ~np.isnan(centres)
        choices = np.where(kept, centres, np.floor(even * sizes))
        coordinates = np.where(sizes > 0, choices, coordinates)
        return [self.space.params(row.__getitem__) for row in coordinates]

    def log_density(self, points: Points) -> NDArray[np.float64]:
        """Return the logarithm of the density at each point, (M,); points are (M, D)."""
        numbers = self.space.num_choices == 0
        logs = self._of_numbers(points[:, numbers], numbers)
        logs += self._of_choices(points[:, ~numbers], ~numbers)
        shares = self.weights / self.weights.sum()
        return np.asarray(logsumexp(logs, axis=1, b=shares[None, :]))

    def _of_numbers(self, points: Points, which: NDArray[np.bool_]) -> Points:
        """Return the part of the numbers in the log density of each kernel, (M, N)."""
        centres, widths = self.centres[:, which], self.widths[:, which]
        inside = ndtr((1 - centres) / widths) - ndtr(-centres / widths)
        off = (points[:, None, :] - centres) / widths
        each = -0.5 * off**2 - np.log(widths * inside) - LOG_SQRT_TWO_PI
        # NaN where the point or the kernel is not active: the uniform density, 1.
        return np.asarray(np.nansum(each, axis=2))

    def _of_choices(self, points: Points, which: NDArray[np.bool_]) -> Points:
        """Return the part of the choices in the log density of each kernel, (M, N)."""
        centres, sizes = self.centres[:, which], self.space.num_choices[which]
        keep = np.where(np.isnan(centres), 0.0, self.keep[:, None])
        own = points[:, None, :] == centres
        each = np.log((1 - keep) / sizes + np.where(own, keep, 0.0))
        return np.asarray(np.where(np.isnan(points)[:, None, :], 0.0, each).sum(axis=2))


def _cut_off_normal(centres: Points, widths: Points, even: Points) -> Points:
    """Turn numbers from 0 to 1 into those of normal distributions cut off at 0 and 1."""
    low, high = ndtr(-centres / widths), ndtr((1 - centres) / widths)
    drawn = centres + widths * ndtri(low + even * (high - low))
    return np.asarray(np.where(np.isnan(centres), even, np.clip(drawn, 0.0, 1.0)))
