"""Bounded disk: checkpoints of the best trials and of the unfinished ones only."""

from results.analysis.ranking import ranked
from results.journal.run_folder import RunFolder
from search.loop.coordinator import Coordinator
from search.loop.follow_ups import finalists_so_far
from trainable.checkpoints.folder import CheckpointFolder


class CheckpointKeeper:
    """Deletes the weights of trials that have ended and are not among the best.

    Beside the best by rank those stay that are repeated, or would be if that were asked for: the
    repeats may make any of them the best. Repeats and controls have no rank and keep none.

    Args:
        run: The run folder.
        keep_best: Ended trials whose weights are kept, the best by rank.
        num_finalists: Best configs that a search may repeat.
    """

    def __init__(self, run: RunFolder, keep_best: int, num_finalists: int = 1) -> None:
        self._run = run
        self._keep_best = keep_best
        self._num_finalists = min(num_finalists, keep_best)
        self._dropped: set[int] = set()
        self._seen = -1

    def sweep(self, coordinator: Coordinator) -> None:
        """Look at every trial again: an earlier process, or a late worker, may have left more.

        To be called while no trial runs.
        """
        for trial in coordinator.trials:
            CheckpointFolder(self._run.trial(trial.trial)).delete_half_written()
        self._dropped.clear()
        self._seen = -1
        self.tidy(coordinator)

    def tidy(self, coordinator: Coordinator) -> None:
        """Delete what is not needed any more; cheap where no trial has ended since."""
        ended = [trial for trial in coordinator.trials if trial.state is not None]
        if len(ended) == self._seen:
            return
        self._seen = len(ended)
        kept = {trial.trial for trial in ranked(ended)[: self._keep_best]}
        kept |= {trial.trial for trial in finalists_so_far(ended, self._num_finalists)}
        for trial in ended:
            number = trial.trial
            if number not in kept and number not in self._dropped:
                CheckpointFolder(self._run.trial(number)).delete_weights()
                self._dropped.add(number)
