"""The share of a machine that a trial reserves, at first and after it ran out of memory.

Independent of Ray. CPU memory has no shares of its own: a trial with more CPUs has fewer
neighbours on its machine, and so more of the memory.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Resource = Literal["cpu", "gpu"]

# Ray rounds every amount of a resource to ten-thousandths.
UNITS_PER_WHOLE = 10_000
# PyTorch's allocator rounds up and leaves gaps; validation takes memory of its own.
MEMORY_MARGIN = 1.25
# Shares are multiples of 1/10,000, so sums that should be whole may miss it by a little.
TOLERANCE = 1e-3
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
        num_gpus: GPUs over which larger shares spread trials; 0 where they are not used for that.
        num_all_gpus: GPUs of all nodes.
        context_bytes: GPU memory that a process takes before it trains.
        step_bytes: GPU memory of a trial's steps, margin included; 0 where it was not measured.
    """

    base: ResourceShare
    max_cpus: float
    num_gpus: int = 0
    num_all_gpus: int = 1
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

    def spread_share(
        self, raised: RaisedShare | None, taken: Sequence[float], num_to_come: int
    ) -> ResourceShare:
        """Return the share of a trial that starts, larger where a GPU would stay idle otherwise.

        Ray fills one GPU before the next: it puts a part of a GPU where the least is left over.
        The average of what is free on a GPU is too much for all fuller ones. So a trial that asks
        for as much runs on one of the others. It leaves a base share to each trial to come.

        Args:
            raised: Its share since it ran out of memory.
            taken: Base shares that each of the running trials has.
            num_to_come: Trials that may start while all of these run.
        """
        share = self.share_of(raised)
        if self.num_gpus == 0 or not 0 < share.num_gpus < 1:
            return share
        per_gpu = num_fitting(1.0, self.base.num_gpus)
        # Whole GPUs that are taken would only lower the average.
        parts = [num for num in taken if num < per_gpu - TOLERANCE]
        num_gpus = max(1, self.num_gpus - len(taken) + len(parts))
        num_free = num_gpus * per_gpu - sum(parts)
        num = math.ceil(min(num_free / num_gpus, num_free / (num_to_come + 1)) - TOLERANCE)
        wider = 1.0 if num >= per_gpu else num * self.base.num_gpus
        return replace(share, num_gpus=max(share.num_gpus, wider))

    def is_free(self, share: ResourceShare, taken: Sequence[float]) -> bool:
        """Return whether a part of a GPU is surely free on one of them.

        Args:
            share: The part, at least the base share.
            taken: Base shares that each of the running trials has.
        """
        num = math.ceil(self.num_base_shares(share) - TOLERANCE)
        if num <= 1 or not 0 < self.base.num_gpus < 1:
            return True
        num_free = self.num_all_gpus * num_fitting(1.0, self.base.num_gpus) - sum(taken)
        # At worst each GPU lacks one base share of it.
        return num_free > self.num_all_gpus * (num - 1) + 1 - TOLERANCE

    def doubled(self, had: ResourceShare) -> RaisedShare | None:
        """Return the next larger share after a trial ran out of memory, None if there is none.

        A trial trains on one GPU, so more than one would not help.

        Args:
            had: What the trial had when it ran out.
        """
        if had.num_gpus >= 1 or (had.num_gpus == 0 and had.num_cpus >= self.max_cpus):
            return None
        if had.num_gpus > 0:
            # Doubled: few restarts lead from any share to a whole GPU, and each repeats an epoch.
            return RaisedShare(resource="gpu", share=min(1.0, 2 * had.num_gpus))
        return RaisedShare(resource="cpu", share=min(self.max_cpus, 2 * had.num_cpus))

    def num_base_shares(self, share: ResourceShare) -> float:
        """Return how many trials with the base share would fit where one with this share runs."""
        if self.base.num_gpus > 0:
            return share.num_gpus / self.base.num_gpus
        return share.num_cpus / self.base.num_cpus

    def step_bytes_of(self, raised: RaisedShare | None) -> int:
        """Return the GPU memory, bytes, for a trial's steps: it grows with the share."""
        return round(self.step_bytes * self.num_base_shares(self.share_of(raised)))

    def largest_in_words(self) -> str:
        """Return the largest share in words, for the message that it was not enough."""
        if self.base.num_gpus > 0:
            return "a whole GPU"
        return f"all {self.max_cpus:g} CPUs of the largest node to itself"


def num_fitting(there: float, asked: float) -> int:
    """Return how often a quantity fits, counted as Ray does."""
    # In Ray's units, since with floats 0.1 would fit into 0.3 only twice.
    return math.floor(round(there * UNITS_PER_WHOLE) / round(asked * UNITS_PER_WHOLE))


def part_of_gpu(num_trials: int) -> float:
    """Return 1/N, rounded down as Ray counts: N such shares never add up to more than a GPU."""
    return UNITS_PER_WHOLE // num_trials / UNITS_PER_WHOLE


def gpu_share(*, step_bytes: int, context_bytes: int, total_bytes: int) -> float:
    """Return the smallest share of a GPU that holds a trial, see `part_of_gpu`.

    Args:
        step_bytes: Bytes of the tensors of the largest config's training step; `MEMORY_MARGIN`
            is applied to them.
        context_bytes: GPU memory of a process besides those tensors.
        total_bytes: The GPU's memory.

    Returns:
        At most 1, even where a whole GPU is not enough: that trial fails, out of memory.
    """
    by_memory = math.floor(total_bytes / (step_bytes * MEMORY_MARGIN + context_bytes))
    # At most as many trials as Ray has units: a share of 0 units would reserve nothing.
    return part_of_gpu(max(1, min(by_memory, UNITS_PER_WHOLE)))
