"""Mixtures of kernels: what they draw has the density that they give."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from search.guided.kernels import Kernels
from search.guided.unit_space import UnitSpace
from spaces.dimensions import Choice, Float
from spaces.space import Space

SPACE = UnitSpace(
    Space(
        name="s",
        fixed={},
        dimensions=(
            Choice(name="kind", choices=("a", "b", "c")),
            Float(name="depth", low=0.0, high=1.0, when={"kind": "b"}),
            Float(name="lr", low=0.0, high=1.0),
        ),
    )
)
NAN = np.nan


def mixture(*centres, width=0.2, keep=0.7, weights=None):
    return Kernels(
        space=SPACE,
        centres=np.array(centres),
        widths=np.full((len(centres), 3), width),
        keep=np.full(len(centres), keep),
        weights=np.ones(len(centres)) if weights is None else np.array(weights, float),
    )


def test_density_is_that_of_a_cut_off_normal_and_of_the_choice():
    kernels = mixture([1.0, 0.9, 0.2])
    point = np.array([[1.0, 0.7, 0.25]])
    def normal(x, mean):
        return truncnorm.pdf(x, -mean / 0.2, (1 - mean) / 0.2, loc=mean, scale=0.2)

    expected = (0.7 + 0.3 / 3) * normal(0.7, 0.9) * normal(0.25, 0.2)
    assert np.exp(kernels.log_density(point)) == pytest.approx([expected])


def test_a_kernel_is_even_where_it_is_not_active():
    # Its own branch has no depth; a point of branch b has one.
    kernels = mixture([0.0, NAN, 0.5])
    points = np.array([[1.0, depth, 0.5] for depth in (0.01, 0.5, 0.99)])
    density = np.exp(kernels.log_density(points))
    assert density == pytest.approx([density[0]] * 3)
    everywhere = mixture([NAN, NAN, NAN])
    assert np.exp(everywhere.log_density(points)) == pytest.approx([1 / 3] * 3)


def test_density_adds_up_to_one_over_all_branches():
    kernels = mixture([1.0, 0.9, 0.2], [0.0, NAN, 0.6], [NAN, NAN, NAN], weights=[2, 1, 1])
    middles = (np.arange(100) + 0.5) / 100
    total = 0.0
    for kind, depths in ((0.0, [NAN]), (1.0, middles), (2.0, [NAN])):
        points = np.array([[kind, depth, lr] for depth in depths for lr in middles])
        total += np.exp(kernels.log_density(points)).sum() / len(points)
    assert total == pytest.approx(1.0, abs=1e-3)


def test_what_is_drawn_follows_the_density():
    kernels = mixture([1.0, 0.9, 0.2], [0.0, NAN, 0.6], weights=[3, 1])
    drawn = kernels.draw(np.random.default_rng(0), 20_000)
    assert all(("depth" in each) == (each["kind"] == "b") for each in drawn)
    edges = np.linspace(0, 1, 6)
    middles = (np.arange(200) + 0.5) / 200
    for kind, depths in ((0.0, [NAN]), (1.0, middles), (2.0, [NAN])):
        of_kind = [each["lr"] for each in drawn if each["kind"] == "abc"[int(kind)]]
        points = np.array([[kind, depth, lr] for lr in middles for depth in depths])
        density = np.exp(kernels.log_density(points)).reshape(200, -1).mean(axis=1)
        expected = density.reshape(5, 40).mean(axis=1) / 5
        counted = np.histogram(of_kind, edges)[0] / len(drawn)
        assert counted == pytest.approx(expected, abs=0.012)


def test_a_density_far_from_every_kernel_is_finite():
    kernels = mixture([0.0, NAN, 0.0], width=0.01)
    assert np.isfinite(kernels.log_density(np.array([[2.0, NAN, 1.0]]))).all()
