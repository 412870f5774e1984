"""Sections of a search's settings: resources, faults, early stopping, follow-ups."""

from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from search.config.kinds import SchedulerKind
from spaces.files.complaints import did_you_mean
from spaces.files.settings import Settings

AUTO: Literal["auto"] = "auto"
MAX_GPUS = 64
# Ray rounds amounts of a resource to ten-thousandths: less would reserve nothing.
MIN_AMOUNT = 1e-4
MAX_GRACE = 100_000


def _resembles_auto(value: Any) -> bool:
    """Return whether to suggest `auto`: most mistakes are meant as numbers."""
    return bool(get_close_matches(str(value), [AUTO]))


class ResourceConfig(Settings):
    """CPUs and GPUs that Ray reserves for a trial; with gpu=1/N, N trials share a GPU."""

    cpu: float = Field(1.0, ge=MIN_AMOUNT, le=1024, description="CPUs a trial; also its threads.")
    gpu: float | Literal["auto"] = Field(
        0.0,
        description="GPUs a trial: a fraction, whole ones, or auto for the smallest share that "
        "holds a step of the space's largest config.",
    )

    @field_validator("gpu", mode="wrap")
    @classmethod
    def _number_or_auto(cls, gpu: Any, inner: Any) -> float | str:
        del inner  # Pydantic's check of a union would report one error for each member
        if gpu == AUTO:
            return AUTO
        if isinstance(gpu, int | float | str) and not isinstance(gpu, bool):
            with suppress(ValueError):
                if (number := float(gpu)) == 0 or MIN_AMOUNT <= number <= MAX_GPUS:
                    return number
        hint = did_you_mean(gpu, [AUTO]) if _resembles_auto(gpu) else ""
        raise ValueError(
            f"must be 0, a number from {MIN_AMOUNT:.4f} to {MAX_GPUS}, or auto, got {gpu!r}{hint}"
        )

    @model_validator(mode="after")
    def _whole_gpus(self) -> Self:
        # Ray assigns fractions of a single GPU only.
        if self.gpu != AUTO and self.gpu > 1 and self.gpu != int(self.gpu):
            raise ValueError(f"gpu must be at most 1 or a whole number, got {self.gpu}")
        return self


class FaultConfig(Settings):
    """Limits of faults that a trial's config does not cause: dead workers and nodes, hangs."""

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
        description="Multiple of the usual time after which an epoch counts as hanging; its "
        "process is killed.",
    )
    hang_floor_s: float = Field(
        600.0, gt=0, description="Seconds below which no epoch counts as hanging."
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
        description="Share of ended trials that may have failed; more stops the search.",
    )
    min_failed: int = Field(
        4, ge=1, le=1_000_000, description="Failed trials below which the search goes on anyway."
    )


class SchedulerConfig(Settings):
    """Settings of early stopping."""

    kind: SchedulerKind = Field(
        "asha", description="asha stops trials that fall behind; none runs all to the end."
    )
    grace_epochs: Annotated[int, Field(ge=1, le=MAX_GRACE)] | Literal["auto"] = Field(
        AUTO,
        description="Epochs before which no trial is stopped: the first rung. auto begins at 1 "
        "and moves with how well the order at a rung holds.",
    )
    reduction_factor: float = Field(
        3.0, gt=1, le=100, description="About one of so many trials at a rung goes on."
    )

    @field_validator("grace_epochs", mode="wrap")
    @classmethod
    def _whole_or_auto(cls, grace_epochs: Any, inner: Any) -> int | str:
        if grace_epochs == AUTO:
            return AUTO
        try:
            whole: int = inner(grace_epochs)
        except ValidationError as error:
            # Pydantic reports one error for each member of the union.
            hint = did_you_mean(grace_epochs, [AUTO]) if _resembles_auto(grace_epochs) else ""
            raise ValueError(
                f"must be a whole number from 1 to {MAX_GRACE:,}, or auto, got {grace_epochs!r}"
                f"{hint}"
            ) from error
        return whole

    @property
    def first_rung(self) -> int:
        """The lowest epoch at which trials are compared."""
        return 1 if isinstance(self.grace_epochs, str) else self.grace_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpPlan:
    """The follow-ups of a search: trials that it runs after its own trials.

    Attributes:
        repeat: Number of other seeds with which each finalist's config is run.
        finalists: Number of best configs that are repeated.
        control: Number of stopped trials that are run to the end.
        seed: Seed of the search.
    """

    repeat: int = 0
    finalists: int = 3
    control: int = 0
    seed: int = 0

    @property
    def is_any(self) -> bool:
        """Whether the plan has any follow-up."""
        return bool(self.repeat or self.control)

    @property
    def max_trials(self) -> int:
        """Number of follow-ups, if there are enough finalists and stopped trials."""
        return self.repeat * self.finalists + self.control

    def num_epochs(self, max_epochs: int) -> int:
        """Return the largest number of their epochs: none of them is stopped early."""
        return self.max_trials * max_epochs
