"""What `veer evaluate` and `veer score` measure more than two protocols: options and tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.calibrate import qualities_of
from search.cli.chosen_lists import unlocked_list
from search.cli.cohort import find_cohort, require_cohort_options
from search.cli.console import console, progress_bar
from search.cli.measures_view import conditions_view, measures_view
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from search.review.model_source import ModelSource
    from search.review.trial_list import TrialList
    from search.use.more_measures import EmbeddedList
    from search.use.system import EmbeddingSystem
    from trainable.calibration.conditions import ConditionEER
    from trainable.calibration.measures import SystemScores
    from trainable.embedding.embedder import CropPlan
    from trainable.verification.bootstrap import SpeakerPairs
    from trainable.verification.embedded import EmbeddedUtterances

DEFAULT_PRIORS = (0.01, 0.05)

PriorsOption = Annotated[
    list[float] | None,
    typer.Option(
        "--prior",
        help="Prior of a target pair for minDCF, between 0 and 1. Repeatable.",
        show_default="0.01 and 0.05",
    ),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Also the EER by condition: duration, or a CSV file with the columns path and, say, "
        "sex and session. Repeatable.",
        show_default=False,
    ),
]
CalibrateOnOption = Annotated[
    Path | None,
    typer.Option(
        help="Trial list of other speakers to calibrate on, for Cllr and actual costs.",
        show_default=False,
    ),
]
ScoresOutOption = Annotated[
    Path | None,
    typer.Option(
        help="File for the scores, 'SCORE PATH_A PATH_B' a line: normalised with --as-norm.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedMeasures:
    """The options; each is None where it was not given."""

    priors: list[float] | None = None
    as_norm: int | None = None
    cohort: Path | None = None
    cohort_root: Path | None = None
    by: list[str] | None = None
    calibrate_on: Path | None = None
    calibrate_root: Path | None = None
    quality: str | None = None
    enrolled_by: Path | None = None
    scores_out: Path | None = None

    def __post_init__(self) -> None:
        for prior in self.priors or ():
            if not 0 < prior < 1:
                raise ConfigError(f"--prior must be between 0 and 1, got {prior:g}")
        if self.quality is not None and self.calibrate_on is None:
            raise ConfigError("--quality enters a calibration: give its list by --calibrate-on")
        qualities_of(self.quality)
        require_cohort_options(self.as_norm, self.cohort, self.cohort_root)

    @property
    def is_any(self) -> bool:
        """Whether an option was given."""
        return self != AskedMeasures()


def print_measures(
    asked: AskedMeasures,
    trials: TrialList,
    own: EmbeddedUtterances,
    system: EmbeddingSystem,
    known: tuple[ModelSource | None, TrialList | None],
    computing: tuple[torch.device, CropPlan],
) -> None:
    """Measure what was asked of a model's embeddings of a list, and print it.

    Args:
        asked: The options.
        trials: The list.
        own: Embeddings of its utterances.
        system: What gave them, and gives those of other lists.
        known: The model's origin, and the list to calibrate on, as far as they are known.
        computing: Device and crops, for the teacher.
    """
    from search.use.more_measures import (
        AS_NORM,
        WaysToScore,
        embed_trials,
        list_speakers,
        with_teacher,
    )
    from search.use.system import open_system
    from trainable.lists.pair_index import PairIndex

    teacher = None if asked.enrolled_by is None else open_system(asked.enrolled_by, *computing)
    index, other, (source, listed) = PairIndex.from_pairs(trials.pairs), None, known
    with progress_bar("utterances of the teacher") as progress:
        embedded = with_teacher(trials, index, own, teacher, progress)
    if listed is None and asked.calibrate_on is not None:
        other_root = asked.calibrate_root or trials.root
        listed = unlocked_list(source, asked.calibrate_on, other_root, None)
    if listed is not None:
        with progress_bar("utterances to calibrate on") as progress:
            other = embed_trials(listed, system, teacher, progress)
    cohort = None
    if asked.as_norm is not None:
        given = (asked.cohort, asked.cohort_root)
        cohort, _ = find_cohort(asked.as_norm, given, system, source)
    ways = WaysToScore(cohort=cohort, qualities=qualities_of(asked.quality))
    systems, pairs = ways.systems(embedded, other), list_speakers(trials, index)
    print_systems(asked, systems, embedded.index.is_target, pairs)
    if asked.by:
        rows = _by_condition(asked.by, embedded, systems[0], pairs)
        console.print(f"by condition, {systems[0].name}:", highlight=False)
        console.print(conditions_view(rows))
    if asked.scores_out is not None:
        normed = [each for each in systems if AS_NORM in each.name]
        _write(asked.scores_out, embedded, (normed or systems)[0])


def print_systems(
    asked: AskedMeasures,
    systems: list[SystemScores],
    is_target: object,
    pairs: SpeakerPairs | None,
) -> None:
    """Print the table of systems on one list."""
    import numpy as np

    from trainable.calibration.measures import measure_systems
    from trainable.verification.bootstrap import SpeakerBootstrap

    bootstrap = None if pairs is None else SpeakerBootstrap(pairs)
    priors = asked.priors or DEFAULT_PRIORS
    measures = measure_systems(systems, np.asarray(is_target), bootstrap, priors)
    console.print(measures_view(measures))


def _by_condition(
    by: list[str], embedded: EmbeddedList, system: SystemScores, pairs: SpeakerPairs | None
) -> list[ConditionEER]:
    from trainable.calibration.conditions import (
        DURATION,
        condition_eers,
        duration_bands,
        read_conditions,
        value_groups,
    )
    from trainable.calibration.quality import require_durations

    index = embedded.index
    found: list[ConditionEER] = []
    for each in by:
        if each == DURATION:
            require_durations(embedded.own)
            columns = {DURATION: duration_bands(embedded.own.duration_s_U, index)}
        else:
            values = read_conditions(Path(each), index.paths)
            columns = {name: value_groups(own, index) for name, own in values.items()}
        for name, groups in columns.items():
            found += condition_eers(name, groups, system.scores, index.is_target, pairs)
    return found


def _write(file: Path, embedded: EmbeddedList, system: SystemScores) -> None:
    from trainable.calibration.score_file import write_score_file

    write_score_file(file, embedded.index, system.scores)
    line = f"scores ({system.name}) in {file}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)

