"""A space: a config tree in which some values are ranges. It knows no sampler and no config."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spaces.complaints import did_you_mean, shown
from spaces.dimensions import Choice, Dimension, Value, same

Params = dict[str, Value]


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """What a search may vary, and what it may not.

    Attributes:
        name: Of the file, without suffix.
        fixed: The tree of the values that do not vary.
        dimensions: In an order in which a condition's parameter comes before the dimension
            that depends on it.
    """

    name: str
    fixed: Mapping[str, Any]
    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        """Refuse a space that could not be walked.

        Raises:
            ValueError: A name stands twice, or a condition's parameter does not come first.
        """
        known = set(self.fixed_values())
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

    def fixed_values(self) -> dict[str, Any]:
        """The values that do not vary, by dotted name."""
        return leaves(self.fixed)

    def sample(self, pick: Callable[[Dimension], Value]) -> Params:
        """Walk the dimensions in order and let `pick` choose a value for each active one.

        Returns:
            The active parameters by dotted name, in order.

        Raises:
            ValueError: `pick` returned a value outside its dimension.
        """
        params: Params = {}
        for dimension in self.dimensions:
            if self._is_active(dimension, params):
                params[dimension.name] = value = pick(dimension)
                if not dimension.contains(value):
                    raise ValueError(
                        f"{dimension.name} is {shown(value)}, not in {_range(dimension)}"
                    )
        return params

    def contains(self, params: Mapping[str, object]) -> bool:
        """Whether these are exactly the active parameters, each inside its dimension."""
        return not self._misfits(params, exact=True)

    def tree(self, params: Mapping[str, Value]) -> dict[str, Any]:
        """The config tree with these values in place; the caller owns it.

        Raises:
            ValueError: The space does not contain the parameters; with every reason.
        """
        if misfits := self._misfits(params, exact=True):
            raise ValueError(f"not in space {self.name}: {'; '.join(misfits)}")
        tree: dict[str, Any] = copy.deepcopy(dict(self.fixed))
        for name, value in params.items():
            *parents, key = name.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[key] = value
        return tree

    def params_of(self, tree: Mapping[str, Any]) -> Params:
        """The parameters of a config tree: the inverse of `tree`.

        Settings that this space neither fixes nor varies are ignored, and so are the values of
        inactive dimensions: a full dump of a config will do.

        Raises:
            ValueError: The tree is not in the space; with every reason.
        """
        given = leaves(tree)
        misfits = [
            f"{name} is {shown(given[name])}, fixed at {shown(value)}"
            for name, value in self.fixed_values().items()
            if name in given and not same(_plain(given[name]), _plain(value))
        ]
        misfits += self._misfits(given, exact=False)
        if misfits:
            raise ValueError(f"not in space {self.name}: {'; '.join(misfits)}")
        return self.sample(lambda dimension: given[dimension.name])

    def _is_active(self, dimension: Dimension, params: Mapping[str, object]) -> bool:
        if not dimension.when:
            return True
        values = {**self.fixed_values(), **params}
        return all(
            condition.parameter in values and condition.allows(values[condition.parameter])
            for condition in dimension.when
        )

    def _misfits(self, params: Mapping[str, object], *, exact: bool) -> list[str]:
        """Why the active parameters are not these; unless `exact`, others may stand among them."""
        misfits, active = [], dict[str, object]()
        for dimension in self.dimensions:
            name = dimension.name
            if not self._is_active(dimension, active):
                continue
            if name not in params:
                misfits.append(f"{name} is missing")
                continue
            active[name] = params[name]
            if not dimension.contains(params[name]):
                misfits.append(f"{name} is {shown(params[name])}, not in {_range(dimension)}")
        names = {dimension.name for dimension in self.dimensions}
        for name in params if exact else ():
            if name not in names:
                misfits.append(f"{name} is no parameter{did_you_mean(name, sorted(names))}")
            elif name not in active:
                misfits.append(f"{name} has no effect, its condition does not hold")
        return misfits


def in_order(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
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


def leaves(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a tree by dotted name."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": leaf for name, leaf in leaves(value).items()}
        else:
            found[key] = value
    return found


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _range(dimension: Dimension) -> str:
    """The dimension's values, for a message."""
    if isinstance(dimension, Choice):
        return f"{list(dimension.choices)}"
    step = f" in steps of {dimension.step}" if dimension.step not in (None, 1) else ""
    return f"{dimension.low}..{dimension.high}{step}"
