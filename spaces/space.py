"""A space: a config tree in which some values are ranges. It knows no sampler and no config."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spaces import conditions
from spaces.conditions import Params
from spaces.dimensions import PRESET, Choice, Dimension, Value, equal_values, is_active
from spaces.files.complaints import did_you_mean, short_repr
from spaces.limits import Limits
from spaces.stage_weights import StageWeights, are_weights, weights_from_params
from spaces.trees import flatten, merge_trees, set_value


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What a search may vary, and what it may not.

    Attributes:
        name: Of the file, without suffix.
        fixed: The tree of the values that do not vary.
        dimensions: In an order in which a condition's parameter comes before the dimension
            that depends on it.
        made: Stage weights by their place in the tree; their parts are among the dimensions.
        presets: Config trees that lie below `fixed`, by name. The dimension `preset` picks one.
        limits: What a config must not exceed to be tried.
        start_from: Where a search starts, as the file names it.
        search: Settings that the file suggests to a search, as they stand there.
    """

    name: str
    fixed: Mapping[str, Any]
    dimensions: tuple[Dimension, ...]
    stage_weights: Mapping[str, StageWeights] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    start_from: tuple[str, ...] = ()
    search: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a space that could not be walked.

        Raises:
            ValueError: A name stands twice, a condition's parameter does not come first, or the
                presets have no dimension or not all of its choices.
        """
        known = {*self.fixed_values(), *self.stage_weights}
        for dimension in self.dimensions:
            if dimension.name in known:
                raise ValueError(f"{dimension.name} is given twice")
            for condition in dimension.when:
                if condition.parameter not in known:
                    raise ValueError(
                        f"the condition of {dimension.name} must be on an earlier parameter, "
                        f"got {condition.parameter!r}"
                    )
            known.add(dimension.name)
        names = next((each.extremes() for each in self.dimensions if each.name == PRESET), ())
        if names != tuple(self.presets):
            raise ValueError(
                f"dimension {PRESET} must choose among {list(self.presets)}, got {list(names)}"
            )

    def fixed_values(self) -> dict[str, Any]:
        """The values that do not vary, by dotted name."""
        return flatten(self.fixed)

    def base_tree(self, preset: str | None) -> dict[str, Any]:
        """The tree below the parameters: the preset's, with the fixed values over it; a copy."""
        return merge_trees(self.presets[preset] if preset is not None else {}, self.fixed)

    def sample(self, pick: Callable[[Dimension], Value]) -> Params:
        """Walk the dimensions in order and let `pick` choose a value for each active one.

        Returns:
            The active parameters by dotted name, in order.

        Raises:
            ValueError: `pick` returned a value outside its dimension.
        """
        params: Params = {}
        fixed = self.fixed_values()
        for dimension in self.dimensions:
            if is_active(dimension.when, {**fixed, **params}):
                params[dimension.name] = value = pick(dimension)
                if not dimension.contains(value):
                    raise ValueError(
                        f"{dimension.name} is {short_repr(value)}, not in {range_text(dimension)}"
                    )
        return params

    def params_with(self, chosen: Mapping[str, Value]) -> Params:
        """Every active dimension at its first value, but for the chosen ones."""
        return self.sample(lambda each: chosen.get(each.name, each.extremes()[0]))

    def grid_points(self) -> Iterator[Params]:
        """Every set of active parameters once, the first dimension slowest.

        Raises:
            ValueError: A dimension is continuous; its name.
        """
        for dimension in self.dimensions:
            dimension.points()
        return conditions.grid_points(self.dimensions, self.fixed_values())

    def num_points(self) -> int | None:
        """How many sets the grid has, None where a dimension is continuous.

        They are counted by conditions, not one by one.
        """
        return conditions.num_points(self.dimensions, self.fixed_values())

    def contains(self, params: Mapping[str, object]) -> bool:
        """Whether these are exactly the active parameters, each inside its dimension."""
        return not self._walked(params)[1] and not self._surplus(params)

    def tree(self, params: Mapping[str, Value]) -> dict[str, Any]:
        """The config tree with these values in place; the caller owns it.

        Raises:
            ValueError: The space does not contain the parameters; with every reason.
        """
        if misfits := self._walked(params)[1] + self._surplus(params):
            raise ValueError(f"not in space {self.name}: {'; '.join(misfits)}")
        preset = params.get(PRESET)
        tree = self.base_tree(None if preset is None else str(preset))
        parts = {part.name for made in self.stage_weights.values() for part in made.parts}
        for name, value in params.items():
            if name not in parts and name != PRESET:
                set_value(tree, name, value)
        for name, made in self.stage_weights.items():
            if (weights := weights_from_params(made, params)) is not None:
                set_value(tree, name, weights)
        return tree

    def params_of(self, tree: Mapping[str, Any]) -> Params:
        """The parameters of a config tree: the inverse of `tree`.

        Settings that this space neither fixes nor varies are ignored, and so are the values of
        inactive dimensions: a full dump of a config will do. Of several presets that fit, the
        one counts that names most of the tree's values, the first of equals.

        Raises:
            ValueError: The tree is not in the space; with every reason.
        """
        given = flatten(tree)
        for name, made in self.stage_weights.items():
            if are_weights(given.get(name)):
                given |= made.numbers(given[name])
        tries = [given | {PRESET: name} for name in self.presets] or [given]
        found = [self._misfits_of(each) for each in tries]
        misfits, _ = best = min(found, key=lambda each: (len(each[0]), -each[1]))
        values = tries[found.index(best)]
        if misfits:
            where = f" with {PRESET} {values[PRESET]!r}" if self.presets else ""
            raise ValueError(f"not in space {self.name}{where}: {'; '.join(misfits)}")
        return self.sample(lambda dimension: values[dimension.name])

    def _misfits_of(self, given: Mapping[str, Any]) -> tuple[list[str], int]:
        """Why these values of a tree are not in the space, and how many fixed ones agree."""
        active, misfits = self._walked(given)
        made = {name for name, each in self.stage_weights.items() if each.parts[0].name in active}
        fixed = {
            name: value
            for name, value in flatten(self.base_tree(given.get(PRESET))).items()
            if name in given and name not in active and name not in made
        }
        differing = [
            f"{name} is {short_repr(given[name])}, fixed at {short_repr(value)}"
            for name, value in fixed.items()
            if not equal_values(json_value(given[name]), json_value(value))
        ]
        return differing + misfits, len(fixed) - len(differing)

    def _walked(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The parameters that are active, and why they are not in the space."""
        misfits, active = [], dict[str, Any]()
        fixed = self.fixed_values()
        for dimension in self.dimensions:
            name = dimension.name
            if not is_active(dimension.when, {**fixed, **active}):
                continue
            if name not in params:
                misfits.append(f"{name} is missing")
                continue
            active[name] = params[name]
            if not dimension.contains(params[name]):
                misfits.append(
                    f"{name} is {short_repr(params[name])}, not in {range_text(dimension)}"
                )
        return active, misfits

    def _surplus(self, params: Mapping[str, Any]) -> list[str]:
        """What is among the parameters and not active."""
        active, _ = self._walked(params)
        names = {dimension.name for dimension in self.dimensions}
        return [
            f"{name} has no effect, its condition does not hold"
            if name in names
            else f"{name} is no parameter{did_you_mean(name, sorted(names))}"
            for name in params
            if name not in active
        ]


def json_value(value: object) -> object:
    """The value as JSON has it: a tuple as a list."""
    return list(value) if isinstance(value, tuple) else value


def range_text(dimension: Dimension) -> str:
    """The dimension's values, for a message."""
    if isinstance(dimension, Choice):
        return f"{list(dimension.choices)}"
    step = f" in steps of {dimension.step}" if dimension.step not in (None, 1) else ""
    return f"{dimension.low}..{dimension.high}{step}"
