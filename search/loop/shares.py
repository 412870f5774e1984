"""The share of a machine that a trial reserves, at first and after it ran out of memory.

Independent of Ray. CPU memory has no shares of its own: a trial with more CPUs has fewer
neighbours on its machine, and so more of the memory.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

Resource = Literal["cpu", "gpu"]

# Ray rounds every amount of a resource to ten-thousandths.
UNITS_PER_WHOLE = 10_000
# PyTorch's allocator rounds up and leaves gaps; validation takes memory of its own.
MEMORY_MARGIN = 1.25
# Assumed for a process that uses CUDA where it was not measured: about what the context and the
# kernels of PyTorch 2 take on recent GPUs.
USUAL_CONTEXT_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceShare:
    """What a trial reserves.

    Attributes:
        num_cpus: CPUs that Ray reserves.
        num_gpus: GPUs that Ray reserves; a fraction of one, or whole ones.
    """

    num_cpus: float
    num_gpus: float

    @property
    def num_threads(self) -> int:
        """Threads to compute with: N trials together use no more than the CPUs they reserve."""
        return max(1, int(self.num_cpus))


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisedShare:
    """The least that a trial reserves after it ran out of memory.

    Attributes:
        resource: The resource that was raised.
        share: CPUs or GPUs to reserve at least.
    """

    resource: Resource
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAllocator:
    """The shares of a search's trials, and how they grow.

    Attributes:
        base: The share of a trial that has not run out of memory.
        max_cpus: CPUs of the largest node.
        context_bytes: GPU memory that a process takes before it trains.
        step_bytes: GPU memory of a trial's steps, margin included; 0 where it was not measured.
    """

    base: ResourceShare
    max_cpus: float
    context_bytes: int = USUAL_CONTEXT_BYTES
    step_bytes: int = 0

    def share_of(self, raised: RaisedShare | None) -> ResourceShare:
        """Return the trial's share; a raised share counts where it is more than the base."""
        # A resumed search may have moved from GPUs to CPUs or back: the raise is dropped then.
        if raised is None or (raised.resource == "gpu") != (self.base.num_gpus > 0):
            return self.base
        if raised.resource == "gpu":
            return replace(self.base, num_gpus=max(self.base.num_gpus, raised.share))
        most = max(self.max_cpus, self.base.num_cpus)
        return replace(self.base, num_cpus=min(most, max(self.base.num_cpus, raised.share)))

    def doubled(self, raised: RaisedShare | None) -> RaisedShare | None:
        """Return the next larger share after a trial ran out of memory, None if there is none.

        A trial trains on one GPU, so more than one would not help.
        """
        now = self.share_of(raised)
        if now.num_gpus >= 1 or (now.num_gpus == 0 and now.num_cpus >= self.max_cpus):
            return None
        if now.num_gpus > 0:
            # Doubled: few restarts lead from any share to a whole GPU, and each repeats an epoch.
            return RaisedShare(resource="gpu", share=min(1.0, 2 * now.num_gpus))
        return RaisedShare(resource="cpu", share=min(self.max_cpus, 2 * now.num_cpus))

    def num_base_shares(self, raised: RaisedShare | None) -> float:
        """Return how many trials with the base share would fit where this one runs."""
        now, base = self.share_of(raised), self.base
        if base.num_gpus > 0:
            return now.num_gpus / base.num_gpus
        return now.num_cpus / base.num_cpus

    def step_bytes_of(self, raised: RaisedShare | None) -> int:
        """Return the GPU memory, bytes, for a trial's steps: it grows with the share."""
        return round(self.step_bytes * self.num_base_shares(raised))

    def largest_in_words(self) -> str:
        """Return the largest share in words, for the message that it was not enough."""
        if self.base.num_gpus > 0:
            return "a whole GPU"
        return f"all {self.max_cpus:g} CPUs of the largest node to itself"


def gpu_share(
    *, step_bytes: int, context_bytes: int, total_bytes: int, most_trials: int
) -> float:
    """Return the smallest share of a GPU that holds a trial, 1/N rounded down as Ray counts.

    Args:
        step_bytes: Bytes of the tensors of the largest config's training step; `MEMORY_MARGIN`
            is applied to them.
        context_bytes: GPU memory of a process besides those tensors.
        total_bytes: The GPU's memory.
        most_trials: Trials for which there are CPUs per GPU; more would never run at once.

    Returns:
        At most 1, even where a whole GPU is not enough: that trial fails, out of memory.
    """
    by_memory = math.floor(total_bytes / (step_bytes * MEMORY_MARGIN + context_bytes))
    # At most as many trials as Ray has units: a share of 0 units would reserve nothing.
    num_trials = max(1, min(by_memory, most_trials, UNITS_PER_WHOLE))
    # Rounded down, so that num_trials shares never add up to more than the GPU.
    return UNITS_PER_WHOLE // num_trials / UNITS_PER_WHOLE
