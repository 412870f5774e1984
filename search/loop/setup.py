"""Assembly of a search from its settings and its space; independent of Ray."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.record_values import StartPoint
from results.records.search_records import StartPointsRead
from search.config.search_config import SearchConfig
from search.guided.prior import NO_PRIOR, Prior
from search.loop.appraisal import Appraisal
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import make_halving, scheduler_rungs
from search.loop.fault_ledger import FaultLedger
from search.loop.proposals import NO_LIMITS, Proposals
from search.loop.trial_course import Budget
from search.suggest.corner_configs import corner_configs
from search.suggest.eval_crops import EVAL_CROPS, sets_eval_crops
from search.suggest.samplers import refuse_unfit
from search.suggest.starting_points import starting_trees
from search.suggest.suggestions import Suggestion, Suggestions
from spaces.conditions import Params
from spaces.dimensions import PRESET
from spaces.files.errors import ConfigError, VeerError
from spaces.files.yaml_file import read_yaml
from spaces.fitting import fit_config
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.config.width_scale import WIDTH, scale_width
from trainable.machine.engine import require_precision

DEFAULT_NUM_TRIALS = 12
BATCH_SIZE = "training.batch_size"
# Fields of a trial's config that the search sets, so a starting point's values are ignored.
SEARCH_FIELDS = ("seed", "training.max_epochs")


def resolve(settings: SearchConfig, space: Space) -> SearchConfig:
    """Return the settings with the number of trials set, by the space where they leave it open.

    Raises:
        ConfigError: The sampler does not support the space, the scheduler or `learn_from`,
            repetitions have a fixed seed, the width is both varied and scaled, or the CPU lacks
            the precision.
    """
    refuse_unfit(
        settings.sampler,
        space,
        stops_early=settings.scheduler.kind != "none",
        num_goals=len(settings.objective),
    )
    if settings.learn_from and settings.sampler != "guided":
        raise ConfigError(
            f"learn_from needs sampler guided, got {settings.sampler!r}, which knows no earlier "
            "runs; set sampler: guided or leave learn_from out"
        )
    varied = {dimension.name for dimension in space.dimensions}
    if settings.repetitions > 1 and "seed" in space.fixed_values():
        raise ConfigError(
            f"repetitions must be 1 where the space fixes the seed, got {settings.repetitions}: "
            "the same config with the same seed gives the same; remove seed from the space"
        )
    if settings.width_scale != 1 and f"model.{WIDTH}" in varied:
        raise ConfigError(
            f"width_scale must be 1 where the space varies model.{WIDTH}, got "
            f"{settings.width_scale:g}; give that range smaller values instead"
        )
    # A GPU's precision is known only on the node that trains; the CPU's is known here.
    if settings.device == "cpu" or settings.resources.gpu == 0:
        why = "device is cpu" if settings.device == "cpu" else "resources.gpu is 0"
        require_precision(settings.engine.precision, f"the CPU ({why})")
    if settings.num_trials is not None:
        return settings
    num_trials = DEFAULT_NUM_TRIALS
    if settings.sampler == "grid":
        num_trials = settings.repetitions * len(_grid_recipes(settings, space))
    return settings.model_copy(update={"num_trials": num_trials})


def check_batches(space: Space, num_utterances: int) -> None:
    """Refuse a space with a config whose batch is larger than the training list.

    Raises:
        ConfigError: Naming the batch size and the number of training utterances.
    """
    # A preset may set the batch size too, where the space does not vary it.
    for _, config in corner_configs(space, frozenset({PRESET, BATCH_SIZE})):
        if config.training.batch_size > num_utterances:
            raise ConfigError(
                f"space {space.name}: {BATCH_SIZE} must be at most the number of training "
                f"utterances ({num_utterances}), got {config.training.batch_size}"
            )


def make_coordinator(
    settings: SearchConfig,
    space: Space,
    journal: Journal,
    *,
    prior: Prior = NO_PRIOR,
    appraisal: Appraisal = NO_LIMITS,
    eval_crops: int | None = None,
    **options: Any,
) -> Coordinator:
    """Return a coordinator with sampler, limits, early stopping and budget.

    Args:
        settings: The settings, resolved.
        space: The space to search.
        journal: Receives every record before it takes effect.
        prior: What is known before the first trial.
        appraisal: Finds out which limits a config breaks, and its costs.
        eval_crops: Crops of a validation utterance where the space does not set them.
        options: Further arguments of `Coordinator`, such as a `ledger` that prints faults, or
            another `early_stopping` than that of the settings.
    """
    suggestions = Suggestions(
        space,
        kind=settings.sampler,
        seed=settings.seed,
        prior=prior,
        passes=settings.repetitions,
        num_goals=len(settings.objective),
    )
    proposals = Proposals(
        suggestions,
        journal,
        make_config=config_maker(settings, eval_crops),
        appraisal=appraisal,
        repetitions=settings.repetitions,
        decide_by=settings.decide_by,
    )
    budget = Budget(
        num_trials=settings.num_trials or DEFAULT_NUM_TRIALS,
        max_epochs=settings.max_epochs,
        time_limit_s=settings.time_limit_s,
        target_pct=settings.target_pct,
        total_epochs=settings.total_epochs,
        follow_ups=settings.follow_ups,
    )
    options = {
        "early_stopping": make_halving(settings.scheduler, settings.max_epochs),
        "ledger": FaultLedger(journal, settings.faults),
        **options,
    }
    return Coordinator(proposals, journal=journal, budget=budget, **options)


def halving_rungs(settings: SearchConfig) -> list[float]:
    """Return the epochs at which trials are compared; empty without early stopping."""
    return scheduler_rungs(settings.scheduler, settings.max_epochs)


def config_maker(
    settings: SearchConfig, eval_crops: int | None = None
) -> Callable[[Suggestion], TrialConfig]:
    """Return a function that turns a suggestion into a trial's config.

    The config has the suggestion's seed and these `eval_crops`, unless the space sets them.
    """
    own = {} if eval_crops is None else {"eval_crops": eval_crops}
    return lambda suggestion: make_trial_config(suggestion.tree, suggestion.seed, settings, own)


def start_points(space: Space, file: Path, records: Sequence[Record]) -> list[StartPoint]:
    """Return the configs of the space's `start_from`, mapped onto the space.

    Args:
        space: Names the sources.
        file: The space's file; relative paths count from its folder.
        records: An earlier run's records; its starting points are returned unchanged, since the
            sources may have changed meanwhile.

    Returns:
        For each config its source, its params (None if it does not fit) and remarks on every
        value that had to be changed.

    Raises:
        ConfigError: A source is unknown or cannot be read; with file and line.
    """
    earlier = latest(records, StartPointsRead)
    if earlier is not None:
        return list(earlier.points)
    # Where the space leaves them open, `choose_eval_crops` sets them for all trials alike.
    own = SEARCH_FIELDS if sets_eval_crops(space) else (*SEARCH_FIELDS, EVAL_CROPS)
    points: list[StartPoint] = []
    for position, text in enumerate(space.start_from):
        try:
            found = starting_trees([text], file.parent)
        except VeerError as error:
            where = read_yaml(file).location_of(("start_from", position))
            raise ConfigError(f"{where}: start_from[{position}]: {error}") from error
        for source, tree in found:
            fitted = fit_config(space, tree, TrialConfig, ignore=own)
            remarks = list(fitted.remarks)
            points.append(StartPoint(source=source, params=fitted.params, remarks=remarks))
    return points


def record_start_points(
    points: Sequence[StartPoint],
    journal: Journal,
    records: Sequence[Record],
    print_line: Callable[[str], None],
) -> list[Params]:
    """Record the starting points of a new run, and print their remarks.

    Returns:
        The parameters of the points that fit the space.
    """
    # Once: a resume must replay the same points, even if their sources have changed.
    if points and latest(records, StartPointsRead) is None:
        journal.append(StartPointsRead(points=list(points)))
        for point in points:
            for remark in point.remarks:
                print_line(f"start from {point.source}: {remark}")
    return [point.params for point in points if point.params is not None]


def make_trial_config(
    tree: dict[str, Any],
    seed: int,
    settings: SearchConfig,
    own: Mapping[str, Any] = MappingProxyType({}),
) -> TrialConfig:
    """Return the config of a trial in this search.

    Args:
        tree: The trial's values as a tree, as the space returns it.
        seed: Seed of the trial, unless the tree has one.
        settings: The search's settings.
        own: Values that the search sets under `training` where the tree does not.
    """
    training = {**own, **tree.get("training", {}), "max_epochs": settings.max_epochs}
    # The order of the merge is the order of precedence: a seed in the tree wins.
    config = TrialConfig.model_validate({"seed": seed} | tree | {"training": training})
    return scale_width(config, settings.width_scale)


def config_of_worker(settings: SearchConfig, tree: dict[str, Any]) -> TrialConfig:
    """Return the config of a tree's trial as a worker reads it, with the search's seed."""
    return TrialConfig.model_validate(
        make_trial_config(tree, settings.seed, settings).canonical()
    )


def _grid_recipes(settings: SearchConfig, space: Space) -> set[str]:
    """Return the distinct configs of a grid, without points that break a config rule."""
    recipes = set()
    for params in space.grid_points():
        with suppress(ValidationError):
            # Any seed will do: a recipe hash leaves the seed out.
            recipes.add(make_trial_config(space.tree(params), 0, settings).recipe_hash())
    return recipes
