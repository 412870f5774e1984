"""Limits on the cost of a config; one that exceeds a limit is not tried."""

from dataclasses import dataclass

from pydantic import BaseModel, ByteSize, ConfigDict, Field

BYTES_PER_MIB = 2**20
# Stands in place of a limit if values together break a rule of the config.
BROKEN_RULE = "config"


class Limits(BaseModel):
    """Bounds on the cost of a model; a config that breaks one is not trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_params: int | None = Field(None, ge=1, description="Parameters of the network.")
    max_macs: int | None = Field(
        None, ge=1, description="Multiply-accumulates of a 2-s utterance, without the front end."
    )
    max_cpu_latency_vs_teacher: float | None = Field(
        None,
        gt=0,
        description="Time on this machine's CPU over the teacher's, one thread and batch 1: 0.5 "
        "is twice as fast as the teacher.",
    )
    max_gpu_memory: ByteSize | None = Field(
        None,
        gt=0,
        description="Memory of a training step, estimated for float32: bytes, or text such as "
        "3GiB.",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the limits that are set."""
        return tuple(name for name, value in self if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A limit that a config exceeds, or a rule of the config that its values break together.

    Attributes:
        limit: Name of the limit, such as `max_params`; `config` for a rule.
        value: The value of the config.
        allowed: The largest allowed value.
        is_estimated: Whether the value was estimated, not counted or measured.
        text: The broken rule; None for a limit.
    """

    limit: str
    value: float
    allowed: float
    is_estimated: bool = False
    text: str | None = None

    @property
    def excess(self) -> float:
        """The excess over the limit as a fraction of the limit; above 0, and 1 for a rule."""
        if self.text is not None:
            # A rule has no amount; samplers that use constraints need only a number above 0.
            return 1.0
        return self.value / self.allowed - 1

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        about = " (estimated)" if self.is_estimated else ""
        allowed, value = (limit_text(self.limit, each) for each in (self.allowed, self.value))
        return f"{self.limit} is {allowed}, the config has {value}{about}"


def limit_text(limit: str, value: float) -> str:
    """Return a value of this limit in readable form: `7,366,592`, `0.482`, `1350.0MiB`."""
    if limit == "max_gpu_memory":
        return f"{value / BYTES_PER_MIB:.1f}MiB"
    return f"{value:,.3g}" if limit == "max_cpu_latency_vs_teacher" else f"{value:,.0f}"
