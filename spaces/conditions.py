"""What conditions say together: whether a dimension can be active, how many points there are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from spaces.dimensions import Choice, Condition, Dimension, Float, Value, equal_values, is_active

Params = dict[str, Value]
# Places between the bounds of a continuous range at which a value that no condition names is
# looked for.
NUM_CANDIDATES = 64


def order_by_conditions(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """Sorted so that a condition's parameter comes first, else as they were.

    Raises:
        ValueError: Conditions depend on each other in a circle.
    """
    waiting, done = list(dimensions), list[Dimension]()
    while waiting:
        names = {dimension.name for dimension in waiting}
        for dimension in waiting:
            if not any(condition.parameter in names for condition in dimension.when):
                break
        else:
            circle = ", ".join(dimension.name for dimension in waiting)
            raise ValueError(f"conditions wait for each other: {circle}")
        waiting.remove(dimension)
        done.append(dimension)
    return tuple(done)


def ancestors(name: str, by_name: Mapping[str, Dimension]) -> set[str]:
    """The dimensions on which this one's conditions depend, along the whole chain."""
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
    """Values of the dimensions above this one with which it is active, None if there are none.

    Args:
        dimension: One of the dimensions.
        dimensions: In order.
        fixed: The values that do not vary, by dotted name.
    """
    names = ancestors(dimension.name, {each.name: each for each in dimensions})
    chosen = [each for each in dimensions if each.name in names]
    asked = _conditions_by_parameter([*chosen, dimension])

    def search(place: int, params: Params) -> Params | None:
        values = {**fixed, **params}
        if place == len(chosen):
            return params if is_active(dimension.when, values) else None
        each = chosen[place]
        if not is_active(each.when, values):
            return search(place + 1, params)
        tries = (
            search(place + 1, {**params, each.name: value})
            for value, _ in representatives(each, asked[each.name])
        )
        return next((found for found in tries if found is not None), None)

    return search(0, {})


def num_points(dimensions: Sequence[Dimension], fixed: Mapping[str, Any]) -> int | None:
    """How many sets of active parameters there are, None where a dimension is continuous.

    Values on which the same conditions hold are counted at once, so that the effort grows with
    the conditions and not with the number of points.
    """
    if any(dimension.num_points() is None for dimension in dimensions):
        return None
    asked = _conditions_by_parameter(dimensions)

    def count(place: int, values: Mapping[str, Any]) -> int:
        if place == len(dimensions):
            return 1
        each = dimensions[place]
        if not is_active(each.when, values):
            return count(place + 1, values)
        if each.name not in asked:
            return (each.num_points() or 0) * count(place + 1, values)
        return sum(
            number * count(place + 1, {**values, each.name: value})
            for value, number in representatives(each, asked[each.name])
        )

    return count(0, fixed)


def grid_points(dimensions: Sequence[Dimension], fixed: Mapping[str, Any]) -> Iterator[Params]:
    """All sets of active parameters, the first dimension slowest; each value has points."""

    def walk(place: int, params: Params) -> Iterator[Params]:
        if place == len(dimensions):
            yield params
            return
        each = dimensions[place]
        if not is_active(each.when, {**fixed, **params}):
            yield from walk(place + 1, params)
            return
        for value in each.points():
            yield from walk(place + 1, {**params, each.name: value})

    return walk(0, {})


def representatives(
    dimension: Dimension, conditions: Sequence[Condition]
) -> list[tuple[Value, int]]:
    """A value for each set of conditions that can hold together, and how many share that set.

    In a continuous range, what no condition names counts as one value.
    """
    if isinstance(dimension, Choice):
        weighed: Iterable[tuple[Value, int]] = ((value, 1) for value in dimension.choices)
    else:
        weighed = _weighed_numbers(dimension, conditions)
    found: dict[tuple[bool, ...], tuple[Value, int]] = {}
    for value, number in weighed:
        holding = tuple(condition.allows(value) for condition in conditions)
        first, before = found.get(holding, (value, 0))
        found[holding] = (first, before + number)
    return list(found.values())


def _weighed_numbers(
    dimension: Dimension, conditions: Sequence[Condition]
) -> list[tuple[Value, int]]:
    """The numbers that conditions name, one of the others, and how many others there are."""
    named: list[Value] = []
    for value in chain.from_iterable((*each.values, *each.excluded) for each in conditions):
        if dimension.contains(value) and not any(equal_values(value, other) for other in named):
            named.append(value)
    total = dimension.num_points()
    others = (total or len(named) + 1) - len(named)
    looks = dimension.points() if total is not None else _looks(dimension)
    other = next(
        (value for value in looks if not any(equal_values(value, each) for each in named)), None
    )
    first = [(other, others)] if other is not None and others > 0 else []
    return [*first, *((value, 1) for value in named)]


def _looks(dimension: Dimension) -> Iterator[float]:
    assert isinstance(dimension, Float)  # noqa: S101 - nothing else is continuous
    yield from dimension.extremes()
    for place in range(1, NUM_CANDIDATES):
        yield dimension.low + (dimension.high - dimension.low) * place / NUM_CANDIDATES


def _conditions_by_parameter(dimensions: Iterable[Dimension]) -> dict[str, list[Condition]]:
    found: dict[str, list[Condition]] = {}
    for condition in chain.from_iterable(each.when for each in dimensions):
        found.setdefault(condition.parameter, []).append(condition)
    return found
