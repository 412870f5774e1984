"""The size of a space and the costs of its configs, before training. Needs no Ray."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from models import ModelConfig
from search.estimates.architectures import MODEL, Architectures, drawn_trees, find_architectures
from search.estimates.feasibility import LimitChecker, ModelCost, num_macs, num_params
from spaces.dimensions import Value
from spaces.files.errors import ConfigError
from spaces.space import Space
from trainable.config.trial_config import TrialConfig

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """The effort of a space report.

    Attributes:
        num_samples: Random configs that are checked against the limits.
        seed: Seed of the samples.
        max_walked: Most settings of the model that are walked; a space with more is sampled.
        max_macs_counted: Most architectures whose multiply-accumulates are counted.
    """

    num_samples: int = 200
    seed: int = 0
    max_walked: int = 20_000
    max_macs_counted: int = 200

    def __post_init__(self) -> None:
        for name in ("num_samples", "max_walked", "max_macs_counted"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extreme:
    """The lowest or highest value of a cost, and the settings that have it.

    Attributes:
        value: The value, in the unit of the cost.
        settings: Values by dotted name. For an architecture, the settings in which the space's
            architectures differ; for a config, its parameters in the space.
    """

    value: float
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRange:
    """The range of a cost.

    Attributes:
        smallest: The lowest value; the first of equals.
        largest: The highest value; the first of equals.
        num_measured: Architectures or configs that were measured.
        is_all: Whether these are all in the space.
        is_estimated: Whether a value was estimated, not counted or measured.
    """

    smallest: Extreme
    largest: Extreme
    num_measured: int
    is_all: bool
    is_estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomConfigs:
    """The results of random configs checked against the space's limits.

    Attributes:
        num_drawn: Random configs in the sample.
        num_refused: Configs that break a rule of the config itself.
        num_inside: Configs that break no rule and no limit.
        num_breaking: Number of configs that break each limit; one config may break several.
        drawn_of: Random configs of each family of the model.
        inside_of: Those of them that break no rule and no limit.
        ranges: Range of each limited cost other than parameters and multiply-accumulates.
    """

    num_drawn: int
    num_refused: int
    num_inside: int
    num_breaking: Mapping[str, int]
    drawn_of: Mapping[str, int]
    inside_of: Mapping[str, int]
    ranges: Mapping[str, CostRange]

    @property
    def fraction_inside(self) -> float:
        """Fraction of the sampled configs that a search would train."""
        return self.num_inside / self.num_drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceReport:
    """The size of a space and the costs of its configs.

    Attributes:
        space: The space.
        num_configs: Number of configs; None if a dimension is continuous.
        architectures: The distinct model configs.
        params: Range of trainable parameters of the network.
        macs: Range of multiply-accumulates for a 2-s utterance, without the front end.
        random: Results of random configs.
    """

    space: Space
    num_configs: int | None
    architectures: Architectures
    params: CostRange
    macs: CostRange
    random: RandomConfigs


def describe_space(
    space: Space,
    checker: LimitChecker,
    config: ReportConfig | None = None,
    progress: Progress | None = None,
) -> SpaceReport:
    """Count the configs of a space and measure their costs.

    Args:
        space: A space of trial configs.
        checker: Checker of the space's limits.
        config: The effort.
        progress: Called with (number measured, number to measure).

    Raises:
        ConfigError: A limit needs a teacher, or no random setting of the model is valid.
        CheckpointError: The teacher's file is damaged.
        TrainingError: A config cannot be trained with this teacher.
    """
    config = config or ReportConfig()
    architectures = _architectures(space, config)
    models = architectures.models
    num_counted = min(len(models), config.max_macs_counted)
    count = _Counter(len(models) + num_counted + config.num_samples, progress)
    # First, since it fails if a teacher is needed and missing.
    held = _random_configs(space, checker, config, count)
    shown = _differing(models)
    params = _measured(models, num_params, shown, count)
    sample = _sample(models, params, num_counted, config.seed)
    return SpaceReport(
        space=space,
        num_configs=space.num_points(),
        architectures=architectures,
        params=_range(params, is_all=architectures.is_all),
        macs=_range(
            _measured(sample, num_macs, shown, count),
            is_all=architectures.is_all and num_counted == len(models),
        ),
        random=held,
    )


def _architectures(space: Space, config: ReportConfig) -> Architectures:
    found = find_architectures(
        space, max_walked=config.max_walked, num_drawn=config.num_samples, seed=config.seed
    )
    if not found.models:
        raise ConfigError(
            f"space {space.name}: none of {config.num_samples} random configs has a model that "
            "its config takes; narrow the ranges of model"
        )
    return found


@dataclass(slots=True)
class _Counter:
    """Counts the finished measurements and reports the progress."""

    total: int
    progress: Progress | None
    done: int = 0

    def __call__(self) -> None:
        self.done += 1
        if self.progress:
            self.progress(self.done, self.total)


def _measured(
    models: Sequence[ModelConfig],
    cost: Callable[[ModelConfig], int],
    shown: frozenset[str],
    count: Callable[[], None],
) -> list[Extreme]:
    """Return the cost of each architecture in order, with the settings named in `shown`."""
    found = []
    for model in models:
        values = model.model_dump(mode="json").items()
        settings = {f"{MODEL}.{name}": value for name, value in values if name in shown}
        found.append(Extreme(value=cost(model), settings=settings))
        count()
    return found


@dataclass(slots=True)
class _Tally:
    """Counts over the random configs so far."""

    num_refused: int = 0
    num_inside: int = 0
    num_breaking: dict[str, int] = field(default_factory=dict)
    drawn_of: Counter[str] = field(default_factory=Counter)
    inside_of: Counter[str] = field(default_factory=Counter)
    costs: dict[str, list[tuple[ModelCost, Mapping[str, Value]]]] = field(default_factory=dict)


def _random_configs(
    space: Space, checker: LimitChecker, config: ReportConfig, count: Callable[[], None]
) -> RandomConfigs:
    tally = _Tally(num_breaking=dict.fromkeys(space.limits.names, 0))
    for tree in drawn_trees(space, config.num_samples, config.seed):
        _add_to_tally(tree, space, checker, tally)
        count()
    ranges = {
        limit: _range(
            [Extreme(value=cost.value, settings=settings) for cost, settings in costs],
            is_all=False,
            is_estimated=any(cost.is_estimated for cost, _ in costs),
        )
        for limit, costs in tally.costs.items()
    }
    return RandomConfigs(
        num_drawn=config.num_samples,
        num_refused=tally.num_refused,
        num_inside=tally.num_inside,
        num_breaking=tally.num_breaking,
        drawn_of=tally.drawn_of,
        inside_of=tally.inside_of,
        # These two are counted for all architectures, not only for the random configs.
        ranges={k: v for k, v in ranges.items() if k not in ("max_params", "max_macs")},
    )


def _add_to_tally(
    tree: Mapping[str, Any], space: Space, checker: LimitChecker, tally: _Tally
) -> None:
    """Add one config's violations and costs to the tally."""
    try:
        trial = TrialConfig.model_validate(tree)
    except ValidationError:
        tally.num_refused += 1
        return
    violations = checker.violations(trial)
    tally.num_inside += not violations
    tally.drawn_of[trial.model.family] += 1
    tally.inside_of[trial.model.family] += not violations
    for violation in violations:
        tally.num_breaking[violation.limit] += 1
    for limit, cost in checker.costs(trial).items():
        tally.costs.setdefault(limit, []).append((cost, space.params_of(tree)))


def _range(found: Sequence[Extreme], *, is_all: bool, is_estimated: bool = False) -> CostRange:
    return CostRange(
        smallest=min(found, key=lambda each: each.value),
        largest=max(found, key=lambda each: each.value),
        num_measured=len(found),
        is_all=is_all,
        is_estimated=is_estimated,
    )


def _sample(
    models: Sequence[ModelConfig], params: Sequence[Extreme], num: int, seed: int
) -> list[ModelConfig]:
    """Return a random sample of `num` models that includes the smallest and the largest."""
    if num >= len(models):
        return list(models)
    order = sorted(range(len(models)), key=lambda index: params[index].value)
    # The extremes are what the report shows; a plain sample would miss them.
    ends = [order[0], order[-1]][:num]
    inner = random.Random(seed).sample(order[1:-1], num - len(ends))
    return [models[index] for index in sorted([*ends, *inner])]


def _differing(models: Sequence[ModelConfig]) -> frozenset[str]:
    """Return the settings in which the models differ."""
    dumps = [model.model_dump(mode="json") for model in models]
    names = {name for dump in dumps for name in dump}
    return frozenset(
        name
        for name in names
        if any(name not in dump or dump[name] != dumps[0].get(name) for dump in dumps)
    )
