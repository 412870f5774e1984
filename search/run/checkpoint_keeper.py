"""A bound on disk space: checkpoints of the best and the unfinished trials only."""

from collections.abc import Callable
from itertools import islice

from results.analysis.front import kept_first
from results.journal.run_folder import RunFolder
from search.loop.coordinator import Coordinator
from search.loop.follow_ups import finalists_so_far
from search.loop.trial_course import TrialCourse
from trainable.checkpoints.folder import CheckpointFolder


class CheckpointKeeper:
    """Deletes the weights of ended trials that are not among the best.

    It keeps the best by rank, with several goals the first in rank and the best of the front (see
    `results.analysis.front`), and also the finalists, even if no repeats are requested yet, since
    repeats may make any finalist the best. Repeats and controls have no rank and keep no weights.

    Args:
        run: The run folder.
        keep_best: Number of ended trials whose weights are kept, the best.
        num_finalists: Number of best configs that a search may repeat.
        delete_elsewhere: Deletes the weights of a trial where the run has another copy.
    """

    def __init__(
        self,
        run: RunFolder,
        keep_best: int,
        num_finalists: int = 1,
        delete_elsewhere: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run = run
        self._delete_elsewhere = delete_elsewhere
        self._keep_best = keep_best
        # Repeats require finalists <= keep_best; without repeats the setting may be larger.
        self._num_finalists = min(num_finalists, keep_best)
        self._deleted: set[int] = set()
        self._num_ended = -1

    def sweep(self, coordinator: Coordinator) -> None:
        """Check every trial, since an earlier process or a late worker may have left files.

        Call it only while no trial runs: half-written files are deleted too.
        """
        for trial in coordinator.trials:
            CheckpointFolder(self._run.trial(trial.trial)).delete_half_written()
        self._deleted.clear()
        self._num_ended = -1
        self.tidy(coordinator)

    def tidy(self, coordinator: Coordinator) -> None:
        """Delete the weights that are no longer needed; cheap if no trial has ended since."""
        ended = [trial for trial in coordinator.trials if trial.state is not None]
        # It is called at every step of Ray's loop, several times a second.
        if len(ended) == self._num_ended:
            return
        self._num_ended = len(ended)
        kept = self._kept(ended)
        for trial in ended:
            number = trial.trial
            if number not in kept and number not in self._deleted:
                CheckpointFolder(self._run.trial(number)).delete_weights()
                self._delete_elsewhere(number)
                self._deleted.add(number)

    def kept_epochs(self, coordinator: Coordinator) -> dict[int, int]:
        """Return the last epoch of each trial whose weights are kept, by trial."""
        ended = [trial for trial in coordinator.trials if trial.state is not None]
        kept = self._kept(ended) | {t.trial for t in coordinator.trials if t.state is None}
        return {t.trial: t.epoch for t in coordinator.trials if t.trial in kept and t.epoch}

    def _kept(self, ended: list[TrialCourse]) -> set[int]:
        best = {trial.trial for trial in islice(kept_first(ended), self._keep_best)}
        return best | {trial.trial for trial in finalists_so_far(ended, self._num_finalists)}
