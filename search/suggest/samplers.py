"""The samplers by name, and the spaces and schedulers that each does not support."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler

from search.suggest.sampler_kind import SamplerKind
from spaces.dimensions import Float
from spaces.files.errors import ConfigError
from spaces.space import Space

SETTING = "sampler"
# In this order the alternatives are named.
SEVERAL_GOALS: tuple[SamplerKind, ...] = ("tpe", "random")


def make_sampler(kind: SamplerKind, seed: int) -> BaseSampler:
    """Return a new Optuna sampler.

    A grid needs none, since its points are visited in order; it gets a random one.
    """
    with warnings.catch_warnings():
        # `group` models each set of conditional parameters by itself; experimental since 2.8.
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "tpe":
            # TPE: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011.
            # `multivariate` draws all parameters jointly: batch size and learning rate interact.
            # `constant_liar` keeps parallel trials from being suggested near the same point.
            return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        if kind == "gp":
            return GPSampler(seed=seed)
        return RandomSampler(seed)


def refuse_unfit(
    kind: SamplerKind, space: Space, *, stops_early: bool, num_goals: int = 1
) -> None:
    """Refuse a sampler that does not support the goals, the space or the scheduler.

    Args:
        kind: The sampler.
        space: The space to draw from.
        stops_early: Whether trials may be stopped early.
        num_goals: Number of goals.

    Raises:
        ConfigError: Naming the setting, the reason and the fix.
    """
    if num_goals > 1 and kind not in SEVERAL_GOALS:
        raise ConfigError(
            f"{SETTING} {kind!r} cannot honour an objective of {num_goals} goals: it compares "
            f"trials by one figure; use sampler {' or '.join(SEVERAL_GOALS)}, or objective: veer"
        )
    if reason := _unfit(kind, space, stops_early):
        raise ConfigError(f"{SETTING} {kind!r} cannot honour {reason}")


def _unfit(kind: SamplerKind, space: Space, stops_early: bool) -> str | None:
    if kind == "grid":
        for dimension in space.dimensions:
            if isinstance(dimension, Float) and dimension.step is None:
                return (
                    f"{dimension.name}: a grid needs values to count, and this range is "
                    "continuous; give it a step or choices, or use sampler tpe or random"
                )
        if space.start_from:
            return "start_from: a grid runs every point anyway; leave start_from out"
    if kind == "gp":
        return _unfit_for_gp(space, stops_early)
    return None


def _unfit_for_gp(space: Space, stops_early: bool) -> str | None:
    if stops_early:
        return (
            "early stopping: it learns from complete trials only; set scheduler.kind to none, or "
            "use sampler tpe"
        )
    for dimension in space.dimensions:
        if dimension.when:
            conditions = " and ".join(condition.parameter for condition in dimension.when)
            return (
                f"conditions: {dimension.name} depends on {conditions}, and it models one fixed "
                "set of parameters; use sampler tpe"
            )
    if space.limits.names:
        return (
            f"limits ({', '.join(space.limits.names)}): it learns nothing from a config that was "
            "rejected; use sampler tpe"
        )
    return None
