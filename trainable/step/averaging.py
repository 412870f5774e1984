"""The exponential average of the weights over the steps of a training, and what averages share."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from spaces.files.errors import TrainingError
from trainable.machine.memory_share import is_out_of_memory


class Average(Protocol):
    """Averages of modules that are being trained."""

    @property
    def averaged(self) -> tuple[Any, ...]:
        """The averages, modules of the given classes in the given order."""

    def update(self) -> None:
        """Take the weights after a step."""

    def end_epoch(self) -> None:
        """Take the weights after an epoch."""

    def restart(self) -> None:
        """Begin again; the modules were given the weights of the averages."""

    def state(self) -> dict[str, Any]:
        """Return what a restored average needs besides averages and modules."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Load the state of a step, which has that of `state`; all modules were loaded."""


@contextmanager
def copying(setting: str) -> Iterator[None]:
    """Name the setting whose average needs a copy of a module, if it cannot be copied.

    Raises:
        TrainingError: A module cannot be copied.
    """
    try:
        yield
    # Copying runs code of the module's own, which may raise anything.
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise TrainingError(
            f"training.{setting} > 0 needs a model that copy.deepcopy can copy, got "
            f"{type(error).__name__}: {error}; set training.{setting} to 0"
        ) from error


class WeightAverage:
    """Averages of modules that are being trained, moved towards them after every step.

    Batch-norm statistics are averaged like weights; counters are copied. The first steps count
    less than `decay` says, so that the weights before training do not last: after n steps the
    decay is at most (1 + n) / (10 + n).

    Args:
        modules: On their device; trained in place from here on.
        decay: Share of the average that a step keeps, 0 to 1.

    Attributes:
        num_updates: Steps so far.

    Raises:
        TrainingError: A module cannot be copied.
    """

    def __init__(self, modules: Sequence[nn.Module], decay: float) -> None:
        self.num_updates = 0
        self._decay = decay
        self._trained = nn.ModuleList(modules)
        with copying("ema_epochs"):
            self._average = AveragedModel(self._trained, use_buffers=True)

    @property
    def averaged(self) -> tuple[Any, ...]:
        """The averages, modules of the given classes in the given order."""
        return tuple(self._average.module.children())

    def update(self) -> None:
        """Move the averages towards the modules; call it after a step."""
        kept = min(self._decay, (1 + self.num_updates) / (10 + self.num_updates))
        self._average.multi_avg_fn = partial(_move, 1 - kept)
        self._average.update_parameters(self._trained)
        self.num_updates += 1

    def end_epoch(self) -> None:
        """Do nothing: every step was averaged."""

    def restart(self) -> None:
        """Do nothing: modules that have the averages' weights leave those as they are."""

    def state(self) -> dict[str, Any]:
        """Return an empty state: the number of steps is the step's own."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue after this number of steps; the averaged modules were loaded."""
        self.num_updates = state["num_steps"]
        self._average.n_averaged.fill_(self.num_updates)


def decay_of(ema_epochs: float, steps_per_epoch: int) -> float:
    """Return the decay by step of an average with this time constant in epochs."""
    return math.exp(-1 / (ema_epochs * steps_per_epoch))


def _move(weight: float, averaged: Any, trained: Any, num_averaged: Tensor | int) -> None:
    """Move tensors of one type towards others by a part of the distance; copy integers."""
    del num_averaged  # counted on the host: reading it would wait for the device
    with torch.no_grad():
        if averaged[0].is_floating_point() or averaged[0].is_complex():
            torch._foreach_lerp_(averaged, trained, weight)
        else:
            torch._foreach_copy_(averaged, trained)
