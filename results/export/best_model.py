"""Loading the weights that gave a trial its best VEER; never those of another epoch."""

from pathlib import Path

from pydantic import ValidationError

from results.journal.history import TrialHistory
from results.journal.run_folder import RunFolder
from results.records.trial_records import EpochEnded
from spaces.files.errors import CheckpointError, DamagedError, RunError
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.loading import LoadedModel, load_speaker_model
from trainable.config.trial_config import TrialConfig

_FIX = "restore it from a copy, or name another trial"


def load_best(run: RunFolder, history: TrialHistory) -> LoadedModel:
    """Load the model of a trial's best epoch, and check it against the journal.

    Args:
        run: The run folder of the search.
        history: The trial. If it has no VEER, the model files decide which epoch is best.

    Raises:
        RunError: The trial's checkpoints were not kept.
        CheckpointError: The checkpoint of the best epoch is missing or damaged, or belongs to
            another trial. The checkpoint of another epoch is never used instead.
    """
    checkpoints = CheckpointFolder(run.trial(history.trial))
    if not checkpoints.epochs():
        raise RunError(
            f"trial {history.trial} has no checkpoint any more: a search keeps only the "
            "checkpoints of its best trials (keep_best)"
        )
    if history.best is None:
        return load_speaker_model(run.trial(history.trial))  # no VEER to check
    file = checkpoints.file_of(history.best.epoch)
    if not file.exists():
        raise CheckpointError(
            f"{file}: the file of the best epoch of trial {history.trial} is missing; {_FIX}"
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
    loaded: LoadedModel, file: Path, history: TrialHistory, best: EpochEnded
) -> None:
    epoch, veer_pct = best.epoch, best.veer_pct
    # Checkpoints hold the journal's own number, so equality is exact.
    if (got := loaded.history[epoch - 1]["veer_pct"]) != veer_pct:
        raise CheckpointError(
            f"{file}: the journal has a VEER of {veer_pct} % for trial {history.trial} after "
            f"epoch {epoch}, the model file has {got} %: they are from different runs; {_FIX}"
        )
    if _canonical(history.started.config) not in (None, loaded.config.canonical()):
        raise CheckpointError(
            f"{file}: its config differs from the one in the journal for trial "
            f"{history.trial}: they are from different runs; {_FIX}"
        )


def _canonical(config: object) -> object:
    """Return a config of the journal in canonical form; None if this version cannot read it."""
    try:
        return TrialConfig.model_validate(config).canonical()
    except ValidationError:
        return None
