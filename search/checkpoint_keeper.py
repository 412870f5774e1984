"""Bounded disk: checkpoints of the best trials and of the unfinished ones only."""

from results.run_folder import RunFolder
from search.conductor import Conductor
from trainable.checkpoint import CheckpointFolder


class CheckpointKeeper:
    """Deletes the weights of trials that have ended and are not among the best.

    Args:
        run: The run folder.
        keep_best: Ended trials whose weights are kept, those with the lowest VEER.
    """

    def __init__(self, run: RunFolder, keep_best: int) -> None:
        self._run = run
        self._keep_best = keep_best
        self._dropped: set[int] = set()
        self._seen = -1

    def sweep(self, conductor: Conductor) -> None:
        """Looks at every trial again: an earlier process, or a late worker, may have left more.

        To be called while no trial runs.
        """
        for trial in conductor.trials:
            CheckpointFolder(self._run.trial(trial.trial)).delete_half_written()
        self._dropped.clear()
        self._seen = -1
        self.tidy(conductor)

    def tidy(self, conductor: Conductor) -> None:
        """Deletes what is not needed any more; cheap where no trial has ended since."""
        ended = [trial for trial in conductor.trials if trial.state is not None]
        if len(ended) == self._seen:
            return
        self._seen = len(ended)
        ranked = sorted(
            (trial.best_veer_pct, trial.trial)
            for trial in ended
            if trial.best_veer_pct is not None and trial.state in ("complete", "stopped_early")
        )
        kept = {number for _, number in ranked[: self._keep_best]}
        for trial in ended:
            number = trial.trial
            if number not in kept and number not in self._dropped:
                CheckpointFolder(self._run.trial(number)).delete_weights()
                self._dropped.add(number)
