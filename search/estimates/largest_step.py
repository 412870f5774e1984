"""The config of a space whose training step takes most memory.

Knows no Ray, and needs no GPU: bytes are estimated. Most settings only add to them, so each is
moved to where the estimate is highest, from several starts; limits can make that a near miss,
which is why the share of a GPU has a margin and a trial that runs out of memory gets another.
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
from trainable.cost.random_input_step import TeacherOrPlaceholder
from trainable.cost.step_memory import ComputeSettings, StepMemory, step_memory
from trainable.teachers.any_teacher import is_stored
from trainable.teachers.network import Teacher, load_teacher

FAMILY = "model.family"
# Random configs that the walk may start from, beside each family's first.
NUM_DRAWN = 8
MAX_ROUNDS = 3
# Values of a range that are tried under limits, where its end may not be allowed.
NUM_BETWEEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestStep:
    """A config and what a step of it takes.

    Attributes:
        params: The sampled values that lead to it.
        config: The trial.
        memory: Of a training step.
    """

    params: Params
    config: TrialConfig
    memory: StepMemory


class StepCosts:
    """Memory of a training step of any config of a search; each is worked out once.

    Args:
        teacher: Model file or file of embeddings, None without a teacher.
        num_speakers: Training speakers.
        device: CUDA to measure, the CPU to estimate.
        computing: How trials will be computed.
        measure: Gives the bytes; those of a training step unless given.
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
        """Return bytes of one training step.

        Raises:
            TrainingError: The config cannot be trained with this teacher.
        """
        loss, training = config.loss, config.training
        key = (
            config.model_hash(),
            training.batch_size,
            training.crop_frames,
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
            if is_stored(self._file):
                # The teacher's embeddings come from a file; the term of the loss is next to none.
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
    """Return the config with the costliest step that the walk finds, inside the limits that are counted.

    Args:
        space: One of trial configs.
        make_config: Turns a config tree into a trial's config; `ValidationError` where it breaks
            a rule.
        costs: Bytes of a step.
        cache_dir: Where Veer keeps what it measured.

    Returns:
        None where no start lies inside the limits.

    Raises:
        TrainingError: A config cannot be trained with the search's teacher.
    """
    limits = Limits(max_params=space.limits.max_params, max_macs=space.limits.max_macs)
    checker = LimitChecker(limits, teacher=None, cache_dir=cache_dir)

    def cost(params: Params) -> LargestStep | None:
        with suppress(ValidationError):  # no trial can be so
            config = make_config(space.tree(params))
            if not checker.violations(config):
                return LargestStep(params=params, config=config, memory=costs(config))
        return None

    best: dict[object, LargestStep] = {}
    for params in _starts(space):
        family = params.get(PRESET), params.get(FAMILY)
        if (start := _larger(best.get(family), cost(params))) is not None:
            best[family] = start
    found: LargestStep | None = None
    for start in best.values():
        found = _larger(found, _climb(space, start, cost, is_limited=bool(limits.names)))
    return found


def _starts(space: Space) -> Iterator[Params]:
    """Yield each preset and family at its first values, and some random ones."""
    kinds = [each for each in space.dimensions if each.name in (PRESET, FAMILY)]
    for values in itertools.product(*(each.extremes() for each in kinds)):
        yield space.params_with(dict(zip((each.name for each in kinds), values, strict=True)))
    suggestions = Suggestions(space, kind="random", seed=0)
    for _ in range(NUM_DRAWN if len(space.dimensions) > len(kinds) else 0):
        if (suggestion := suggestions.suggest()) is not None:
            yield suggestion.params


def _climb(
    space: Space, start: LargestStep, cost: Callable[[Params], LargestStep | None], *, is_limited: bool
) -> LargestStep:
    """Move one setting after the other to where a step costs most, until none does any more."""
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
    """Return the choices, or a range's ends; under limits also some points between them."""
    if isinstance(dimension, Choice) or not is_limited:
        return dimension.extremes()
    if not isinstance(dimension, Integer):
        return dimension.extremes()
    points = list(dimension.points())
    places = {round(k * (len(points) - 1) / (NUM_BETWEEN - 1)) for k in range(NUM_BETWEEN)}
    return [points[place] for place in sorted(places)]


def _larger(one: LargestStep | None, other: LargestStep | None) -> LargestStep | None:
    """Return the costlier of two, the first of equals."""
    if one is None or (other is not None and other.memory.num_bytes > one.memory.num_bytes):
        return other
    return one
