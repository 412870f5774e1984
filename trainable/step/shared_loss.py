"""The loss of a batch that one process has, or several processes have a part of each."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models import ModelOutput, SpeakerModel
from trainable.loss.objective import Objective
from trainable.machine.ranks import Ranks
from trainable.machine.synced_norm import sync_batch_norms


class _Loss(nn.Module):
    """Student and objective as one module: both have parameters whose gradients are averaged."""

    def __init__(
        self, student: SpeakerModel, objective: Objective, forward: Callable[..., ModelOutput]
    ) -> None:
        super().__init__()
        self.student, self.objective = student, objective
        # In a tuple, since a compiled student is a module too and would be registered twice.
        self._forwards = (forward,)

    def forward(self, *batch: Any, **options: Any) -> dict[str, Tensor]:
        """Return the terms of `Objective.forward`."""
        terms: dict[str, Tensor] = self.objective(self._forwards[0], *batch, **options)
        return terms


def shared_loss(
    student: SpeakerModel,
    objective: Objective,
    forward: Callable[..., ModelOutput],
    ranks: Ranks,
) -> nn.Module:
    """Return a module that computes the terms of a loss; a backward pass averages gradients.

    With several processes, each has an equal part of the batch. Batch normalisation uses the
    statistics of the whole batch, so a step is the one that a single process would run, to float
    rounding.

    Args:
        student: The network to train; changed in place.
        objective: Its loss.
        forward: The student's forward pass, maybe compiled.
        ranks: The processes.
    """
    loss = _Loss(student, objective, forward)
    if ranks.is_alone:
        return loss
    sync_batch_norms(student, ranks)
    # Buffers need no broadcast: every process computes the same statistics. A static graph, since
    # a parameter without gradient (a decoder without its loss) has none in all steps.
    return DistributedDataParallel(loss, broadcast_buffers=False, static_graph=True)


def only_accumulating(loss: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which passes of a shared loss add gradients without averaging them.

    A later pass outside of it averages the sum. It must not hold the first pass of all, in which
    a static graph is recorded.
    """
    if isinstance(loss, DistributedDataParallel):
        return loss.no_sync()
    return nullcontext()
