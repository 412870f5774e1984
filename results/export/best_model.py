"""The weights behind a trial's figure: those of its best epoch, or none."""

from pathlib import Path

from pydantic import ValidationError

from results.journal.history import TrialHistory
from results.journal.journal import Record
from results.journal.run_folder import RunFolder
from spaces.files.errors import CheckpointError, DamagedError, RunError
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrialConfig

FIX = "restore it from a copy, or name another trial"


def load_best(run: RunFolder, history: TrialHistory) -> LoadedModel:
    """The model of a trial's best epoch by the journal, compared with what the journal says.

    Args:
        run: The search's.
        history: The trial; of one without a VEER the model files say which epoch is best.

    Raises:
        RunError: The trial's checkpoints were not kept.
        CheckpointError: The best epoch's is missing or damaged, or is of another trial; another
            epoch's is never taken in its place.
    """
    checkpoints = CheckpointFolder(run.trial(history.trial))
    if not checkpoints.epochs():
        raise RunError(
            f"trial {history.trial} has no checkpoint any more: a search keeps those of its best "
            "trials only (keep_best)"
        )
    if history.best is None:
        return load_speaker_model(run.trial(history.trial))  # no figure that it could contradict
    file = checkpoints.file_of(history.best["epoch"])
    if not file.exists():
        raise CheckpointError(
            f"{file}: the best epoch's file of trial {history.trial} is missing; {FIX}"
        )
    try:
        loaded = load_speaker_model(file)
    except DamagedError as error:
        raise DamagedError(
            f"the best epoch of trial {history.trial} cannot be used: {error}"
        ) from error
    _require_same_run(loaded, file, history, history.best)
    return loaded


def _require_same_run(
    loaded: LoadedModel, file: Path, history: TrialHistory, best: Record
) -> None:
    epoch, veer_pct = best["epoch"], best["veer_pct"]
    if (got := loaded.history[epoch - 1]["veer_pct"]) != veer_pct:
        raise CheckpointError(
            f"{file}: the journal says a VEER of {veer_pct} % for trial {history.trial} after "
            f"epoch {epoch}, the model file {got} %: they are of different runs; {FIX}"
        )
    if _canonical(history.started["config"]) not in (None, loaded.config.canonical()):
        raise CheckpointError(
            f"{file}: its config is not the one that the journal has for trial "
            f"{history.trial}: they are of different runs; {FIX}"
        )


def _canonical(config: object) -> object:
    """A journalled config in today's form; None where it is of another version of Veer."""
    try:
        return TrialConfig.model_validate(config).canonical()
    except ValidationError:
        return None
