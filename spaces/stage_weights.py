"""Weights of the stages of a distillation as dimensions of a space.

Only the ratios of the weights count, so what is sampled are numbers that fix the ratios and no
more: no two sets of numbers mean the same weights. In a space file:

    stage_weights: {ramp: {low: 0.1, high: 4}}    two weights, which any depth stretches
    stage_weights: {free: 7}                      seven weights, evenly on the simplex
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.dimensions import Dimension, Flag, Float, Number, Value, Whole, WithConditions

# Digits and tolerance of normalised weights: normalising them again changes nothing.
SHARE_DIGITS = 12
SHARE_TOLERANCE = 1e-6
# Weights this near are the same but for rounding, where a value lies just outside its range.
ROUNDING_TOLERANCE = 1e-10
MAX_RATIO = 1000.0
# More free weights would lose too much of the simplex to the bound below.
MAX_STAGES = 16
# What the last two free weights have together at least: of less, rounding to SHARE_DIGITS leaves
# too few digits to tell how it is shared out.
SMALLEST_REST = 1e-5


def normalise_weights(weights: Sequence[float]) -> list[float]:
    """The weights over their sum, rounded so that equal ratios give equal numbers."""
    total = sum(weights)
    if abs(total - 1) < SHARE_TOLERANCE:
        total = 1.0
    return [round(weight / total, SHARE_DIGITS) for weight in weights]


@dataclass(frozen=True, kw_only=True, slots=True)
class RampWeights:
    """Two weights, of the first stage and of the last, by their ratio.

    Attributes:
        name: Dotted place of the list in the config tree.
        ratio: First weight over last.
    """

    name: str
    ratio: Float

    @property
    def parts(self) -> tuple[Float, ...]:
        """The dimension that is sampled."""
        return (self.ratio,)

    def with_parts(self, dimensions: Iterable[Dimension]) -> "RampWeights":
        """The same with the part as it stands among the dimensions."""
        (ratio,) = _matching(self.parts, dimensions)
        return RampWeights(name=self.name, ratio=ratio)

    def weights(self, params: Mapping[str, Any]) -> list[float]:
        """The two weights; their sum is 1."""
        ratio = float(params[self.ratio.name])
        first = round(ratio / (1 + ratio), SHARE_DIGITS)
        return [first, round(1 - first, SHARE_DIGITS)]

    def numbers(self, weights: Sequence[float]) -> dict[str, float]:
        """The inverse; of more than two weights the first and the last count."""
        first, last = float(weights[0]), float(weights[-1])
        ratio = first / last if last else float("inf")
        return _onto_bounds(self, {self.ratio.name: ratio}, [first, last])


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeWeights:
    """One weight a stage, by breaking a stick of length 1.

    Weight k of n takes 1 - (1-u)^(1/(n-k)) of what the earlier ones left. With each u even on
    0..1 the weights are even on the simplex (Dirichlet(1, ..., 1); its components are the
    Beta(1, n-k) shares of what is left: Devroye, Non-Uniform Random Variate Generation, 1986,
    ch. XI.4). The upper bound lies a little below 1, since nothing could be read from weights of
    which an earlier one took all; that leaves out 0.2 % of the simplex for seven weights, and
    10 % for sixteen.

    Attributes:
        name: Dotted place of the list in the config tree.
        parts: The u, one fewer than there are weights.
    """

    name: str
    parts: tuple[Float, ...]

    def with_parts(self, dimensions: Iterable[Dimension]) -> "FreeWeights":
        """The same with the parts as they stand among the dimensions."""
        return FreeWeights(name=self.name, parts=_matching(self.parts, dimensions))

    def weights(self, params: Mapping[str, Any]) -> list[float]:
        """The weights; their sum is 1."""
        found: list[float] = []
        rest, num_after = 1.0, len(self.parts)
        for part in self.parts:
            share = 1 - (1 - float(params[part.name])) ** (1 / num_after)
            found.append(round(rest * share, SHARE_DIGITS))
            # Of the rounded weights, as `numbers` will see it.
            rest, num_after = round(rest - found[-1], SHARE_DIGITS), num_after - 1
        return [*found, rest]

    def numbers(self, weights: Sequence[float]) -> dict[str, float]:
        """The inverse; another number of weights is first taken to this one, linearly."""
        shares = normalise_weights(stretch_weights(weights, len(self.parts) + 1))
        found: dict[str, float] = {}
        rest, num_after = 1.0, len(self.parts)
        for part, weight in zip(self.parts, shares, strict=False):
            share = min(1.0, weight / rest) if rest > 0 else 0.0
            found[part.name] = 1 - (1 - share) ** num_after
            rest, num_after = round(rest - weight, SHARE_DIGITS), num_after - 1
        return _onto_bounds(self, found, shares)


StageWeights = RampWeights | FreeWeights


class RampRange(BaseModel):
    """The range of the ratio of first weight to last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Number
    high: Number
    log: Flag = True

    @model_validator(mode="after")
    def _is_a_ratio(self) -> Self:
        low, high = self.low, self.high
        if low > high:
            raise ValueError(f"low <= high must hold, got low={low}, high={high}")
        if self.log and low <= 0:
            raise ValueError(f"a log range must lie above 0, got low={low}; or set log: false")
        if low < 0 or 0 < low < 1 / MAX_RATIO or high > MAX_RATIO:
            raise ValueError(
                f"first weight over last must lie in {1 / MAX_RATIO:g}..{MAX_RATIO:g}, or be 0, "
                f"got low={low}, high={high}"
            )
        return self


class StageWeightsRange(WithConditions):
    """What stands in a space file in place of stage weights: `ramp` or `free`, maybe `when`."""

    ramp: RampRange | None = None
    free: Whole | None = Field(None, ge=2, le=MAX_STAGES)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.ramp is None) == (self.free is None):
            raise ValueError("must be either ramp: {low: ..., high: ...} or free: NUMBER")
        return self

    def build(self) -> StageWeights:
        """The dimensions."""
        if self.ramp is not None:
            data = self.ramp.model_dump() | {"when": self.when}
            return RampWeights(name=self.name, ratio=Float(name=f"{self.name}.ratio", **data))
        num_weights = self.free or 0
        high = _highest_part(num_weights)
        parts = (
            Float(name=f"{self.name}.u{number}", low=0, high=high, when=self.when)
            for number in range(1, num_weights)
        )
        return FreeWeights(name=self.name, parts=tuple(parts))


def stretch_weights(weights: Sequence[float], num_weights: int) -> list[float]:
    """Weights taken to another number of stages by linear interpolation."""
    if len(weights) == num_weights:
        return list(weights)
    places = np.linspace(0, 1, num_weights)
    found: list[float] = np.interp(places, np.linspace(0, 1, len(weights)), weights).tolist()
    return found if any(found) else list(weights[:1]) * num_weights


def are_weights(value: object) -> bool:
    """Whether this is a list of numbers from 0, not all 0."""
    return (
        isinstance(value, list | tuple)
        and all(isinstance(each, int | float) and each >= 0 for each in value)
        and sum(value) > 0
    )


def _matching(parts: Iterable[Float], dimensions: Iterable[Dimension]) -> tuple[Float, ...]:
    by_name = {each.name: each for each in dimensions if isinstance(each, Float)}
    return tuple(by_name[part.name] for part in parts)


def _highest_part(num_weights: int) -> float:
    """The u at which, taken by all, SMALLEST_REST is left to the last two weights."""
    exponent = sum(1 / num_after for num_after in range(2, num_weights))
    if not exponent:
        return 1.0
    return float(np.floor(1e6 * (1 - SMALLEST_REST ** (1 / exponent))) / 1e6)


def _onto_bounds(
    made: StageWeights, numbers: dict[str, float], weights: Sequence[float]
) -> dict[str, float]:
    """The numbers, moved onto the bounds where no more than rounding had them outside."""
    clipped = clip_to_bounds(made, numbers)
    here, there = made.weights(clipped), normalise_weights(weights)
    is_near = all(abs(a - b) <= ROUNDING_TOLERANCE for a, b in zip(here, there, strict=True))
    return clipped if is_near else numbers


def clip_to_bounds(made: StageWeights, numbers: Mapping[str, float]) -> dict[str, float]:
    """Each number, or the bound that it lies beyond."""
    bounds = {part.name: (part.low, part.high) for part in made.parts}
    return {name: min(max(u, bounds[name][0]), bounds[name][1]) for name, u in numbers.items()}


def weights_from_params(made: StageWeights, params: Mapping[str, Value]) -> list[float] | None:
    """The list, or None where its numbers are not among the parameters."""
    names = [part.name for part in made.parts]
    return made.weights(params) if all(name in params for name in names) else None
