"""How many trials a search runs after its own, and of which kinds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPlan:
    """What a search runs after its own trials.

    Attributes:
        repeat: Other seeds that each finalist's config is run with.
        finalists: How many of the best configs are repeated.
        control: Stopped trials that are run to the end.
        seed: The search's.
    """

    repeat: int = 0
    finalists: int = 3
    control: int = 0
    seed: int = 0

    @property
    def is_any(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.repeat or self.control)

    @property
    def most(self) -> int:
        """Trials that it will be at most."""
        return self.repeat * self.finalists + self.control

    def num_epochs(self, max_epochs: int) -> int:
        """Epochs that they take at most: none of them is stopped early."""
        return self.most * max_epochs
