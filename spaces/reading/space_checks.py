"""Whether a space can be what it says: conditions that can hold, values that the config takes."""

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
    """Conditions on parameters that are not there or never have the value.

    Args:
        dimensions: In any order.
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
    """Dimensions that no values of the others make active.

    Args:
        dimensions: In order.
        fixed: Values by dotted name.
        text: What to say of one; `{}` stands for the parameters that rule it out.
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
    """What the config class says of each bound and choice, the others at their first value."""
    own = {_keys(dimension): dimension for dimension in space.dimensions}
    first = _refusals(space, space.first_but({}), config_class)
    probes = {
        dimension.name: [
            _refusals(space, params, config_class) for params in _probes(space, dimension)
        ]
        for dimension in space.dimensions
    }
    found = [_traced(fault, first, space, probes) for fault in first if fault.keys not in own]
    known = {fault.text for fault in first}
    for dimension in space.dimensions:
        for place, faults in enumerate(probes[dimension.name]):
            for fault in faults:
                # What is wrong with another dimension's value, that one's own probe shows.
                mine = own.get(fault.keys) is dimension
                if mine or (fault.keys not in own and fault.text not in known):
                    found.append(_blamed(fault, dimension, place))
    return found


def allowed_values(dimension: Dimension, by_name: Mapping[str, Dimension]) -> Allowed:
    """The values left to each parameter that must be set for the dimension to be active.

    Conditions count along the whole chain, but not where one holds without its parameter. Of a
    parameter that may have many values, those stand for all on which the conditions differ.
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
        met = condition.allows(fixed[name])
        return None if met else f"can never hold: {name} is fixed at {short_repr(fixed[name])}"
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


def _probes(space: Space, dimension: Dimension) -> list[Params]:
    """Parameters in which the dimension is active, one set for each of its extremes."""
    forced = activating_params(dimension, space.dimensions, space.fixed_values()) or {}
    extremes = dimension.extremes()
    return [space.first_but({**forced, dimension.name: value}) for value in extremes]


def _refusals(space: Space, params: Params, config_class: type[BaseModel]) -> Faults:
    tree = space.tree(params)
    try:
        config_class.model_validate(tree)
    except ValidationError as error:
        return complaints(config_class, error, tree)
    return []


def _traced(
    fault: Complaint, first: Faults, space: Space, probes: Mapping[str, list[Faults]]
) -> Complaint:
    """A complaint about the first values, moved to a dimension whose other values cure it."""
    others = {other for other in first if other != fault}
    for dimension in space.dimensions:
        if any(others.issuperset(faults) for faults in probes[dimension.name][1:]):
            return _blamed(fault, dimension, 0)
    return fault


def _blamed(fault: Complaint, dimension: Dimension, place: int) -> Complaint:
    """The complaint moved to the bound or choice that drew it."""
    keys = ("presets",) if dimension.name == PRESET else _keys(dimension)
    value = short_repr(dimension.extremes()[place])
    text = fault.text if fault.keys == keys else f"with {value}, {fault}"
    if text.startswith("unknown key"):
        # No misspelling, that was refused before: another choice decides which keys there are.
        text = "is a key under other choices only: say which ones by a condition (when)"
    if dimension.name == PRESET:
        return Complaint(keys=(*keys, place), text=text)
    if isinstance(dimension, Choice):
        return Complaint(keys=(*keys, "choices", place), text=text)
    return Complaint(keys=(*keys, dimension.bound_keys[place]), text=text)
