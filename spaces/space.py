"""A space: a config tree in which some values are ranges; independent of samplers and configs."""

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
    """The settings that a search varies, and the values of those that it does not.

    Attributes:
        name: Name of the space file without suffix.
        fixed: The tree of the values that do not vary.
        dimensions: The dimensions, ordered so that the parameter of a condition comes before the
            dimension that depends on it.
        stage_weights: Stage weights by dotted name; their parts are among the dimensions.
        presets: Config trees by name, which `fixed` overrides. The dimension `preset` chooses
            one of them.
        limits: Limits on the cost of a config.
        start_from: The starting points of a search as the file names them.
        search: Settings that the file suggests for a search, not yet validated.
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
        """Check names, the order of the dimensions, and the presets.

        Raises:
            ValueError: A name is given twice, the parameter of a condition does not come first,
                or the choices of the dimension `preset` are not the presets.
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
        """Return the values that do not vary, by dotted name."""
        return flatten(self.fixed)

    def base_tree(self, preset: str | None) -> dict[str, Any]:
        """Return a new tree: the preset's, overridden by the fixed values; without parameters."""
        return merge_trees(self.presets[preset] if preset is not None else {}, self.fixed)

    def sample(self, pick: Callable[[Dimension], Value]) -> Params:
        """Call `pick` for each active dimension in order and collect the values that it returns.

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
        """Return parameters with the chosen values, and with the first value of all others."""
        return self.sample(lambda each: chosen.get(each.name, each.extremes()[0]))

    def grid_points(self) -> Iterator[Params]:
        """Return every set of active parameters once, the first dimension slowest.

        Raises:
            ValueError: A dimension is continuous; with its name.
        """
        # Here and not in the iterator, which would raise only when the dimension is reached.
        for dimension in self.dimensions:
            dimension.points()
        return conditions.grid_points(self.dimensions, self.fixed_values())

    def num_points(self) -> int | None:
        """Return the number of grid points, None if a dimension is continuous.

        They are counted by conditions, not one by one, so a large grid costs no time.
        """
        return conditions.num_points(self.dimensions, self.fixed_values())

    def contains(self, params: Mapping[str, object]) -> bool:
        """Return whether these are exactly the active parameters, each inside its dimension."""
        return not self._active_values(params)[1] and not self._inactive_faults(params)

    def tree(self, params: Mapping[str, Value]) -> dict[str, Any]:
        """Return a new config tree with the values of these parameters.

        Raises:
            ValueError: The space does not contain the parameters; with every reason.
        """
        if faults := self._active_values(params)[1] + self._inactive_faults(params):
            raise ValueError(f"not in space {self.name}: {'; '.join(faults)}")
        preset = params.get(PRESET)
        tree = self.base_tree(None if preset is None else str(preset))
        # The parts of stage weights are not keys of the config; the preset is not either.
        parts = {part.name for each in self.stage_weights.values() for part in each.parts}
        for name, value in params.items():
            if name not in parts and name != PRESET:
                set_value(tree, name, value)
        for name, each in self.stage_weights.items():
            if (weights := weights_from_params(each, params)) is not None:
                set_value(tree, name, weights)
        return tree

    def params_of(self, tree: Mapping[str, Any]) -> Params:
        """Return the parameters of a config tree: the inverse of `tree`.

        Settings that this space neither fixes nor varies are ignored, and so are the values of
        inactive dimensions, so a full dump of a config is accepted. Of several presets that fit,
        take the one that sets most of the tree's values, the first on a tie.

        Raises:
            ValueError: The tree is not in the space; with every reason.
        """
        given = flatten(tree)
        for name, each in self.stage_weights.items():
            if are_weights(given.get(name)):
                given |= each.numbers(given[name])
        # A config does not record which preset it came from, so each is tried.
        tries = [given | {PRESET: name} for name in self.presets] or [given]
        found = [self._faults_of(each) for each in tries]
        faults, _ = best = min(found, key=lambda each: (len(each[0]), -each[1]))
        values = tries[found.index(best)]
        if faults:
            where = f" with {PRESET} {values[PRESET]!r}" if self.presets else ""
            raise ValueError(f"not in space {self.name}{where}: {'; '.join(faults)}")
        return self.sample(lambda dimension: values[dimension.name])

    def _faults_of(self, given: Mapping[str, Any]) -> tuple[list[str], int]:
        """Return why these values are not in the space, and how many fixed ones agree."""
        active, faults = self._active_values(given)
        # Active dimensions and stage weights override what is fixed or set by a preset.
        weights = {
            name for name, each in self.stage_weights.items() if each.parts[0].name in active
        }
        fixed = {
            name: value
            for name, value in flatten(self.base_tree(given.get(PRESET))).items()
            if name in given and name not in active and name not in weights
        }
        differing = [
            f"{name} is {short_repr(given[name])}, fixed at {short_repr(value)}"
            for name, value in fixed.items()
            if not equal_values(json_value(given[name]), json_value(value))
        ]
        return differing + faults, len(fixed) - len(differing)

    def _active_values(self, params: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the values of the active dimensions, and why any are not in the space."""
        faults, active = [], dict[str, Any]()
        fixed = self.fixed_values()
        for dimension in self.dimensions:
            name = dimension.name
            if not is_active(dimension.when, {**fixed, **active}):
                continue
            if name not in params:
                faults.append(f"{name} is missing")
                continue
            active[name] = params[name]
            if not dimension.contains(params[name]):
                faults.append(
                    f"{name} is {short_repr(params[name])}, not in {range_text(dimension)}"
                )
        return active, faults

    def _inactive_faults(self, params: Mapping[str, Any]) -> list[str]:
        """Return a fault for each given parameter that is unknown or not active."""
        active, _ = self._active_values(params)
        names = {dimension.name for dimension in self.dimensions}
        return [
            f"{name} has no effect, its condition does not hold"
            if name in names
            else f"{name} is no parameter{did_you_mean(name, sorted(names))}"
            for name in params
            if name not in active
        ]


def json_value(value: object) -> object:
    """Return a tuple as a list, as it reads back from JSON; other values unchanged."""
    # Configs hold tuples and journals hold lists; Python finds (1, 2) != [1, 2].
    return list(value) if isinstance(value, tuple) else value


def range_text(dimension: Dimension) -> str:
    """Return the range or the choices of a dimension as text for a message."""
    if isinstance(dimension, Choice):
        return f"{list(dimension.choices)}"
    step = f" in steps of {dimension.step}" if dimension.step not in (None, 1) else ""
    return f"{dimension.low}..{dimension.high}{step}"
