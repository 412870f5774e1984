import numpy as np
import pytest
from optuna._hypervolume import compute_hypervolume

from results.analysis.nondominated import best_first, beyond, hypervolume, nondominated


def cloud(num: int, num_goals: int, seed: int) -> list[tuple[float, ...]]:
    """Points on a coarse grid, so that values and whole points are sometimes equal."""
    rng = np.random.default_rng(seed)
    return [tuple(row) for row in rng.integers(0, 8, (num, num_goals)).astype(float)]


def test_what_no_other_dominates_by_hand():
    points = [(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (3.0, 3.0), (2.0, 3.0), (5.0, 1.0)]
    assert nondominated(points) == [0, 1, 4, 5]
    assert nondominated([]) == []
    # Of three goals: the third point is lower in the last one only.
    assert nondominated([(1.0, 1.0, 2.0), (2.0, 2.0, 2.0), (3.0, 3.0, 1.0)]) == [0, 2]


def test_hypervolume_by_hand():
    assert hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(2.0,), (3.0,)], (10.0,)) == 8
    # Two rectangles, 3 x 1 and 1 x 2, and a point that adds nothing.
    assert hypervolume([(1.0, 3.0), (3.0, 1.0), (3.5, 3.5)], (4.0, 4.0)) == 3 + 2
    assert hypervolume([(1.0, 1.0, 1.0)], (2.0, 3.0, 4.0)) == 6
    # At or beyond the reference.
    assert hypervolume([(4.0, 1.0), (1.0, 9.0)], (4.0, 4.0)) == 0


@pytest.mark.parametrize("num_goals", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_hypervolume_is_optunas(num_goals, seed):
    points = cloud(25, num_goals, seed)
    reference = (7.5,) * num_goals
    inside = [point for point in points if all(np.array(point) < 7.5)]
    known = compute_hypervolume(np.array(inside), np.array(reference))
    assert hypervolume(points, reference) == pytest.approx(known)


@pytest.mark.parametrize("num_goals", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_that_of_a_plain_greedy_choice(num_goals, seed):
    points = cloud(30, num_goals, seed)
    reference, left, expected = beyond(points), set(range(30)), []
    while left:
        front = [
            i
            for i in sorted(left)
            if not any(
                points[j] != points[i] and all(np.array(points[j]) <= points[i]) for j in left
            )
        ]
        left -= {*front}
        chosen = []
        while front:
            volumes = [
                hypervolume([points[k] for k in [*chosen, i]], reference) for i in front
            ]
            chosen.append(front.pop(int(np.argmax(np.round(volumes, 9)))))
        expected += chosen
    assert list(best_first(points)) == expected


def test_near_equal_points_do_not_crowd_out_others():
    twins, cheap, good = [(0.2, 0.2), (0.21, 0.19)], (0.0, 1.0), (0.5, 0.1)
    order = list(best_first([*twins, cheap, good]))
    assert order[0] in (0, 1)
    assert order[-1] in (0, 1)
    # Scales do not matter.
    stretched = [(1e6 * x + 7, y / 100) for x, y in [*twins, cheap, good]]
    assert list(best_first(stretched)) == order
