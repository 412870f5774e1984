"""A trial's share of a machine: what it is given first, and what after it ran out of memory.

Knows no Ray. CPU memory has no shares of its own: a trial that is given more CPUs has fewer
neighbours, and so more of the memory.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

Resource = Literal["cpu", "gpu"]

# Ray counts in ten-thousandths.
PARTS = 10_000
# PyTorch's allocator rounds up and leaves gaps; validation takes memory of its own.
MARGIN = 1.25
# Of a process that uses CUDA, where it was not measured: about what the context and the kernels of
# PyTorch 2 take on recent GPUs.
USUAL_CONTEXT_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a trial is given.

    Attributes:
        num_cpus: CPUs that Ray reserves.
        num_gpus: GPUs that Ray reserves; a fraction of one, or whole ones.
    """

    num_cpus: float
    num_gpus: float

    @property
    def num_threads(self) -> int:
        """Threads to compute with: N trials have no more than the CPUs of their shares."""
        return max(1, int(self.num_cpus))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedShare:
    """The least that a trial is given after it ran out of memory.

    Attributes:
        resource: Of what.
        share: How much.
    """

    resource: Resource
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """What the trials of a search are given.

    Attributes:
        base: What a trial is given first.
        most_cpus: CPUs of the largest node.
        context_bytes: GPU memory that a process takes before it trains.
        step_bytes: GPU memory of a trial's steps, margin included; 0 where it was not measured.
    """

    base: Share
    most_cpus: float
    context_bytes: int = USUAL_CONTEXT_BYTES
    step_bytes: int = 0

    def share_of(self, raised: RaisedShare | None) -> Share:
        """What a trial is given; a raised share counts where it is more than the base."""
        if raised is None or (raised.resource == "gpu") != (self.base.num_gpus > 0):
            return self.base
        if raised.resource == "gpu":
            return replace(self.base, num_gpus=max(self.base.num_gpus, raised.share))
        most = max(self.most_cpus, self.base.num_cpus)
        return replace(self.base, num_cpus=min(most, max(self.base.num_cpus, raised.share)))

    def doubled(self, raised: RaisedShare | None) -> RaisedShare | None:
        """What a trial is given after it ran out of memory with this, None if there is no more.

        A trial trains on one GPU, so more than one would not help.
        """
        now = self.share_of(raised)
        if now.num_gpus >= 1 or (now.num_gpus == 0 and now.num_cpus >= self.most_cpus):
            return None
        if now.num_gpus > 0:
            return RaisedShare(resource="gpu", share=min(1.0, 2 * now.num_gpus))
        return RaisedShare(resource="cpu", share=min(self.most_cpus, 2 * now.num_cpus))

    def places(self, raised: RaisedShare | None) -> float:
        """How many trials of the base's size would fit where this one runs."""
        now, base = self.share_of(raised), self.base
        if base.num_gpus > 0:
            return now.num_gpus / base.num_gpus
        return now.num_cpus / base.num_cpus

    def step_bytes_of(self, raised: RaisedShare | None) -> int:
        """What a trial's steps are to find free: with twice the share twice as much."""
        return round(self.step_bytes * self.places(raised))

    def whole(self) -> str:
        """What a trial has had that was not enough, and that nothing larger follows."""
        if self.base.num_gpus > 0:
            return "a whole GPU"
        return f"all {self.most_cpus:g} CPUs of the largest node to itself"


def gpu_share(
    *, step_bytes: int, context_bytes: int, total_bytes: int, most_trials: int
) -> float:
    """The smallest share of a GPU that holds a trial, 1/N rounded down to Ray's precision.

    Args:
        step_bytes: Tensors of a training step of the largest config; `MARGIN` is added.
        context_bytes: What a process takes of the GPU beside them.
        total_bytes: The GPU's memory.
        most_trials: Trials that the CPUs beside this GPU carry; more would never run at once.

    Returns:
        At most 1, which is given even where a whole GPU is not enough.
    """
    by_memory = math.floor(total_bytes / (step_bytes * MARGIN + context_bytes))
    return PARTS // max(1, min(by_memory, most_trials, PARTS)) / PARTS
