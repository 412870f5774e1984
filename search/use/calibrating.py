"""A calibration made from a trial list."""

from collections.abc import Callable, Sequence

from search.review.trial_list import TrialList
from search.use.model_in_use import ModelInUse
from trainable.calibration.as_norm import StoredCohort
from trainable.calibration.calibration import (
    Calibration,
    FitOn,
    fit_calibration,
    score_columns,
)
from trainable.calibration.quality import Quality
from trainable.embedding.embedder import DEFAULT_PLAN, embed_utterances
from trainable.lists.pair_index import PairIndex
from trainable.lists.speakers import speakers_in_list
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.final import known_speaker_pairs


def calibrated(
    model: ModelInUse,
    trials: TrialList,
    wanted_pct: tuple[float, ...],
    measures: Sequence[Quality] = (),
    cohort: StoredCohort | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Fit a calibration to a model's scores of a list.

    Args:
        model: The model.
        trials: The list.
        wanted_pct: Rates of false accepts to find thresholds for, percent.
        measures: Quality measures beside the score.
        cohort: Normalises the scores, and is stored with the calibration; None for cosines.
        progress: Called with (utterances done, utterances in total).

    Raises:
        CorpusError: A file cannot be used as audio.
        TrainingError: The list has no errors, so that nothing can be fitted.
    """
    index, plan = PairIndex.from_pairs(trials.pairs), DEFAULT_PLAN
    utterances = embed_utterances(model.embedder, trials.root, index.paths, plan, progress)
    columns_PQ = score_columns(utterances, (index.a, index.b), cohort, measures)
    pairs = known_speaker_pairs(index, speakers_in_list(index, trials.rules.speaker))
    facts = FitOn(
        weights_sha256=model.embedder.weights_sha256,
        basis=str(trials.file),
        list_sha256=trials.sha256,
        num_crops=plan.num_crops,
        num_frames=plan.num_frames,
        qualities=tuple(measures),
        cohort=cohort,
    )
    bootstrap = None if pairs is None else SpeakerBootstrap(pairs)
    return fit_calibration(columns_PQ, index.is_target, bootstrap, facts, wanted_pct)
