"""What a person may say of a trial's CPUs and GPUs."""

from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from spaces.files.complaints import did_you_mean
from spaces.files.settings import Settings

AUTO: Literal["auto"] = "auto"
MAX_GPUS = 64
# Ray counts in ten-thousandths; less would be nothing.
LEAST = 1e-4


class ResourceConfig(Settings):
    """What Ray reserves for a trial; N trials share a GPU with gpu 1/N."""

    cpu: float = Field(1.0, ge=LEAST, le=1024, description="CPUs a trial; also its threads.")
    gpu: float | Literal["auto"] = Field(
        0.0,
        description="GPUs a trial: a fraction, whole ones, or auto for the smallest share that "
        "holds a step of the space's largest config.",
    )

    @field_validator("gpu", mode="wrap")
    @classmethod
    def _number_or_auto(cls, gpu: Any, inner: Any) -> float | str:
        del inner  # of a union it would complain once for each member
        if gpu == AUTO:
            return AUTO
        if isinstance(gpu, int | float | str) and not isinstance(gpu, bool):
            with suppress(ValueError):
                if (number := float(gpu)) == 0 or LEAST <= number <= MAX_GPUS:
                    return number
        # Numbers are valid too, so auto is named again only where it is near.
        hint = did_you_mean(gpu, [AUTO]) if get_close_matches(str(gpu), [AUTO]) else ""
        raise ValueError(
            f"must be 0, a number from {LEAST:.4f} to {MAX_GPUS}, or auto, got {gpu!r}{hint}"
        )

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        if self.gpu != AUTO and self.gpu > 1 and self.gpu != int(self.gpu):
            raise ValueError(f"gpu must be at most 1 or a whole number, got {self.gpu}")
        return self


class FaultConfig(Settings):
    """Faults that say nothing of a trial's config: dead workers and nodes, hangs."""

    retries: int = Field(
        2,
        ge=0,
        le=1000,
        description="Times that a trial is run again from its last checkpoint after faults "
        "between which it finished no epoch; then it has failed.",
    )
    hang_factor: float = Field(
        10.0,
        gt=1,
        le=1e6,
        description="An epoch that takes so many times the usual time hangs, and its process is "
        "killed.",
    )
    hang_floor_s: float = Field(
        600.0, gt=0, description="Seconds that an epoch may take at least."
    )
    first_epoch_s: float = Field(
        86_400.0,
        gt=0,
        description="Seconds that an epoch may take before any trial has finished one.",
    )
    max_failed_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of the ended trials that may have failed; more stops the search.",
    )
    min_failed: int = Field(
        4, ge=1, le=1_000_000, description="Failed trials below which the search goes on anyway."
    )


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
