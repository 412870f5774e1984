"""The average of the weights at the ends of the last epochs, as WeSpeaker averages model files.

Source: wespeaker/bin/average_model.py. As there, batch-norm statistics are averaged like weights:
they belong to weights that differ little, at the small rates of the last epochs. Computed anew,
they would cost a pass over the corpus for every epoch that is evaluated.
"""

import copy
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainable.config.training_config import TrainingConfig
from trainable.step.averaging import Average, WeightAverage, copying, decay_of

Weights = dict[str, Tensor]
EARLIER = "earlier_weights"


class EpochAverage:
    """Averages over the ends of the last epochs so far; before there are enough, over all.

    So after every epoch it is what the training would deliver if it ended there. The weights of
    the epochs are kept in memory, not on the device.

    Args:
        modules: On their device; trained in place from here on.
        number: Epochs in the average.

    Raises:
        TrainingError: A module cannot be copied.
    """

    def __init__(self, modules: Sequence[nn.Module], number: int) -> None:
        self._trained = nn.ModuleList(modules)
        with copying("average_last"):
            self._average = copy.deepcopy(self._trained)
        self._average.requires_grad_(False)
        self._ends: deque[Weights] = deque(maxlen=number)

    @property
    def averaged(self) -> tuple[Any, ...]:
        """The averages, modules of the given classes in the given order."""
        return tuple(self._average.children())

    def update(self) -> None:
        """Do nothing: only ends of epochs count."""

    def end_epoch(self) -> None:
        """Average the weights as they are with those of the epochs before."""
        self._ends.append(self._present())
        self._average.load_state_dict(mean_weights(self._ends))

    def restart(self) -> None:
        """Forget the epochs so far."""
        self._ends.clear()

    def state(self) -> dict[str, Any]:
        """Return the weights at the ends of all epochs in the average but the last."""
        return {EARLIER: list(self._ends)[:-1]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue after an epoch; averages and modules were loaded."""
        self._ends.clear()
        self._ends.extend([*state[EARLIER], self._present()])

    def _present(self) -> Weights:
        # A copy even of what is in memory already, since training changes it.
        weights = self._trained.state_dict().items()
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights}


def mean_weights(ends: Sequence[Weights]) -> Weights:
    """Return the means of weights by name; of integers, such as counters, the last one."""
    last = ends[-1]
    return {
        name: torch.stack([each[name].double() for each in ends]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }


def make_average(
    config: TrainingConfig, modules: Sequence[nn.Module], steps_per_epoch: int
) -> Average | None:
    """Return the average of the weights that a config asks for, if any.

    Raises:
        TrainingError: A module cannot be copied.
    """
    if config.ema_epochs:
        return WeightAverage(modules, decay_of(config.ema_epochs, steps_per_epoch))
    return EpochAverage(modules, config.average_last) if config.average_last else None
