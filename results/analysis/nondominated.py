"""Points of several goals, all to be low: domination, order, dominated volume.

A point dominates another if it is nowhere higher and somewhere lower. Of points that do not
dominate each other, the better is the one that adds more to the volume that the chosen ones
dominate together: so near-equal points do not crowd out the others, and an extreme of one goal
that is bad in all others comes late.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

Point = tuple[float, ...]
# The reference lies beyond the worst values by this share of the range: extremes count too.
BEYOND = 0.1
# Decimals to which volumes are compared.
DIGITS = 12


def nondominated(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points that no other dominates, ascending; of equal ones all."""
    if not points:
        return []
    table = np.array(points, dtype=float)
    kept = []
    for index, own in enumerate(table):
        nowhere_higher = (table <= own).all(axis=1)
        if not (nowhere_higher & (table < own).any(axis=1)).any():
            kept.append(index)
    return kept


def best_first(points: Sequence[Point]) -> Iterator[int]:
    """Yield the indices of the points, the best first.

    First those that no other dominates, then those that only these dominate, and so on. Each of
    such a group follows by the volume that it adds to those before it in the group; at equal
    volumes the lower index is first.
    """
    points = _in_unit_ranges(points)
    reference = beyond(points) if points else ()
    left = list(range(len(points)))
    while left:
        front = [left[place] for place in nondominated([points[index] for index in left])]
        yield from _by_added_volume(front, points, reference)
        taken = {*front}
        left = [index for index in left if index not in taken]


def _in_unit_ranges(points: Sequence[Point]) -> list[Point]:
    """Return the points with values from 0 to 1 in every goal; the order does not depend on it."""
    columns = [(min(column), max(column)) for column in zip(*points, strict=True)]
    return [
        tuple(
            (x - low) / ((high - low) or 1.0)
            for x, (low, high) in zip(point, columns, strict=True)
        )
        for point in points
    ]


def beyond(points: Sequence[Point]) -> Point:
    """Return a point that is somewhat worse than all others in every goal."""
    columns = [(min(column), max(column)) for column in zip(*points, strict=True)]
    return tuple(high + (BEYOND * (high - low) or 1.0) for low, high in columns)


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Return the volume that the points dominate, up to a reference.

    By slices along the last goal. Points that are not below the reference in every goal add
    nothing.

    Args:
        points: Points of one to three values.
        reference: The upper end of every goal.
    """
    inside = [
        point for point in points if all(x < r for x, r in zip(point, reference, strict=True))
    ]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in inside)
    if len(reference) == 2:
        return _area(inside, reference)
    ends = sorted({point[-1] for point in inside})
    return sum(
        (high - low) * hypervolume([p[:-1] for p in inside if p[-1] <= low], reference[:-1])
        for low, high in pairwise([*ends, reference[-1]])
    )


def _area(points: Sequence[Point], reference: Point) -> float:
    area, lowest = 0.0, reference[1]
    for x, y in sorted(points):
        if y < lowest:
            area += (reference[0] - x) * (lowest - y)
            lowest = y
    return area


def _by_added_volume(
    front: Sequence[int], points: Sequence[Point], reference: Point
) -> Iterator[int]:
    """Yield a group's indices, each time the one that adds most to those before.

    The volume that a point adds can only fall while others are chosen. So a point whose volume is
    still the highest after it was computed again is the next.
    """
    chosen: list[Point] = []
    volume = 0.0
    # (minus the added volume, index, number of chosen points that it was computed with)
    heap = [
        (round(-hypervolume([points[index]], reference), DIGITS), index, 0) for index in front
    ]
    heapq.heapify(heap)
    while heap:
        added, index, known = heapq.heappop(heap)
        if known < len(chosen):
            # Rounded: of equal volumes the lower index is first, whatever their last bits are.
            added = round(volume - hypervolume([*chosen, points[index]], reference), DIGITS)
            heapq.heappush(heap, (added, index, len(chosen)))
            continue
        chosen.append(points[index])
        volume = hypervolume(chosen, reference)
        yield index
