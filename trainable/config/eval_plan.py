"""Which epochs of a training are evaluated, where evaluating all of them would take too long."""

from pydantic import Field

from spaces.files.settings import Settings


class EvalPlan(Settings):
    """The epochs after which a model is evaluated; by default all.

    An epoch without evaluation has no VEER, and is never the best one.
    """

    every_epochs: int = Field(1, ge=1, description="Every so many epochs one is evaluated.")
    anyway: tuple[int, ...] = Field(
        (), description="Epochs that are evaluated too: those at which trials are compared."
    )
    all_from: int = Field(1, ge=1, description="From this epoch on all are evaluated.")

    def is_due(self, epoch: int) -> bool:
        """Return whether an epoch, counted from 1, is evaluated."""
        return (
            epoch >= self.all_from or epoch in self.anyway or epoch % self.every_epochs == 0
        )


EVERY_EPOCH = EvalPlan()
