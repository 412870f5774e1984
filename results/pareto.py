"""What no other beats in both of two things of which less is better."""

from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points that no other is at or below in both, and below in one.

    Args:
        points: Two finite costs each.

    Returns:
        Places in `points`, by the first cost, ascending; of equal points all.
    """
    order = sorted(range(len(points)), key=points.__getitem__)
    front: list[int] = []
    for place in order:
        last = points[front[-1]] if front else None
        if last is None or points[place][1] < last[1] or points[place] == last:
            front.append(place)
    return front
