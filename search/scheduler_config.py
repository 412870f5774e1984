"""Settings of early stopping."""

from typing import Literal

from pydantic import Field

from spaces.files.settings import Settings


class SchedulerConfig(Settings):
    """Early stopping."""

    kind: Literal["asha", "none"] = Field(
        "asha", description="asha stops trials whose VEER falls behind; none runs all to the end."
    )
    grace_epochs: int = Field(
        9, ge=1, le=100_000, description="Epochs before which no trial is stopped: the first rung."
    )
    reduction_factor: float = Field(
        3.0, gt=1, le=100, description="At a rung about one trial in so many goes on."
    )
