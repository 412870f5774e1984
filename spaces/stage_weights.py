"""The weights of distillation stages as dimensions of a space.

Only the ratios of the weights matter, so a sampler draws numbers that determine the ratios and
nothing else: no two sets of numbers give the same weights. In a space file:

    stage_weights: {ramp: {low: 0.1, high: 4}}    two weights, interpolated over the stages
    stage_weights: {free: 7}                      seven weights, uniform on the simplex
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.dimensions import Dimension, Flag, Float, Number, Value, Whole, WithConditions

# Digits and tolerance of normalised weights, so that normalising them again changes nothing.
SHARE_DIGITS = 12
SHARE_TOLERANCE = 1e-6
# Weights this close differ by rounding only; a number just outside its range is moved into it.
ROUNDING_TOLERANCE = 1e-10
# At this ratio the smaller weight is 0.1 % of the sum.
MAX_RATIO = 1000.0
# More free weights would lose too much of the simplex to the bound by SMALLEST_REST.
MAX_STAGES = 16
# The least sum of the last two free weights: of a smaller sum, rounding to SHARE_DIGITS leaves too
# few digits to recover the ratio of the two.
SMALLEST_REST = 1e-5


def normalise_weights(weights: Sequence[float]) -> list[float]:
    """Return the weights divided by their sum, rounded so that equal ratios give equal numbers."""
    total = sum(weights)
    if abs(total - 1) < SHARE_TOLERANCE:
        total = 1.0
    return [round(weight / total, SHARE_DIGITS) for weight in weights]


@dataclass(frozen=True, kw_only=True, slots=True)
class RampWeights:
    """Two weights, of the first and the last stage, given by their ratio.

    Attributes:
        name: Dotted name of the list in the config tree.
        ratio: The dimension of the first weight divided by the last.
    """

    name: str
    ratio: Float

    @property
    def parts(self) -> tuple[Float, ...]:
        """The one dimension that is sampled."""
        return (self.ratio,)

    def with_parts(self, dimensions: Iterable[Dimension]) -> "RampWeights":
        """Return a copy whose part is the one among the dimensions, with its conditions."""
        (ratio,) = _matching(self.parts, dimensions)
        return RampWeights(name=self.name, ratio=ratio)

    def weights(self, params: Mapping[str, Any]) -> list[float]:
        """Return the two weights; their sum is 1."""
        ratio = float(params[self.ratio.name])
        first = round(ratio / (1 + ratio), SHARE_DIGITS)
        # From the rounded first weight, so that rounding does not change the sum.
        return [first, round(1 - first, SHARE_DIGITS)]

    def numbers(self, weights: Sequence[float]) -> dict[str, float]:
        """Return the ratio, the inverse of `weights`; only the first and the last count."""
        first, last = float(weights[0]), float(weights[-1])
        ratio = first / last if last else float("inf")
        return _onto_bounds(self, {self.ratio.name: ratio}, [first, last])


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeWeights:
    """One weight per stage, by breaking a stick of length 1.

    Weight k of n takes the share 1 - (1-u)^(1/(n-k)) of what the earlier weights left. With each u
    uniform on 0..1 the weights are uniform on the simplex (Dirichlet(1, ..., 1); its components
    are Beta(1, n-k) shares of the rest: Devroye, Non-Uniform Random Variate Generation, 1986, ch.
    XI.4). The upper bound of u is a little below 1: if an earlier weight took everything, the
    later u could not be recovered from the weights. The bound excludes 0.2 % of the simplex for
    seven weights, and 10 % for sixteen.

    Attributes:
        name: Dotted name of the list in the config tree.
        parts: The dimensions of the u, one fewer than there are weights.
    """

    name: str
    parts: tuple[Float, ...]

    def with_parts(self, dimensions: Iterable[Dimension]) -> "FreeWeights":
        """Return a copy whose parts are those among the dimensions, with their conditions."""
        return FreeWeights(name=self.name, parts=_matching(self.parts, dimensions))

    def weights(self, params: Mapping[str, Any]) -> list[float]:
        """Return one weight per stage, first stage first; their sum is 1."""
        found: list[float] = []
        rest, num_after = 1.0, len(self.parts)
        for part in self.parts:
            share = 1 - (1 - float(params[part.name])) ** (1 / num_after)
            found.append(round(rest * share, SHARE_DIGITS))
            # The rest of the rounded weights, since `numbers` sees only those.
            rest, num_after = round(rest - found[-1], SHARE_DIGITS), num_after - 1
        return [*found, rest]

    def numbers(self, weights: Sequence[float]) -> dict[str, float]:
        """Return the u, the inverse of `weights`; interpolate for another number of stages."""
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
    """The range of the first weight divided by the last."""

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
    """The form of stage weights in a space file: `ramp` or `free`, and optionally `when`."""

    ramp: RampRange | None = None
    free: Whole | None = Field(None, ge=2, le=MAX_STAGES)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.ramp is None) == (self.free is None):
            raise ValueError("must be either ramp: {low: ..., high: ...} or free: NUMBER")
        return self

    def build(self) -> StageWeights:
        """Return the stage weights with their dimensions."""
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
    """Interpolate weights linearly to another number of stages."""
    if len(weights) == num_weights:
        return list(weights)
    positions = np.linspace(0, 1, num_weights)
    found: list[float] = np.interp(positions, np.linspace(0, 1, len(weights)), weights).tolist()
    # The only weights above 0 may lie between the positions: all 0 would be no weights.
    return found if any(found) else list(weights[:1]) * num_weights


def are_weights(value: object) -> bool:
    """Return whether this is a list of numbers of at least 0 that are not all 0."""
    return (
        isinstance(value, list | tuple)
        and all(isinstance(each, int | float) and each >= 0 for each in value)
        and sum(value) > 0
    )


def _matching(parts: Iterable[Float], dimensions: Iterable[Dimension]) -> tuple[Float, ...]:
    by_name = {each.name: each for each in dimensions if isinstance(each, Float)}
    return tuple(by_name[part.name] for part in parts)


def _highest_part(num_weights: int) -> float:
    """Return the u that, taken by all parts, leaves SMALLEST_REST to the last two weights."""
    exponent = sum(1 / num_after for num_after in range(2, num_weights))
    if not exponent:
        return 1.0
    # Rounded down: only a smaller bound leaves at least that rest.
    return float(np.floor(1e6 * (1 - SMALLEST_REST ** (1 / exponent))) / 1e6)


def _onto_bounds(
    stage_weights: StageWeights, numbers: dict[str, float], weights: Sequence[float]
) -> dict[str, float]:
    """Return the numbers, moved onto their bounds if only rounding put them outside."""
    clipped = clip_to_bounds(stage_weights, numbers)
    here, there = stage_weights.weights(clipped), normalise_weights(weights)
    is_near = all(abs(a - b) <= ROUNDING_TOLERANCE for a, b in zip(here, there, strict=True))
    return clipped if is_near else numbers


def clip_to_bounds(
    stage_weights: StageWeights, numbers: Mapping[str, float]
) -> dict[str, float]:
    """Return the numbers, each clipped to the bounds of its part."""
    bounds = {part.name: (part.low, part.high) for part in stage_weights.parts}
    return {name: min(max(u, bounds[name][0]), bounds[name][1]) for name, u in numbers.items()}


def weights_from_params(
    stage_weights: StageWeights, params: Mapping[str, Value]
) -> list[float] | None:
    """Return the weights, or None if their numbers are not among the parameters."""
    names = [part.name for part in stage_weights.parts]
    return stage_weights.weights(params) if all(name in params for name in names) else None
