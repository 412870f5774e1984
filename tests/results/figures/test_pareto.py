"""The front holds what no other point beats."""

import numpy as np
import pytest

from results.figures.veer_by_cost import pareto_front


def brute_force(points: list[tuple[float, float]]) -> set[int]:
    """A point is off the front where another is no worse in both and better in one."""
    return {
        place
        for place, (x, y) in enumerate(points)
        if not any(a <= x and b <= y and (a < x or b < y) for a, b in points)
    }


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_that_of_comparing_every_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = [(float(x), float(y)) for x, y in rng.integers(0, 8, size=(25, 2))]
    front = pareto_front(points)
    assert set(front) == brute_force(points)
    assert len(set(front)) == len(front)
    costs = [points[place][0] for place in front]
    assert costs == sorted(costs)


def test_equal_points_are_all_on_it() -> None:
    assert pareto_front([(2.0, 2.0), (1.0, 5.0), (2.0, 2.0), (3.0, 3.0)]) == [1, 0, 2]


def test_no_points_have_no_front() -> None:
    assert pareto_front([]) == []
