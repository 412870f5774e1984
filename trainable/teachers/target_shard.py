"""A shard of a teacher's targets: its crops, and how a teacher's vectors become its rows.

Shapes: U utterances, C crops of each, B crops at once, W numbers of a vector.
"""

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.user_code import allow_code
from trainable.features.crop_bank import CropBank, Index
from trainable.features.feature_table import FeatureTable
from trainable.store.folder import open_complete
from trainable.store.shards import ShardLocation, Vectors
from trainable.store.tasks import Tick

# Utterances of a shard, the number of crops of each, and their vectors.
Embedded = tuple[slice, Index, Vectors]
Computed = TypeVar("Computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetShard:
    """A shard of targets to build; a kind of teacher adds how it embeds the crops.

    Attributes:
        location: Where it goes.
        features: Store of the log-mels; row i of it is utterance i.
        paths: Paths of the utterances, as in the train list.
        first: The first utterance, as a row of the store of log-mels.
        first_number: The first utterance's number in the bank of crops.
        bank: The crops.
        code_root: Folder of user modules; None if user code is not allowed.
    """

    location: ShardLocation
    features: Path
    paths: tuple[str, ...]
    first: int
    first_number: int
    bank: CropBank
    code_root: Path | None

    @property
    def num_rows(self) -> int:
        """Number of utterances in the shard."""
        return len(self.paths)

    @property
    @abstractmethod
    def uses_gpu(self) -> bool:
        """Whether the teacher embeds the crops on a GPU."""

    def rows(self) -> Iterator[tuple[str, Vectors] | str]:
        """Yield path and vectors (C, W) of each utterance, or why they cannot be stored."""
        # The permission holds for one process, and this may be a worker.
        if self.code_root is not None:
            allow_code(self.code_root)
        with closing(self._embedded()) as embedded:
            for chosen, count_U, vector_BW in embedded:
                vectors = np.split(vector_BW, np.cumsum(count_U)[:-1])
                for path, vector_CW in zip(self.paths[chosen], vectors, strict=True):
                    yield (path, vector_CW) if self._is_usable(vector_CW) else self._fault(path)

    def faults(self, tick: Tick) -> tuple[str, ...]:
        """Return no faults: they are known only when the teacher has embedded the crops."""
        for _ in self.paths:
            tick()
        return ()

    @abstractmethod
    def _embedded(self) -> Generator[Embedded]:
        """Yield the vectors of all utterances, in order."""

    @abstractmethod
    def _is_usable(self, vector_CW: Vectors) -> bool:
        """Return whether the vectors of an utterance can be stored."""

    @abstractmethod
    def _fault(self, path: str) -> str:
        """Return why the vectors of an utterance cannot be stored."""

    def _starts(self, features: FeatureTable, crops_at_once: int) -> Iterator[tuple[Index, Index]]:
        """Yield utterances of the shard and the first frames of their crops, (U,) and (U, C).

        Short utterances have fewer crops; -1 stands for those that are missing.
        """
        at_once = max(1, crops_at_once // self.bank.num_crops)
        for begin in range(0, self.num_rows, at_once):
            number_U = np.arange(begin, min(begin + at_once, self.num_rows))
            latest_U = self.bank.latest(features.length[self.first + number_U])
            yield number_U, self.bank.starts(self.first_number + number_U, latest_U)


def one_ahead(
    begun: Iterable[tuple[slice, Index, Callable[[], Computed]]],
) -> Iterator[tuple[slice, Index, Computed]]:
    """Yield results in place of functions that wait for them; the next ones are begun before."""
    before: tuple[slice, Index, Callable[[], Computed]] | None = None
    for each in begun:
        if before is not None:
            yield *before[:2], before[2]()
        before = each
    if before is not None:
        yield *before[:2], before[2]()


# The tasks of a process share the store: opening it takes longer than a small shard.
@lru_cache(maxsize=1)
def log_mels_of(folder: Path) -> FeatureTable:
    """Open a complete store of log-mels."""
    return FeatureTable.of([open_complete(folder)])
