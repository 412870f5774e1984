"""A search put together from its settings and its space; knows no Ray."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from results.analysis.rungs import asha_rungs
from results.journal.history import latest
from results.journal.journal import Journal, Record
from search.config.search_config import SearchConfig
from search.loop.coordinator import Coordinator
from search.loop.early_stopping import SuccessiveHalving
from search.loop.fault_ledger import FaultLedger
from search.loop.proposals import Check, Proposals, no_limits
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
# Settings of a trial that the search itself decides.
SEARCHS_OWN = ("seed", "training.max_epochs")


def resolve(settings: SearchConfig, space: Space) -> SearchConfig:
    """The settings with the number of trials that they mean in this space.

    Raises:
        ConfigError: The sampler cannot honour space or scheduler, the width is both varied and
            scaled, or the precision is not for the CPU.
    """
    refuse_unfit(settings.sampler, space, stops_early=settings.scheduler.kind != "none")
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
    if settings.device == "cpu" or settings.resources.gpu == 0:
        require_precision(settings.engine.precision, "the CPU")
    if settings.num_trials is not None:
        return settings
    num_trials = DEFAULT_NUM_TRIALS
    if settings.sampler == "grid":
        num_trials = settings.repetitions * len(_grid_recipes(settings, space))
    return settings.model_copy(update={"num_trials": num_trials})


def check_batches(space: Space, num_utterances: int) -> None:
    """Refuse a space with a trial whose batch the training list cannot fill.

    Raises:
        ConfigError: With the batch size.
    """
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
    first: Sequence[Params] = (),
    check: Check = no_limits,
    eval_crops: int | None = None,
    **options: Any,
) -> Coordinator:
    """Puts sampler, limits, early stopping and budget together.

    Args:
        settings: Resolved.
        space: What to search.
        journal: Where everything is written first.
        first: Parameters to try before anything is drawn.
        check: The limits that a config breaks.
        eval_crops: Crops of a validation utterance where the space does not say.
        options: More of the coordinator's; its own `ledger` where faults are to be said.
    """
    suggestions = Suggestions(
        space,
        kind=settings.sampler,
        seed=settings.seed,
        first=first,
        passes=settings.repetitions,
    )
    proposals = Proposals(
        suggestions,
        journal,
        make_config=config_maker(settings, eval_crops),
        check=check,
        repetitions=settings.repetitions,
    )
    budget = Budget(
        num_trials=settings.num_trials or DEFAULT_NUM_TRIALS,
        max_epochs=settings.max_epochs,
        time_limit_s=settings.time_limit_s,
        target_pct=settings.target_pct,
        total_epochs=settings.total_epochs,
        follow_ups=settings.follow_ups,
    )
    halving = SuccessiveHalving(halving_rungs(settings), settings.scheduler.reduction_factor)
    options = {"ledger": FaultLedger(journal, settings.faults)} | options
    return Coordinator(proposals, halving, journal, budget=budget, **options)


def halving_rungs(settings: SearchConfig) -> list[float]:
    """Epochs at which trials are compared; none without early stopping."""
    scheduler = settings.scheduler
    if scheduler.kind == "none":
        return []
    return asha_rungs(scheduler.grace_epochs, scheduler.reduction_factor, settings.max_epochs)


def config_maker(
    settings: SearchConfig, eval_crops: int | None = None
) -> Callable[[Suggestion], TrialConfig]:
    """What turns a suggestion into a trial's config.

    A trial has the suggestion's seed unless the space fixes one, and so many `eval_crops`.
    """
    own = {} if eval_crops is None else {"eval_crops": eval_crops}
    return lambda suggestion: make_trial_config(suggestion.tree, suggestion.seed, settings, own)


def start_points(space: Space, file: Path, records: Sequence[Record]) -> list[Record]:
    """What to try first: `start_from`, mapped onto the space; once a run.

    Args:
        space: It names the sources.
        file: Its file; relative paths count from its folder.
        records: An earlier run's; what it began with stands.

    Returns:
        For each config its source, its params (None where it does not fit) and remarks on all
        that had to be changed.

    Raises:
        ConfigError: A source is unknown or cannot be read; with file and line.
    """
    earlier = latest(records, "start_points")
    if earlier is not None:
        return list(earlier["points"])
    own = SEARCHS_OWN if sets_eval_crops(space) else (*SEARCHS_OWN, EVAL_CROPS)
    points: list[Record] = []
    for place, text in enumerate(space.start_from):
        try:
            found = starting_trees([text], file.parent)
        except VeerError as error:
            where = read_yaml(file).location_of(("start_from", place))
            raise ConfigError(f"{where}: start_from[{place}]: {error}") from error
        for source, tree in found:
            fitted = fit_config(space, tree, TrialConfig, ignore=own)
            remarks = list(fitted.remarks)
            points.append({"source": source, "params": fitted.params, "remarks": remarks})
    return points


def record_start_points(
    points: Sequence[Record],
    journal: Journal,
    records: Sequence[Record],
    say: Callable[[str], None],
) -> list[Params]:
    """Journals the starting points of a new run, and says what did not fit.

    Returns:
        The parameters of those that fit.
    """
    if points and latest(records, "start_points") is None:
        journal.append("start_points", points=points)
        for point in points:
            for remark in point["remarks"]:
                say(f"start from {point['source']}: {remark}")
    return [point["params"] for point in points if point["params"] is not None]


def make_trial_config(
    tree: dict[str, Any],
    seed: int,
    settings: SearchConfig,
    own: Mapping[str, Any] = MappingProxyType({}),
) -> TrialConfig:
    """The trial's config that a tree of the space means in this search.

    Args:
        tree: Of the space.
        seed: Of the trial, unless the tree has one.
        settings: The search's.
        own: What the search sets of `training` where the tree does not.
    """
    training = {**own, **tree.get("training", {}), "max_epochs": settings.max_epochs}
    config = TrialConfig.model_validate({"seed": seed} | tree | {"training": training})
    return scale_width(config, settings.width_scale)


def _grid_recipes(settings: SearchConfig, space: Space) -> set[str]:
    """The distinct configs of a grid, without points that no config can have."""
    recipes = set()
    for params in space.grid_points():
        with suppress(ValidationError):
            recipes.add(make_trial_config(space.tree(params), 0, settings).recipe_hash())
    return recipes
