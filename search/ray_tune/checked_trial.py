"""The trial as a search runs it: on nodes with the search's own versions only."""

from typing import Any

from search.cluster.check import require_versions
from trainable.training.ray_trial import StudentTrial


class CheckedTrial(StudentTrial):
    """A trial that first compares its process's versions with those that the search began with.

    The nodes that are there at the start are asked before (`search.cluster.check`); this is for
    those that join later.
    """

    def step(self) -> dict[str, Any]:
        """Trains an epoch.

        Raises:
            RuntimeError: The node has other versions; the trial is to be run elsewhere.
        """
        require_versions(self._task.versions)
        return super().step()
