"""The calibration of a trial's best model: as it was stored, or from its validation scores."""

from results.analysis.run_view import RunView
from results.journal.history import TrialHistory
from spaces.files.errors import ConfigError, TrainingError
from trainable.calibration.calibration import (
    CALIBRATION_FILE,
    Calibration,
    FitOn,
    fit_calibration,
    read_calibration,
)
from trainable.checkpoints.loading import LoadedModel
from trainable.embedding.embedder import weights_sha256
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.evaluation import USUAL_FRAMES
from trainable.verification.metrics import Floats


def calibration_to_export(
    view: RunView, history: TrialHistory, loaded: LoadedModel
) -> Calibration | None:
    """Return what is exported with a trial: its stored calibration, else one of its validation.

    Returns:
        None if the run has neither, or its scores have no errors.
    """
    file = view.folder.trial(history.trial) / CALIBRATION_FILE
    try:
        return read_calibration(file, weights_sha256(loaded.model))
    except ConfigError:  # none, or of an earlier epoch
        pass
    try:
        return calibration_from_search(view, history, loaded)
    except TrainingError:
        return None


def calibration_from_search(
    view: RunView, history: TrialHistory, loaded: LoadedModel
) -> Calibration | None:
    """Fit a calibration to the validation scores of a trial's best epoch.

    Returns:
        None if the run has no scores of that epoch.

    Raises:
        TrainingError: The scores have no errors, so that nothing can be fitted.
    """
    found, table = view.scores(history), view.run_scores.pairs()
    if found is None or table is None or found.epoch != loaded.epoch:
        return None
    speakers = [table[f"speaker_{side}"].to_pylist() for side in "ab"]
    pairs = SpeakerPairs.of(speakers[0], speakers[1], found.is_target)
    basis = f"validation scores of trial {history.trial}, epoch {found.epoch}"
    return calibration_from_validation(found.scores.astype(float), pairs, basis, loaded)


def calibration_from_validation(
    scores: Floats, pairs: SpeakerPairs, basis: str, loaded: LoadedModel
) -> Calibration:
    """Fit a calibration to the scores that a training kept of its validation.

    Args:
        scores: (P,) scores of the model, in the order of the list.
        pairs: The pairs of the list.
        basis: What the scores are, in words.
        loaded: The model.

    Raises:
        TrainingError: The scores have no errors, so that nothing can be fitted.
    """
    facts = FitOn(
        weights_sha256=weights_sha256(loaded.model),
        basis=basis,
        list_sha256=None,
        num_crops=loaded.config.training.eval_crops,
        num_frames=loaded.model.num_frames or USUAL_FRAMES,
    )
    return fit_calibration(scores[:, None], pairs.is_target, SpeakerBootstrap(pairs), facts)
