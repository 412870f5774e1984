"""`veer score`: error rates of scores or embeddings that a file has; no audio is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.asked_measures import (
    AskedMeasures,
    ByOption,
    CalibrateOnOption,
    PriorsOption,
    ScoresOutOption,
    print_measures,
    print_systems,
)
from search.cli.chosen_lists import rules_of
from search.cli.cohort import AsNormOption, CohortOption
from search.cli.options import QualityOption
from spaces.files.errors import ConfigError

if TYPE_CHECKING:
    from search.review.trial_list import TrialList
    from trainable.calibration.measures import SystemScores
    from trainable.lists.listed_pairs import ListRules


def score(
    trials: Annotated[
        Path, typer.Argument(metavar="LIST", help="Trial list with lines '1|0 PATH_A PATH_B'.")
    ],
    file: Annotated[
        Path,
        typer.Argument(
            help="Scores ('SCORE PATH_A PATH_B' or 'PATH_A PATH_B SCORE'), or a .parquet of "
            "embeddings (veer embed)."
        ),
    ],
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="corpus.yaml whose `labels` and `speaker` say how lists are read.",
            show_default=False,
        ),
    ] = None,
    priors: PriorsOption = None,
    as_norm: AsNormOption = None,
    cohort: CohortOption = None,
    by: ByOption = None,
    calibrate_on: CalibrateOnOption = None,
    calibrate_with: Annotated[
        Path | None,
        typer.Option(help="Scores of that list.", show_default="FILE, which must have them too"),
    ] = None,
    quality: QualityOption = None,
    enrolled_by: Annotated[
        Path | None,
        typer.Option(
            help="Embeddings of a teacher: also the scores of its enrolments.", show_default=False
        ),
    ] = None,
    scores_out: ScoresOutOption = None,
) -> None:
    """Measure scores or embeddings of any tool on a trial list.

    With embeddings, AS-Norm (whose cohort FILE must have too), quality measures and EERs by
    condition are computed as by `veer evaluate`. See docs/scores.md.
    """
    from search.use.system import StoredSystem
    from trainable.embedding.embedder import DEFAULT_PLAN
    from trainable.lists.pair_index import PairIndex

    asked = AskedMeasures(
        priors=priors,
        as_norm=as_norm,
        cohort=cohort,
        cohort_root=None if cohort is None else cohort.parent,
        by=by,
        calibrate_on=calibrate_on,
        quality=quality,
        enrolled_by=enrolled_by,
        scores_out=scores_out,
    )
    rules = rules_of(corpus)
    chosen = _listed(trials, rules)
    if file.suffix != ".parquet":
        _require_plain(asked)
        _print_text_scores(asked, chosen, file, calibrate_with, rules)
        return
    import torch

    system, index = StoredSystem(file), PairIndex.from_pairs(chosen.pairs)
    own = system.utterances(chosen.root, index.paths)
    other = None if calibrate_on is None else _listed(calibrate_on, rules)
    print_measures(asked, chosen, own, system, (None, other), (torch.device("cpu"), DEFAULT_PLAN))


def _listed(file: Path, rules: ListRules | None) -> TrialList:
    """Read a list without its audio, and refuse a test list."""
    from search.review.test_list import refuse_locked
    from search.review.trial_list import read_list_alone
    from trainable.machine.cache_dir import cache_dir

    chosen = read_list_alone(file, rules)
    command = "veer evaluate MODEL --final"
    refuse_locked(chosen, None, cache_dir(), command)
    return chosen


def _require_plain(asked: AskedMeasures) -> None:
    for name in ("as_norm", "by", "quality", "enrolled_by", "scores_out"):
        if getattr(asked, name) is not None:
            raise ConfigError(
                f"--{name.replace('_', '-')} needs a .parquet of embeddings (veer embed), not "
                "scores"
            )


def _print_text_scores(
    asked: AskedMeasures,
    trials: TrialList,
    file: Path,
    calibrate_with: Path | None,
    rules: ListRules | None,
) -> None:
    from search.use.more_measures import list_speakers
    from trainable.calibration.logistic import fit_llr
    from trainable.calibration.measures import SystemScores
    from trainable.calibration.score_file import read_score_file
    from trainable.lists.pair_index import PairIndex

    index = PairIndex.from_pairs(trials.pairs)
    scores, llr = read_score_file(file, index), None
    if asked.calibrate_on is not None:
        other = PairIndex.from_pairs(_listed(asked.calibrate_on, rules).pairs)
        of_other = read_score_file(calibrate_with or file, other)
        llr = fit_llr(of_other[:, None], other.is_target).llr(scores[:, None])
    system: SystemScores = SystemScores(name=file.name, scores=scores, llr=llr)
    print_systems(asked, [system], index.is_target, list_speakers(trials, index))
