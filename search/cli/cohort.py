"""The cohort of AS-Norm: its options, and its speakers embedded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.console import progress_bar
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from search.review.model_source import ModelSource
    from search.use.system import EmbeddingSystem, ModelSystem
    from trainable.calibration.as_norm import Cohort, StoredCohort

AsNormOption = Annotated[
    int | None,
    typer.Option(
        "--as-norm",
        metavar="N",
        help="Also normalise the scores by the N nearest speakers of a cohort (AS-Norm).",
        show_default=False,
    ),
]
CohortOption = Annotated[
    Path | None,
    typer.Option(
        help="Train list of the cohort's speakers.", show_default="that of the model's corpus"
    ),
]
CohortRootOption = Annotated[
    Path | None, typer.Option(help="Folder of the cohort's paths.", show_default=False)
]


def require_cohort_options(top: int | None, cohort: Path | None, root: Path | None) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: They do not.
    """
    if cohort is not None and top is None:
        raise ConfigError("--cohort is for AS-Norm: give --as-norm N, such as 300")
    if (cohort is None) != (root is None):
        raise ConfigError("--cohort and --cohort-root must be given together")


def find_cohort(
    top: int,
    given: tuple[Path | None, Path | None],
    system: EmbeddingSystem,
    source: ModelSource | None,
) -> tuple[Cohort, Path]:
    """Embed the speakers of a cohort; return it and its list.

    Args:
        top: How many of the nearest are used.
        given: The list and the folder of its paths; None for those of the model's corpus.
        system: What embeds.
        source: The model's origin, where it is known.

    Raises:
        ConfigError: The speakers are not known, or too few.
        CorpusError: The list has faults, or a file cannot be used.
    """
    from search.use.more_measures import embed_cohort

    listed = None
    if given[0] is not None and given[1] is not None:
        listed = (given[0], given[1])
    elif source is not None and (corpus := source.corpus()) is not None:
        listed = (corpus.train_list, corpus.train_dir)
    if listed is None:
        raise ConfigError(
            "--as-norm needs the speakers of a cohort, and the model has no record of its corpus: "
            "give --cohort LIST and --cohort-root FOLDER"
        )
    with progress_bar("utterances of the cohort") as progress:
        return embed_cohort(system, listed, top, progress=progress), listed[0]


def stored_cohort(
    top: int, given: tuple[Path | None, Path | None], system: ModelSystem
) -> StoredCohort:
    """Return a cohort as a calibration keeps it; arguments and errors as `find_cohort`."""
    from trainable.calibration.as_norm import StoredCohort

    cohort, file = find_cohort(top, given, system, system.model.source)
    return StoredCohort.of(cohort, str(file))
