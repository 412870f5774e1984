"""The searches that are compared: the given settings, and those that differ in one of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.config.reading import read_search_config
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.loop.setup import resolve
from search.students.student_model import MOST_LONGER
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import parse_yaml
from spaces.space import Space
from trainable.config.reading import read_trial_space

GRACES: tuple[int | str, ...] = (AUTO, 1, 3, 9)
FACTORS = (2, 3, 4)
KIND, GRACE, FACTOR = "scheduler.kind", "scheduler.grace_epochs", "scheduler.reduction_factor"
EPOCHS = "max_epochs"
# Settings that change what is searched, not how; all variants are played in the same worlds.
NOT_VARIED = frozenset({"space", "corpus", "teacher", "seed"})
ONE_GOAL_ONLY = (
    "veer simulate plays searches with the one goal veer, since it knows no costs of students "
    "that were not trained"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One search to play.

    Attributes:
        name: What differs from the given settings.
        settings: Its settings, resolved.
        num_workers: Trials at a time.
    """

    name: str
    settings: SearchConfig
    num_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a user asks.

    Attributes:
        source: The settings file.
        given: Settings of the command line by dotted name.
        vary: Values by dotted name, each of which is played; empty for the usual ones.
        workers: Numbers of workers, the first of which all variants have.
    """

    source: Path
    given: Mapping[str, Any]
    vary: Mapping[str, Sequence[Any]]
    workers: tuple[int, ...]


def make_variants(question: Question, longest: int) -> tuple[Space, list[Variant]]:
    """Return the space and the variants, the given settings first.

    Args:
        question: The question.
        longest: Epochs of the longest curve that is known.

    Raises:
        ConfigError: A setting is invalid, may not be varied, or asks for much longer trials than
            are known.
    """
    first = read_search_config(question.source, question.given)
    space = read_trial_space(first.space)
    found = [
        Variant(
            name="as given" if not number else _workers_in_words(workers),
            settings=_checked(first, space, longest),
            num_workers=workers,
        )
        for number, workers in enumerate(question.workers)
    ]
    changes = _asked(question.vary) if question.vary else _usual(first, longest)
    for change in changes:
        settings = read_search_config(question.source, {**question.given, **change})
        name = ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in change.items())
        found.append(
            Variant(
                name=name,
                settings=_checked(settings, space, longest),
                num_workers=question.workers[0],
            )
        )
    return space, found


def parsed_values(assignments: Sequence[str], option: str) -> dict[str, Any]:
    """Return `KEY=VALUE` texts as values by dotted key, each read as YAML.

    Raises:
        ConfigError: One has no `=`.
    """
    found = {}
    for each in assignments:
        key, equals, text = each.partition("=")
        if not equals or not key or (option == "--vary" and not text.strip()):
            example = "max_epochs=27" if option == "--set" else "max_epochs=9,27"
            raise ConfigError(f"{option} takes KEY=VALUE, as in {option} {example}, got {each!r}")
        if option == "--vary" and key == "objective":
            raise ConfigError(f"--vary objective: {ONE_GOAL_ONLY}; vary another setting")
        if option == "--vary" and key.split(".")[0] in NOT_VARIED:
            raise ConfigError(
                f"--vary {key}: all searches that are compared have the same "
                f"{', '.join(sorted(NOT_VARIED))}; vary another setting"
            )
        text = f"[{text}]" if option == "--vary" else text
        found[key] = parse_yaml(f"value: {text}", Path(option)).data["value"]
    return found


def _asked(vary: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for key, values in vary.items():
        for value in values:
            yield {key: value}


def _usual(first: SearchConfig, longest: int) -> Iterator[dict[str, Any]]:
    """Yield the usual changes: early stopping, its grace and factor, and the epochs."""
    if first.sampler == "gp":
        return
    stops = {} if first.scheduler.kind == "asha" else {KIND: "asha"}
    if not stops:
        yield {KIND: "none"}
    for grace in GRACES:
        if (isinstance(grace, str) or grace < first.max_epochs) and (
            stops or grace != first.scheduler.grace_epochs
        ):
            yield stops | {GRACE: grace}
    if not stops:
        for factor in FACTORS:
            if factor != first.scheduler.reduction_factor:
                yield {FACTOR: factor}
    for epochs in (first.max_epochs // 2, 2 * first.max_epochs):
        if 1 <= epochs <= MOST_LONGER * longest:
            yield {EPOCHS: epochs}


def _checked(settings: SearchConfig, space: Space, longest: int) -> SearchConfig:
    if len(settings.objective) > 1:
        raise ConfigError(
            f"{ONE_GOAL_ONLY}, got objective {', '.join(settings.objective)}; add --set "
            "objective=veer"
        )
    most = int(MOST_LONGER * longest)
    if settings.max_epochs > most:
        raise ConfigError(
            f"max_epochs must be at most {most}, {MOST_LONGER:g} times the epochs of the longest "
            f"known trial, got {settings.max_epochs}; what happens later is not known"
        )
    return resolve(settings, space)


def _workers_in_words(workers: int) -> str:
    return f"{workers:,} worker{'s' * (workers > 1)}"
