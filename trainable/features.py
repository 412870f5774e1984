"""Log-mels of a corpus on disk, memory-mapped: computed once, shared by all processes.

Shapes: B batch, T frames, F mel bins, N frames of a shard, U utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frontend import NUM_MELS
from trainable.audio import AudioEntry
from trainable.errors import StoreError
from trainable.feature_builder import Progress
from trainable.feature_shards import Frames, Shard
from trainable.feature_store import (
    DEFAULT_SHARD_BYTES,
    has_shards,
    open_store,
    store_folder,
)
from trainable.store_key import store_key
from trainable.store_lock import UseLock, remove_store, use_store
from trainable.store_plan import StoreRequest

__all__ = ["FeatureTable", "Progress", "open_features"]

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Log-mels (before instance normalisation) of utterances.

    Attributes:
        frames_NF: float16 frames of each shard, memory-mapped.
        first_utterance: Of each shard.
        offset: First frame of each utterance within its shard.
        length: Frames of each utterance.
        use: Keeps the store from being removed for as long as the table lives.
    """

    frames_NF: tuple[Frames, ...]
    first_utterance: Index
    offset: Index
    length: Index
    use: UseLock

    def crops(self, utterance_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Gather one crop an entry; utterances shorter than the crop are repeated.

        One gather for every shard that has one of the utterances.

        Args:
            utterance_B: Rows of the table.
            start_B: First frame of each crop, counted within its utterance.
            num_frames: Frames of a crop.

        Returns:
            feat_BTF: float32.
        """
        length_B1 = self.length[utterance_B][:, None]
        frame_BT = (start_B[:, None] + np.arange(num_frames)) % length_B1
        rows_BT = self.offset[utterance_B][:, None] + frame_BT
        return torch.from_numpy(self._gathered(utterance_B, rows_BT)).float()

    def _gathered(self, utterance_B: Index, rows_BT: Index) -> Frames:
        if len(self.frames_NF) == 1:
            return self.frames_NF[0][rows_BT]
        shard_B = np.searchsorted(self.first_utterance, utterance_B, side="right") - 1
        feat_BTF = np.empty((*rows_BT.shape, NUM_MELS), np.float16)
        for shard in np.unique(shard_B):
            chosen = np.flatnonzero(shard_B == shard)
            feat_BTF[chosen] = self.frames_NF[shard][rows_BT[chosen]]
        return feat_BTF


def open_features(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    cache_dir: Path,
    progress: Progress | None = None,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> FeatureTable:
    """Open the log-mels of these files, computing them where the cache has none.

    The store's key covers paths, sizes, modification times and the front end, so a changed file is
    computed again. What a crash interrupted goes on with the first shard that is missing; a
    damaged shard is named in a warning and computed again.

    Args:
        entries: Audio files; row i of the table is file i.
        min_duration_s: Shorter files are refused, seconds.
        cache_dir: Folder of all stores.
        progress: Told (files done, files in all) while computing.
        shard_bytes: About the size of a shard, where the store is new.

    Raises:
        CorpusError: With every file that cannot be used.
        StoreError: The cache cannot be written, or is full.
    """
    key = store_key(entries, min_duration_s)
    folder = store_folder(cache_dir, key)
    request = StoreRequest(
        folder=folder,
        entries=entries,
        key=key,
        min_duration_s=min_duration_s,
        shard_bytes=shard_bytes,
    )
    try:
        use = use_store(folder)
        try:
            shards = open_store(request, progress)
        except BaseException:
            use.release()
            if not has_shards(folder):
                remove_store(folder)
            raise
    except OSError as error:
        raise StoreError(
            f"{folder}: the log-mels cannot be kept there: {error.strerror or error}; make room "
            "(`veer data prune`), or name another folder in $VEER_CACHE"
        ) from error
    return table_of(shards, use)


def table_of(shards: Sequence[Shard], use: UseLock) -> FeatureTable:
    """The utterances of shards in their order, one table."""
    num_rows = np.array([shard.record.num_rows for shard in shards], np.int64)
    length = np.concatenate([np.zeros(0, np.int64), *(shard.length_U for shard in shards)])
    offset = np.cumsum(length) - length
    first_utterance = np.cumsum(num_rows) - num_rows
    offset -= np.repeat(offset[first_utterance], num_rows)
    return FeatureTable(
        frames_NF=tuple(shard.frames_NF for shard in shards),
        first_utterance=first_utterance,
        offset=offset,
        length=length,
        use=use,
    )
