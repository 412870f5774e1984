"""Means of the loss terms over an epoch."""

import math

from torch import Tensor


class RunningMeans:
    """Means of the loss terms over an epoch, kept on the device so that no step waits for it.

    Args:
        skips: Whether a step whose total loss is not finite is left out, as the loss scaler skips
            it. Without a scaler such a step changes the weights, and so it counts.
    """

    def __init__(self, *, skips: bool = False) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0
        self._skips = skips
        self._num_skipped: Tensor | None = None

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step."""
        terms = {name: value.detach() for name, value in terms.items()}
        if self._skips:
            is_skipped = ~terms["total"].isfinite()
            terms = {name: value.masked_fill(is_skipped, 0) for name, value in terms.items()}
            before = self._num_skipped
            self._num_skipped = is_skipped.long() if before is None else before + is_skipped
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the steps that count; this waits for the device.

        All are NaN if no step counts.
        """
        counted = self.steps
        if self._num_skipped is not None:
            counted -= int(self._num_skipped.item())
        return {
            name: value.item() / counted if counted else math.nan
            for name, value in self.sums.items()
        }
