"""The processes that train one model together; there is one by default.

The process group comes from outside: whoever starts several processes initialises
`torch.distributed` before the training.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_reduce

from spaces.files.errors import FirstProcessError, TrainingError, VeerError

# The first process may compute targets meanwhile. A dead one is noticed at once, not by this time.
COLLECTIVE_TIMEOUT_S = 24 * 3600
# torchrun sets it in each process that it starts.
TORCHRUN_ID = "TORCHELASTIC_RUN_ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The place of this process among those that train one model.

    All methods but `part` and `require_batch` are collective: every process must call them, in
    the same order.

    Attributes:
        rank: Number of this process, from 0. The first one writes files and prints.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files of the run."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def part(self, first: int, count: int) -> slice:
        """Return this process's part of the items from `first` on; parts differ by at most one."""
        return slice(
            first + count * self.rank // self.size, first + count * (self.rank + 1) // self.size
        )

    def require_batch(self, batch_size: int) -> None:
        """Check that all processes get equally many crops of a batch.

        With unequal parts the mean of the gradients would not be that of the whole batch.

        Raises:
            TrainingError: The batch cannot be divided so.
        """
        if batch_size % self.size:
            below, above = batch_size // self.size * self.size, -(-batch_size // self.size)
            nearest = [each for each in (below, above * self.size) if each]
            raise TrainingError(
                f"training.batch_size must be a multiple of the {self.size} workers, got "
                f"{batch_size}; set it to {' or '.join(map(str, nearest))}, or use another number "
                "of workers"
            )

    def summed(self, part: Tensor) -> Tensor:
        """Return the sum over the processes, with gradients."""
        if self.is_alone:
            return part
        total: Tensor = all_reduce(part)  # type: ignore[no-untyped-call]
        return total

    def gathered(self, part_BD: Tensor) -> Tensor:
        """Return the rows of all processes, by rank, with gradients; each has equally many."""
        if self.is_alone:
            return part_BD
        # A sum in which each process fills its own rows: one collective for all backends.
        before = part_BD.new_zeros(self.rank * len(part_BD), *part_BD.shape[1:])
        after = part_BD.new_zeros((self.size - 1 - self.rank) * len(part_BD), *part_BD.shape[1:])
        return self.summed(torch.cat([before, part_BD, after]))

    def filled(self, rows: Tensor, part: slice) -> Tensor:
        """Return rows on the CPU that the processes have a part each of.

        Args:
            rows: (N, ...); on the CPU. Only the rows of `part` count.
            part: The rows of this process.
        """
        if self.is_alone:
            return rows
        whole = torch.zeros_like(rows)
        whole[part] = rows[part]
        return self._total(whole)

    def means(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each value over the processes."""
        if self.is_alone:
            return dict(values)
        total = self._total(torch.tensor(list(values.values()), dtype=torch.float64))
        return dict(zip(values, (total / self.size).tolist(), strict=True))

    def agreed(self, value: bool) -> bool:
        """Return the value of the first process."""
        if self.is_alone:
            return value
        return bool(self._total(torch.tensor([float(value and self.is_first)])).item())

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run a block in the first process, and then in the others: they find what it made.

        Raises:
            FirstProcessError: In the others, if the block raised a `VeerError` in the first one.
        """
        if not self.is_first and not self.agreed(False):
            raise FirstProcessError("the first process ended with an error: see its message")
        try:
            yield
        except VeerError:
            if self.is_first:
                self.agreed(False)
            raise
        if self.is_first:
            self.agreed(True)

    def _total(self, part: Tensor) -> Tensor:
        """Return the sum over the processes on the CPU; NCCL adds on a GPU only."""
        there = part.cuda() if dist.get_backend() == dist.Backend.NCCL else part.clone()
        dist.all_reduce(there)
        return there.cpu()


ALONE = Ranks()


def current_ranks() -> Ranks:
    """Return the place of this process in the process group; alone where there is none."""
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    return Ranks(rank=dist.get_rank(), size=dist.get_world_size())


@contextmanager
def joined_by_torchrun(*, use_gpu: bool) -> Iterator[Ranks]:
    """Join the processes that torchrun started with this one; none where it did not start it.

    Args:
        use_gpu: Whether each process has the GPU of its local rank.
    """
    if TORCHRUN_ID not in os.environ:
        yield current_ranks()
        return
    if use_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(
        "nccl" if use_gpu else "gloo", timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_S)
    )
    try:
        yield current_ranks()
    finally:
        dist.destroy_process_group()


def processes_here() -> int:
    """Return how many processes torchrun started on this machine; 1 where it did not."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if TORCHRUN_ID in os.environ else 1
