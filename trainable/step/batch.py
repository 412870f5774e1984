"""The input of a training step, and its parts where gradients are accumulated.

Shapes: B batch, T frames, F mel bins.
"""

from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils._pytree import tree_map_only

from trainable.loss.teacher_output import Crops


class Batch(NamedTuple):
    """The input of a step, on the step's device.

    Attributes:
        seen_BTF: The crops as the student sees them, maybe masked.
        crops: The whole crops, which the teacher sees.
        speaker_B: Classes (positions of the speakers).
    """

    seen_BTF: Tensor
    crops: Crops
    speaker_B: Tensor


def parts_of(batch: Batch, number: int) -> Iterator[tuple[Batch, float]]:
    """Yield equal parts of a batch in its order, each with its share of the crops.

    Args:
        batch: The batch. If it cannot be split evenly, the first parts have one crop more.
        number: Number of parts; fewer if the batch has fewer crops.
    """
    size = len(batch.speaker_B)
    if number == 1:
        yield batch, 1.0
        return
    # As plain numbers: batches on a GPU must not be waited for.
    for place in np.array_split(np.arange(size), min(number, size)):
        part = slice(int(place[0]), int(place[-1]) + 1)
        one: Batch = tree_map_only((Tensor, np.ndarray), itemgetter(part), batch)
        yield one, len(place) / size
