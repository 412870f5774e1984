"""Conditions taken together: whether a dimension can be active, how many points a space has.

The functions walk the dimensions in order and decide for each whether it is active, so that a
condition only ever depends on values that are already set.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from spaces.dimensions import Choice, Condition, Dimension, Float, Value, equal_values, is_active

Params = dict[str, Value]
# Values tried between the bounds of a continuous range to find one that no condition names: far
# more than conditions name in practice.
NUM_CANDIDATES = 64


def order_by_conditions(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Sort dimensions so that the parameter of a condition comes first; keep the order otherwise.

    Raises:
        ValueError: Conditions depend on each other in a circle.
    """
    waiting, done = list(dimensions), list[Dimension]()
    while waiting:
        # From the first again, so that the given order is kept as far as conditions permit.
        names = {dimension.name for dimension in waiting}
        for dimension in waiting:
            if not any(condition.parameter in names for condition in dimension.when):
                break
        else:
            circle = ", ".join(dimension.name for dimension in waiting)
            raise ValueError(f"conditions depend on each other in a circle: {circle}")
        waiting.remove(dimension)
        done.append(dimension)
    return tuple(done)


def ancestors(name: str, by_name: Mapping[str, Dimension]) -> set[str]:
    """Return the dimensions on which this one depends, along the whole chain of conditions."""
    found, waiting = set[str](), [name]
    while waiting:
        for condition in by_name[waiting.pop()].when:
            parameter = condition.parameter
            if parameter in by_name and parameter not in found:
                found.add(parameter)
                waiting.append(parameter)
    return found


def activating_params(
    dimension: Dimension, dimensions: Sequence[Dimension], fixed: Mapping[str, Any]
) -> Params | None:
    """Return values of this dimension's ancestors that make it active, None if there are none.

    Args:
        dimension: One of the dimensions.
        dimensions: The dimensions as `order_by_conditions` sorts them.
        fixed: The values that do not vary, by dotted name.
    """
    names = ancestors(dimension.name, {each.name: each for each in dimensions})
    chosen = [each for each in dimensions if each.name in names]
    # Only these conditions can tell values apart here, so fewer values are tried.
    conditions = _conditions_by_parameter([*chosen, dimension])

    def search(position: int, params: Params) -> Params | None:
        values = {**fixed, **params}
        if position == len(chosen):
            return params if is_active(dimension.when, values) else None
        each = chosen[position]
        if not is_active(each.when, values):
            return search(position + 1, params)
        tries = (
            search(position + 1, {**params, each.name: value})
            for value, _ in representatives(each, conditions[each.name])
        )
        return next((found for found in tries if found is not None), None)

    return search(0, {})


def num_points(dimensions: Sequence[Dimension], fixed: Mapping[str, Any]) -> int | None:
    """Return the number of sets of active parameters, None if a dimension is continuous.

    Values that meet the same conditions are counted together, so that the cost grows with the
    number of conditions and not with the number of points.
    """
    if any(dimension.num_points() is None for dimension in dimensions):
        return None
    conditions = _conditions_by_parameter(dimensions)

    def count(position: int, values: Mapping[str, Any]) -> int:
        if position == len(dimensions):
            return 1
        each = dimensions[position]
        if not is_active(each.when, values):
            return count(position + 1, values)
        if each.name not in conditions:
            return (each.num_points() or 0) * count(position + 1, values)
        return sum(
            number * count(position + 1, {**values, each.name: value})
            for value, number in representatives(each, conditions[each.name])
        )

    return count(0, fixed)


def grid_points(dimensions: Sequence[Dimension], fixed: Mapping[str, Any]) -> Iterator[Params]:
    """Yield all sets of active parameters, the first dimension slowest; none may be continuous."""

    def walk(position: int, params: Params) -> Iterator[Params]:
        if position == len(dimensions):
            yield params
            return
        each = dimensions[position]
        if not is_active(each.when, {**fixed, **params}):
            yield from walk(position + 1, params)
            return
        for value in each.points():
            yield from walk(position + 1, {**params, each.name: value})

    return walk(0, {})


def representatives(
    dimension: Dimension, conditions: Sequence[Condition]
) -> list[tuple[Value, int]]:
    """Return one value for each set of conditions that can hold together, and its count.

    The count is the number of values of the dimension that meet the same conditions. In a
    continuous range, all values that no condition names count as one.
    """
    if isinstance(dimension, Choice):
        counted: Iterable[tuple[Value, int]] = ((value, 1) for value in dimension.choices)
    else:
        counted = _counted_numbers(dimension, conditions)
    found: dict[tuple[bool, ...], tuple[Value, int]] = {}
    for value, number in counted:
        holding = tuple(condition.allows(value) for condition in conditions)
        first, before = found.get(holding, (value, 0))
        found[holding] = (first, before + number)
    return list(found.values())


def _counted_numbers(
    dimension: Dimension, conditions: Sequence[Condition]
) -> list[tuple[Value, int]]:
    """Return each number that a condition names, and one other number with the count of others."""
    # A list and not a set, which would take True and 1 for the same value.
    named: list[Value] = []
    for value in chain.from_iterable((*each.values, *each.excluded) for each in conditions):
        if dimension.contains(value) and not any(equal_values(value, other) for other in named):
            named.append(value)
    total = dimension.num_points()
    others = (total or len(named) + 1) - len(named)
    candidates = dimension.points() if total is not None else _candidates(dimension)
    unnamed = (
        value
        for value in candidates
        if not any(equal_values(value, each) for each in named)
    )
    other = next(unnamed, None)
    first = [(other, others)] if other is not None and others > 0 else []
    return [*first, *((value, 1) for value in named)]


def _candidates(dimension: Dimension) -> Iterator[float]:
    assert isinstance(dimension, Float)  # noqa: S101 - nothing else is continuous
    yield from dimension.extremes()
    for number in range(1, NUM_CANDIDATES):
        yield dimension.low + (dimension.high - dimension.low) * number / NUM_CANDIDATES


def _conditions_by_parameter(dimensions: Iterable[Dimension]) -> dict[str, list[Condition]]:
    found: dict[str, list[Condition]] = {}
    for condition in chain.from_iterable(each.when for each in dimensions):
        found.setdefault(condition.parameter, []).append(condition)
    return found
