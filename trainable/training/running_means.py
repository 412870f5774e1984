"""Means of the loss terms over an epoch."""

from torch import Tensor


class RunningMeans:
    """Means of the loss terms over an epoch, kept on the device so that no step waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of one step."""
        for name, value in terms.items():
            value = value.detach()
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each term over the steps; this waits for the device."""
        return {name: value.item() / self.steps for name, value in self.sums.items()}
