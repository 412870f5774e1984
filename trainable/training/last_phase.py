"""The phases of a training: when the main one ends, and what the last one trains on.

The last phase is large-margin fine-tuning. Source: Thienpondt, Desplanques and Demuynck, "The
IDLab VoxSRC-20 submission", ICASSP 2021: longer crops, a larger margin, no augmentation.
"""

from collections.abc import Sequence

from trainable.config.training_config import TrainingConfig
from trainable.report.epoch_report import EpochReport


def main_epochs(
    training: TrainingConfig, history: Sequence[EpochReport], patience_epochs: int
) -> int:
    """Return the epochs before the last phase, or of the whole training if it has none.

    It follows from the history alone, so that a restored training ends where another would.

    Args:
        training: Number of epochs and of those in the last phase.
        history: Reports of the finished epochs.
        patience_epochs: Epochs without a better VEER after which the main phase ends; 0 for none.
    """
    planned = training.planned_main_epochs
    best = None
    for report in history[:planned] if patience_epochs else ():
        if best is None or report.rank_key < best.rank_key:
            best = report
        if report.epoch - best.epoch >= patience_epochs:
            return report.epoch
    return planned


def why_ended(
    training: TrainingConfig, history: Sequence[EpochReport], patience_epochs: int
) -> str | None:
    """Return why a training ended before its last epoch, or began the last phase early, if so."""
    ended = main_epochs(training, history, patience_epochs)
    if ended == training.planned_main_epochs:
        return None
    what = "the last phase began" if training.last_phase_epochs else "the training ended"
    return (
        f"{what} after epoch {ended} of {training.planned_main_epochs}: no better VEER for "
        f"{patience_epochs} epochs (training.patience_epochs)"
    )
