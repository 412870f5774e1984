"""What has an effect in a config: declared by the config class, once, in two tables.

    needs: ClassVar[Needs]      dotted name -> conditions without which the parameter has no effect
    neutral: ClassVar[Neutral]  dotted name -> what a parameter is set to where it has no effect;
                                any other is left out there

From them a canonical form drops what has no effect, and a space samples it under a condition. A
parameter also needs that those it depends on have an effect themselves.
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
    """Has an effect only with these values of the other parameter."""
    return Condition(parameter=parameter, values=values)


def unless(parameter: str, *values: Value) -> Condition:
    """Has no effect with these values of the other parameter."""
    return Condition(parameter=parameter, excluded=values)


def effective_tree(tree: Mapping[str, Any], needs: Needs, neutral: Neutral) -> dict[str, Any]:
    """The tree without what has no effect in it; a condition on what it lacks is not asked."""
    rest = merge_trees(tree)
    for name in sorted(_idle(tree, needs) & neutral.keys()):
        set_value(rest, name, neutral[name])
    # Anew, since a neutral value may take the effect from others.
    return drop_values(rest, _idle(rest, needs) - neutral.keys())


def _idle(tree: Mapping[str, Any], needs: Needs) -> frozenset[str]:
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
    """Those of the parameter, and of the parameters that these are on; none on itself."""
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
    """What a config of the space holds where no dimension varies it.

    Attributes:
        fixed: Values by dotted name.
        presets: For each preset that the space varies, its values by dotted name, complete.
        defaults: The config's values by dotted name, where there are no presets.
    """

    fixed: Mapping[str, Any]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def split_presets(self, need: Condition) -> tuple[list[str], list[str], list[Any]]:
        """Presets with which the condition holds and does not, and the values that break it.

        Without presets, or where the value is fixed, the one name is empty. A parameter that a
        config lacks breaks nothing.
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
        bad_values = list({repr(value): value for value in broken.values()}.values())
        return [each for each in holders if each not in broken], list(broken), bad_values


@dataclass(slots=True)
class EffectConditions:
    """Lays the conditions of `needs` on the dimensions of a space.

    A condition that would close a circle is left out: of `distillation` (no effect where alpha
    is 0) and `alpha` (none where distillation is none), the one first in the table has its own.

    Attributes:
        dimensions: By name, changed as conditions are laid on them.
        unvaried: The rest of the space.
        faults: Dimensions that can have no effect.
    """

    dimensions: dict[str, Dimension]
    unvaried: UnvariedValues
    faults: list[Complaint] = field(default_factory=list)

    def add_needs(self, key: str, parts: Iterable[str], needs: Needs) -> None:
        """Lay all needs of a config key on the dimensions that make up its value."""
        for name in parts:
            for need in all_needs(key, needs):
                settled = self.resolve(need)
                if isinstance(settled, str):
                    fault = Complaint(keys=tuple(key.split(".")), text=f"has no effect: {settled}")
                    self.faults.append(fault)
                    break
                if settled is not None:
                    self._add(name, settled)

    def resolve(self, need: Condition) -> Condition | str | None:
        """The condition in terms of dimensions; None if it always holds, why if it never does."""
        name = need.parameter
        good, bad, bad_values = self.unvaried.split_presets(need)
        if name not in self.dimensions:
            if not good:
                return _why_never(name, bad_values, self.unvaried)
            return only(PRESET, *good) if bad else None
        other = self.dimensions[name]
        holding = [need.allows(value) for value, _ in representatives(other, [need])]
        sometimes_idle = bool(other.when)
        if all(holding) and not (sometimes_idle and bad):
            return None
        if not any(holding) and not (sometimes_idle and good):
            return f"{name} is {_never(need)}"
        return need.model_copy(update={"otherwise": not bad})

    def _add(self, name: str, condition: Condition) -> None:
        dimension = self.dimensions[condition.parameter]
        here = self.dimensions[name]
        if name == dimension.name or name in ancestors(dimension.name, self.dimensions):
            return
        if any(_implies(each, condition) for each in here.when):
            return
        when = (*(each for each in here.when if not _implies(condition, each)), condition)
        self.dimensions[name] = here.model_copy(update={"when": when})


def _implies(one: Condition, other: Condition) -> bool:
    """Whether the other condition holds wherever this one does, as their values tell."""
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


def _never(need: Condition) -> str:
    if need.excluded:
        return f"always {' or '.join(map(short_repr, need.excluded))}"
    return f"never {' or '.join(map(short_repr, need.values))}"
