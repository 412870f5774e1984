"""Checks of a space: every condition can hold, and the config accepts every bound and choice."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from spaces.conditions import Params, activating_params, representatives
from spaces.dimensions import PRESET, Choice, Condition, Dimension, Value
from spaces.files.complaints import Complaint, Keys, complaints, did_you_mean, short_repr
from spaces.space import Space

Allowed = dict[str, list[Value]]
Faults = list[Complaint]


def condition_complaints(dimensions: Sequence[Dimension], fixed: Mapping[str, Any]) -> Faults:
    """Return the conditions on parameters that do not exist or never have the value.

    Args:
        dimensions: The dimensions in any order.
        fixed: Values by dotted name.
    """
    by_name = {each.name: each for each in dimensions}
    return [
        Complaint(keys=_condition_keys(dimension, condition), text=text)
        for dimension in dimensions
        for condition in dimension.when
        if (text := _fault(condition, by_name, fixed))
    ]


def inactive_complaints(
    dimensions: Sequence[Dimension], fixed: Mapping[str, Any], text: str
) -> Faults:
    """Return the dimensions that no values of the others make active.

    Args:
        dimensions: The dimensions as `order_by_conditions` sorts them.
        fixed: Values by dotted name.
        text: The rule; `{}` stands for the parameters that rule the dimension out.
    """
    by_name = {each.name: each for each in dimensions}
    found = []
    for dimension in dimensions:
        if activating_params(dimension, dimensions, fixed) is None:
            allowed = allowed_values(dimension, by_name)
            empty = [name for name, values in allowed.items() if not values] or list(allowed)
            keys = (*_keys(dimension), "when")
            found.append(Complaint(keys=keys, text=text.format(" and ".join(empty))))
    return found


def value_complaints(space: Space, config_class: type[BaseModel]) -> Faults:
    """Return the bounds and choices that the config class refuses.

    Each is tried with all other dimensions at their first value, so a pair of values that breaks
    a rule only together is not found here; the search refuses such a config.
    """
    own = {_keys(dimension): dimension for dimension in space.dimensions}
    first = _refusals(space, space.params_with({}), config_class)
    tried = {
        dimension.name: [
            _refusals(space, params, config_class)
            for params in _extreme_params(space, dimension)
        ]
        for dimension in space.dimensions
    }
    found = [_traced(fault, first, space, tried) for fault in first if fault.keys not in own]
    # A fault that the first values have too is not due to the value that is tried.
    known = {fault.text for fault in first}
    for dimension in space.dimensions:
        for position, faults in enumerate(tried[dimension.name]):
            for fault in faults:
                # A fault of another dimension's value is found when that dimension is tried.
                mine = own.get(fault.keys) is dimension
                if mine or (fault.keys not in own and fault.text not in known):
                    found.append(_moved_to(fault, dimension, position))
    return found


def allowed_values(dimension: Dimension, by_name: Mapping[str, Dimension]) -> Allowed:
    """Return the values that each parameter may have where the dimension is active.

    Follows the whole chain of conditions, except past a condition that also holds without its
    parameter. A parameter with many values has one value here for each combination of conditions.
    """
    on: dict[str, list[Condition]] = {}
    waiting, seen = [dimension], set[str]()
    while waiting:
        current = waiting.pop()
        seen.add(current.name)
        for condition in current.when:
            name = condition.parameter
            on.setdefault(name, []).append(condition)
            if name in by_name and name not in seen and not condition.otherwise:
                waiting.append(by_name[name])
    return {
        name: [
            value
            for value, _ in representatives(by_name[name], conditions)
            if all(condition.allows(value) for condition in conditions)
        ]
        for name, conditions in on.items()
        if name in by_name
    }


def _fault(
    condition: Condition, by_name: Mapping[str, Dimension], fixed: Mapping[str, Any]
) -> str | None:
    name = condition.parameter
    if name in fixed:
        holds = condition.allows(fixed[name])
        return None if holds else f"can never hold: {name} is fixed at {short_repr(fixed[name])}"
    if name not in by_name:
        names = sorted({*by_name, *fixed})
        return f"is not a parameter of this space{did_you_mean(name, names)}"
    other = by_name[name]
    for value in (*condition.values, *condition.excluded):
        if not other.contains(value):
            words = [str(each) for each in other.extremes()] if isinstance(other, Choice) else []
            return f"can never be {short_repr(value)}{did_you_mean(value, words)}"
    return None


def _keys(dimension: Dimension) -> Keys:
    return tuple(dimension.name.split("."))


def _condition_keys(dimension: Dimension, condition: Condition) -> Keys:
    return (*_keys(dimension), "when", condition.parameter)


def _extreme_params(space: Space, dimension: Dimension) -> list[Params]:
    """Return parameters with the dimension active, one set for each of its extremes."""
    forced = activating_params(dimension, space.dimensions, space.fixed_values()) or {}
    extremes = dimension.extremes()
    return [space.params_with({**forced, dimension.name: value}) for value in extremes]


def _refusals(space: Space, params: Params, config_class: type[BaseModel]) -> Faults:
    tree = space.tree(params)
    try:
        config_class.model_validate(tree)
    except ValidationError as error:
        return complaints(config_class, error, tree)
    return []


def _traced(
    fault: Complaint, first: Faults, space: Space, tried: Mapping[str, list[Faults]]
) -> Complaint:
    """Move a fault of the first values to the dimension whose other values do not have it."""
    others = {other for other in first if other != fault}
    for dimension in space.dimensions:
        if any(others.issuperset(faults) for faults in tried[dimension.name][1:]):
            return _moved_to(fault, dimension, 0)
    return fault


def _moved_to(fault: Complaint, dimension: Dimension, position: int) -> Complaint:
    """Return the fault with the keys of the bound or choice that caused it."""
    keys = ("presets",) if dimension.name == PRESET else _keys(dimension)
    value = short_repr(dimension.extremes()[position])
    text = fault.text if fault.keys == keys else f"with {value}, {fault}"
    if text.startswith("unknown key"):
        # A misspelt key was refused before, so another choice decides which keys exist.
        text = "is a key under other choices only: name these in a condition (when)"
    if dimension.name == PRESET:
        return Complaint(keys=(*keys, position), text=text)
    if isinstance(dimension, Choice):
        return Complaint(keys=(*keys, "choices", position), text=text)
    return Complaint(keys=(*keys, dimension.bound_keys[position]), text=text)
