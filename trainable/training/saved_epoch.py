"""One epoch of training whose scores and checkpoint are on disk before it is reported."""

from pathlib import Path

from trainable.checkpoints.folder import CheckpointFolder
from trainable.report.epoch_report import EpochReport
from trainable.training.trainer import Trainer
from trainable.verification.intervals import Interval
from trainable.verification.inverted import why_inverted
from trainable.verification.scores import SCORES_FILE, write_scores


def run_saved_epoch(trainer: Trainer, folder: Path) -> EpochReport:
    """Train an epoch and save its results: new best scores first, then the checkpoint.

    Of several processes that train together, the first one saves.

    In this order a process that is killed in between trains the epoch again, and no saved best
    epoch is without scores.

    Args:
        trainer: Its state advances by one epoch.
        folder: The run's folder.

    Raises:
        DivergedError: Loss, weights or embeddings are NaN or infinite; nothing is saved.
        DiskFullError: The disk is full; the files of earlier epochs are unchanged.
    """
    report = trainer.run_epoch()
    if trainer.ranks.is_first:
        write_new_scores(trainer, folder)
        CheckpointFolder(folder).save(trainer)
    return report


def why_trained_inverted(trainer: Trainer, epoch: int) -> str | None:
    """Return why a model that was trained to its last epoch is worse than chance.

    Args:
        trainer: The trainer.
        epoch: The epoch that is reported.

    Returns:
        None before the last epoch, and if the best epoch is not significantly worse.
    """
    if epoch < trainer.last_epoch:
        return None
    best = min(trainer.history, key=lambda report: report.rank_key)
    if best.veer_pct is None:
        return None
    interval = None
    if best.veer_low_pct is not None and best.veer_high_pct is not None:
        interval = Interval(low_pct=best.veer_low_pct, high_pct=best.veer_high_pct)
    is_target = trainer.data.val_is_target
    num_targets = int(is_target.sum())
    return why_inverted(best.veer_pct, interval, num_targets, is_target.size - num_targets)


def write_new_scores(trainer: Trainer, folder: Path) -> None:
    """Write the scores of the epoch just trained to a run's folder, if it is the best so far.

    Call it before the epoch is saved or reported, so that a reader of the report finds the
    scores.
    """
    if trainer.new_scores is not None:
        write_scores(folder / SCORES_FILE, trainer.new_scores)
