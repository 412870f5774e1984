"""The trainable class of a search, which runs only on nodes that fit the search."""

from typing import Any

from search.cluster.check import require_versions
from search.cluster.gpu_nodes import require_gpu_for
from trainable.training.ray_trial import StudentTrial


class CheckedTrial(StudentTrial):
    """A trial that compares its process's versions and its GPU with what the search started with.

    `search.cluster` checks the nodes that are present at the start of the search. This class
    checks those that join later.
    """

    def step(self) -> dict[str, Any]:
        """Train an epoch.

        Raises:
            RuntimeError: The node has other versions, or its GPU cannot be used or lacks the
                search's precision. The trial must run on another node.
        """
        require_versions(self._task.versions)
        if self._task.device != "cpu" and self._task.num_gpus > 0:
            require_gpu_for(self._task.engine)
        return super().step()
