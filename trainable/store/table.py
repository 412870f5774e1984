"""The rows of one or several stores as one table.

Shapes: B batch, X vectors requested of a row, N vectors of a shard, W numbers of a vector, U rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainable.store.folder import OpenStore
from trainable.store.shards import Vectors

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """Vectors of utterances, memory-mapped: all processes share one copy in the page cache.

    Attributes:
        vectors_NW: float16 vectors of each shard.
        first_row: First row of each shard.
        offset: First vector of each row within its shard.
        length: Number of vectors of each row.
        stores: The stores of the vectors; they cannot be removed while this object exists.
    """

    vectors_NW: tuple[Vectors, ...]
    first_row: Index
    offset: Index
    length: Index
    stores: tuple[OpenStore, ...]

    @classmethod
    def of(cls, stores: Sequence[OpenStore]) -> Self:
        """Make a table of the rows of these stores, one store after the other."""
        shards = [shard for store in stores for shard in store.shards]
        num_rows = np.array([shard.record.num_rows for shard in shards], np.int64)
        length = np.concatenate([np.zeros(0, np.int64), *(shard.length_U for shard in shards)])
        offset = np.cumsum(length) - length
        first_row = np.cumsum(num_rows) - num_rows
        # An empty shard has no first row of its own; its `first_row` is that of the next shard.
        has_rows = num_rows > 0
        offset -= np.repeat(offset[first_row[has_rows]], num_rows[has_rows])
        return cls(
            vectors_NW=tuple(shard.vectors_NW for shard in shards),
            first_row=first_row,
            offset=offset,
            length=length,
            stores=tuple(stores),
        )

    def gather(self, row_B: Index, position_BX: Index) -> Vectors:
        """Copy vectors of several rows, with one gather per shard that holds any of the rows.

        Args:
            row_B: Rows of the table.
            position_BX: Positions of the vectors within each row, from 0.

        Returns:
            vectors_BXW: float16.
        """
        at_BX = self.offset[row_B][:, None] + position_BX
        if len(self.vectors_NW) == 1:
            only: Vectors = self.vectors_NW[0][at_BX]
            return only
        # `right` finds the last of shards with equal first rows: the others are empty.
        shard_B = np.searchsorted(self.first_row, row_B, side="right") - 1
        found_BXW = np.empty((*at_BX.shape, self.vectors_NW[0].shape[1]), np.float16)
        for shard in np.unique(shard_B):
            chosen = np.flatnonzero(shard_B == shard)
            found_BXW[chosen] = self.vectors_NW[shard][at_BX[chosen]]
        return found_BXW
