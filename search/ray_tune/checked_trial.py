"""The trainable class of a search, which runs only on nodes with the search's own versions."""

from typing import Any

from search.cluster.check import require_versions
from trainable.training.ray_trial import StudentTrial


class CheckedTrial(StudentTrial):
    """A trial that compares its process's versions with those that the search started with.

    `search.cluster.check` checks the nodes that are present at the start of the search. This class
    checks those that join later.
    """

    def step(self) -> dict[str, Any]:
        """Train an epoch.

        Raises:
            RuntimeError: The node has other versions. The trial must run on another node.
        """
        require_versions(self._task.versions)
        return super().step()
