"""How many rows go into a shard."""

from collections.abc import Sequence

import numpy as np

DEFAULT_SHARD_BYTES = 512 * 2**20
# So many shards at least, so that processes can share the work, unless they were tiny.
NUM_PIECES = 32
SMALLEST_SHARD_BYTES = 16 * 2**20


def rows_by_size(sizes: Sequence[float], shard_bytes: int) -> tuple[int, ...]:
    """Cut rows of these sizes, bytes, into shards of a size: where those before reach it."""
    total = float(np.sum(sizes))
    wanted = min(shard_bytes, max(SMALLEST_SHARD_BYTES, total / NUM_PIECES))
    shard = (np.cumsum(sizes) - sizes) // wanted
    _, num_rows = np.unique(shard, return_counts=True)
    return tuple(num_rows.tolist())
