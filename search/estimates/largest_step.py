"""The config of a space whose training step, or validation, needs the most memory.

Independent of Ray; needs no GPU: bytes are estimated. Most settings raise the memory independently
of each other, so each in turn is moved to the value with the highest estimate, from several
starts. Under limits this may miss the largest config. Therefore the share of a GPU has a margin,
and a trial that runs out of memory runs again with a larger share.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from search.estimates.feasibility import LimitChecker
from search.suggest.suggestions import Suggestions
from spaces.conditions import Params
from spaces.dimensions import PRESET, Choice, Dimension, Integer, Value
from spaces.limits import Limits
from spaces.space import Space
from trainable.config.trial_config import TrialConfig
from trainable.cost.random_input_step import TeacherOrPlaceholder, step_size_key
from trainable.cost.step_memory import ComputeSettings, StepMemory, step_memory
from trainable.teachers.any_teacher import is_network
from trainable.teachers.network import Teacher, load_teacher

_FAMILY = "model.family"
# Random configs to start from, in addition to the first of each family.
NUM_RANDOM_STARTS = 8
# A move may allow another one in the next round; the rounds end early if nothing changes.
MAX_ROUNDS = 3
# Values of a range that are tried under limits, where its end may be outside of them.
NUM_RANGE_VALUES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestStep:
    """A config and the memory of its training step.

    Attributes:
        params: The sampled values that lead to the config.
        config: The trial's config.
        memory: Memory of a training step.
    """

    params: Params
    config: TrialConfig
    memory: StepMemory


class StepCosts:
    """The memory of a training step of any config of a search, cached.

    Args:
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        device: CUDA to measure, the CPU to estimate.
        computing: How trials are computed.
        measure: Returns the memory; `step_memory` by default.
    """

    def __init__(
        self,
        teacher: Path | None,
        num_speakers: int,
        device: torch.device,
        computing: ComputeSettings,
        measure: Callable[..., StepMemory] | None = None,
    ) -> None:
        self._file = teacher
        self._num_speakers = num_speakers
        self._device = device
        self._computing = computing
        self._measure = measure
        self._teacher: Teacher | None = None
        self._known: dict[tuple[object, ...], StepMemory] = {}

    def __call__(self, config: TrialConfig) -> StepMemory:
        """Return the memory of one training step.

        Raises:
            TrainingError: The config cannot be trained with this teacher.
        """
        loss, training = config.loss, config.training
        key = (
            config.model_hash(),
            *step_size_key(training),
            loss.distill_weight > 0 and loss.distillation,
            loss.distill_weight > 0 and loss.stages,
            loss.beta > 0,
        )
        if key not in self._known:
            self._known[key] = self._measured(config)
        return self._known[key]

    def _measured(self, config: TrialConfig) -> StepMemory:
        teacher: TeacherOrPlaceholder | None = None
        if config.loss.distill_weight > 0 and self._file is not None:
            if not is_network(self._file):
                # The embeddings come from a file; the memory of the loss term is negligible.
                loss = config.loss.model_copy(update={"distillation": "none", "stages": "none"})
                config = config.model_copy(update={"loss": loss})
            else:
                self._teacher = self._teacher or load_teacher(self._file)
                teacher = self._computing.loaded_teacher(self._teacher, config)
        return (self._measure or step_memory)(
            config,
            teacher,
            num_speakers=self._num_speakers,
            device=self._device,
            engine=self._computing.engine,
        )


def largest_step(
    space: Space,
    make_config: Callable[[dict[str, Any]], TrialConfig],
    costs: Callable[[TrialConfig], StepMemory],
    cache_dir: Path,
) -> LargestStep | None:
    """Return the config with the largest step that the walk finds.

    Only limits of parameters and multiply-accumulates are obeyed: they are counted, not measured.

    Args:
        space: A space of trial configs.
        make_config: Turns a config tree into a trial's config; raises `ValidationError` if it
            breaks a rule.
        costs: Returns the memory of a step.
        cache_dir: Folder of Veer's cached measurements.

    Returns:
        None if no start is inside the limits.

    Raises:
        TrainingError: A config cannot be trained with the search's teacher.
    """
    limits = Limits(max_params=space.limits.max_params, max_macs=space.limits.max_macs)
    checker = LimitChecker(limits, teacher=None, cache_dir=cache_dir)

    def cost(params: Params) -> LargestStep | None:
        with suppress(ValidationError):  # no trial can have this config
            config = make_config(space.tree(params))
            if not checker.violations(config):
                return LargestStep(params=params, config=config, memory=costs(config))
        return None

    # One start for each preset and family: their settings differ, so no climb leads from one to
    # another.
    best: dict[object, LargestStep] = {}
    for params in _starts(space):
        family = params.get(PRESET), params.get(_FAMILY)
        if (start := _larger(best.get(family), cost(params))) is not None:
            best[family] = start
    found: LargestStep | None = None
    for start in best.values():
        found = _larger(found, _climb(space, start, cost, is_limited=bool(limits.names)))
    return found


def _starts(space: Space) -> Iterator[Params]:
    """Yield the parameters of each preset and family with first values, then random ones."""
    kinds = [each for each in space.dimensions if each.name in (PRESET, _FAMILY)]
    for values in itertools.product(*(each.extremes() for each in kinds)):
        yield space.params_with(dict(zip((each.name for each in kinds), values, strict=True)))
    suggestions = Suggestions(space, kind="random", seed=0)
    for _ in range(NUM_RANDOM_STARTS if len(space.dimensions) > len(kinds) else 0):
        if (suggestion := suggestions.suggest()) is not None:
            yield suggestion.params


def _climb(
    space: Space,
    start: LargestStep,
    cost: Callable[[Params], LargestStep | None],
    *,
    is_limited: bool,
) -> LargestStep:
    """Move each setting in turn to the value with the largest step, until nothing changes."""
    best = start
    for _ in range(MAX_ROUNDS):
        before = best
        for dimension in space.dimensions:
            for value in _values(dimension, is_limited=is_limited):
                if dimension.name in best.params:
                    chosen = best.params | {dimension.name: value}
                    best = _larger(best, cost(space.params_with(chosen))) or best
        if best is before:
            break
    return best


def _values(dimension: Dimension, *, is_limited: bool) -> Sequence[Value]:
    """Return the choices, or the ends of a range; under limits also some values between."""
    if isinstance(dimension, Choice) or not is_limited:
        return dimension.extremes()
    if not isinstance(dimension, Integer):
        return dimension.extremes()
    points = list(dimension.points())
    steps = NUM_RANGE_VALUES - 1
    indices = {round(k * (len(points) - 1) / steps) for k in range(NUM_RANGE_VALUES)}
    return [points[index] for index in sorted(indices)]


def _larger(one: LargestStep | None, other: LargestStep | None) -> LargestStep | None:
    """Return the larger of two steps; the first if they are equal."""
    if one is None or (other is not None and other.memory.most_bytes > one.memory.most_bytes):
        return other
    return one
