"""How much goes wrong before a search gives up."""

from pydantic import Field

from spaces.files.settings import Settings


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
