"""What a config must not exceed to be tried at all."""

from dataclasses import dataclass

from pydantic import BaseModel, ByteSize, ConfigDict, Field

BYTES_PER_MIB = 2**20
# Stands for a limit where values break a rule of the config together.
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
        None, gt=0, description="Memory of a training step: bytes, or text such as 3GiB."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The limits that are set."""
        return tuple(name for name, value in self if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A limit that a config breaks, or a rule that its values break together.

    Attributes:
        limit: Its name, `max_params`; of a rule `config`.
        value: What the config has.
        allowed: The limit.
        is_estimated: Whether the value was estimated, and not counted or measured.
        text: The rule, None for a limit.
    """

    limit: str
    value: float
    allowed: float
    is_estimated: bool = False
    text: str | None = None

    @property
    def excess(self) -> float:
        """How far over the limit, as a part of it; above 0, and 1 for a rule."""
        if self.text is not None:
            return 1.0
        return self.value / self.allowed - 1

    def __str__(self) -> str:
        if self.text is not None:
            return self.text
        about = " (estimated)" if self.is_estimated else ""
        allowed, value = (limit_text(self.limit, each) for each in (self.allowed, self.value))
        return f"{self.limit} is {allowed}, the config has {value}{about}"


def limit_text(limit: str, value: float) -> str:
    """A value of this limit as a person reads it: `7,366,592`, `0.482`, `1350.0MiB`."""
    if limit == "max_gpu_memory":
        return f"{value / BYTES_PER_MIB:.1f}MiB"
    return f"{value:,.3g}" if limit == "max_cpu_latency_vs_teacher" else f"{value:,.0f}"
