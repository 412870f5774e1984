"""Which settings have an effect: declared by the config class, once, in two tables.

    needs: ClassVar[Needs]      dotted name -> conditions without which the parameter has no effect
    neutral: ClassVar[Neutral]  dotted name -> the value of a parameter that has no effect;
                                a parameter without such a value is left out instead

From these tables a canonical form drops what has no effect, and a space samples it under a
condition. A parameter also needs that the parameters it depends on have an effect themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spaces.conditions import ancestors, representatives
from spaces.dimensions import PRESET, Condition, Dimension, Value
from spaces.files.complaints import Complaint, short_repr
from spaces.trees import drop_values, flatten, merge_trees, set_value

Needs = Mapping[str, tuple[Condition, ...]]
Neutral = Mapping[str, Value]


def only(parameter: str, *values: Value) -> Condition:
    """Return the condition that another parameter has one of these values."""
    return Condition(parameter=parameter, values=values)


def unless(parameter: str, *values: Value) -> Condition:
    """Return the condition that another parameter has none of these values."""
    return Condition(parameter=parameter, excluded=values)


def effective_tree(tree: Mapping[str, Any], needs: Needs, neutral: Neutral) -> dict[str, Any]:
    """Return a copy of the tree without the settings that have no effect in it.

    A condition on a parameter that the tree lacks counts as met.
    """
    rest = merge_trees(tree)
    for name in sorted(_without_effect(tree, needs) & neutral.keys()):
        set_value(rest, name, neutral[name])
    # Looked up a second time, since a neutral value may remove the effect of other settings.
    return drop_values(rest, _without_effect(rest, needs) - neutral.keys())


def _without_effect(tree: Mapping[str, Any], needs: Needs) -> frozenset[str]:
    values = flatten(tree)
    return frozenset(
        name
        for name in needs
        if name in values
        and not all(
            need.parameter not in values or need.allows(values[need.parameter])
            for need in all_needs(name, needs)
        )
    )


def all_needs(name: str, needs: Needs) -> list[Condition]:
    """Return the needs of a parameter and of those it depends on, without any on itself."""
    found, waiting, seen = list[Condition](), [name], {name}
    while waiting:
        for need in needs.get(waiting.pop(0), ()):
            if need.parameter != name and need not in found:
                found.append(need)
            if need.parameter not in seen:
                seen.add(need.parameter)
                waiting.append(need.parameter)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class UnvariedValues:
    """The values of the settings that no dimension of a space varies.

    Attributes:
        fixed: The fixed values of the space, by dotted name.
        presets: For each preset of the space, all values of its config by dotted name.
        defaults: The default values of the config by dotted name, used without presets.
    """

    fixed: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def split_presets(self, need: Condition) -> tuple[list[str], list[str], list[Any]]:
        """Split the presets into those that meet a condition and those that do not.

        Without presets, or if the value is fixed, a single empty name stands for the config. A
        condition on a parameter that a config lacks counts as met.

        Returns:
            The presets that meet the condition, those that do not, and the values of the latter.
        """
        name = need.parameter
        holders = self.presets or {"": self.defaults}
        if name in self.fixed:
            holders = {"": self.fixed}
        broken = {
            each: values[name]
            for each, values in holders.items()
            if name in values and not need.allows(values[name])
        }
        # By `repr`, since a list has no hash and True would equal 1.
        bad_values = list({repr(value): value for value in broken.values()}.values())
        return [each for each in holders if each not in broken], list(broken), bad_values


@dataclass(slots=True)
class EffectConditions:
    """Adds the conditions of `needs` to the dimensions of a space.

    A condition that would form a cycle is left out: of `distillation` (no effect if alpha is 0)
    and `alpha` (no effect if distillation is none), only the first in the table gets one.

    Attributes:
        dimensions: The dimensions by name; replaced as conditions are added.
        unvaried: The settings that no dimension varies.
        faults: Dimensions that can never have an effect.
    """

    dimensions: dict[str, Dimension]
    unvaried: UnvariedValues
    faults: list[Complaint] = field(default_factory=list)

    def add_needs(self, key: str, parts: Iterable[str], needs: Needs) -> None:
        """Add all needs of a config key to the dimensions that make up its value."""
        for name in parts:
            for need in all_needs(key, needs):
                found = self.resolve(need)
                if isinstance(found, str):
                    fault = Complaint(keys=tuple(key.split(".")), text=f"has no effect: {found}")
                    self.faults.append(fault)
                    break
                if found is not None:
                    self._add(name, found)

    def resolve(self, need: Condition) -> Condition | str | None:
        """Express a need as a condition on a dimension.

        Returns:
            The condition; None if it always holds; a text with the reason if it never holds.
        """
        name = need.parameter
        good, bad, bad_values = self.unvaried.split_presets(need)
        if name not in self.dimensions:
            if not good:
                return _why_never(name, bad_values, self.unvaried)
            return only(PRESET, *good) if bad else None
        other = self.dimensions[name]
        holding = [need.allows(value) for value, _ in representatives(other, [need])]
        is_conditional = bool(other.when)
        # Where the other dimension is not active, the preset's or default value counts.
        if all(holding) and not (is_conditional and bad):
            return None
        if not any(holding) and not (is_conditional and good):
            return f"{name} is {_why_not(need)}"
        return need.model_copy(update={"otherwise": not bad})

    def _add(self, name: str, condition: Condition) -> None:
        dimension = self.dimensions[condition.parameter]
        here = self.dimensions[name]
        if name == dimension.name or name in ancestors(dimension.name, self.dimensions):
            return  # it would form a cycle, and then no order of sampling exists
        if any(_implies(each, condition) for each in here.when):
            return
        when = (*(each for each in here.when if not _implies(condition, each)), condition)
        self.dimensions[name] = here.model_copy(update={"when": when})


def _implies(one: Condition, other: Condition) -> bool:
    """Return whether the values show that the second condition holds whenever the first does."""
    if one.parameter != other.parameter or (one.otherwise and not other.otherwise):
        return False
    if one.values:
        return all(other.allows(value) for value in one.values)
    return bool(other.excluded) and not any(one.allows(value) for value in other.excluded)


def _why_never(name: str, values: list[Any], unvaried: UnvariedValues) -> str:
    given = " or ".join(map(short_repr, values))
    if name in unvaried.fixed:
        return f"{name} is fixed at {given}"
    return f"{name} is {given} {'in every preset' if unvaried.presets else 'unless given'}"


def _why_not(need: Condition) -> str:
    if need.excluded:
        return f"always {' or '.join(map(short_repr, need.excluded))}"
    return f"never {' or '.join(map(short_repr, need.values))}"
