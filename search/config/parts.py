"""What a person may say of a trial's CPUs and GPUs."""

from contextlib import suppress
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
