"""Log-mels of a corpus on disk: computed once, memory-mapped by all processes.

Shapes: B batch, T frames, F mel bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trainable.audio.reading import AudioEntry
from trainable.features.request import feature_request
from trainable.store.folder import open_stores
from trainable.store.plan import DEFAULT_SHARD_BYTES
from trainable.store.table import Index, RowTable
from trainable.store.tasks import ProgressCallback, build_shards


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable(RowTable):
    """Log-mels of utterances, before instance normalisation; the vectors are frames."""

    def crops(self, row_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Gather one crop for each entry; utterances shorter than the crop are repeated.

        Args:
            row_B: Rows of the table.
            start_B: First frame of each crop, counted within its utterance.
            num_frames: Number of frames in a crop.

        Returns:
            feat_BTF: float32.
        """
        length_B1 = self.length[row_B][:, None]
        # The remainder wraps a crop that is longer than its utterance.
        frame_BT = (start_B[:, None] + np.arange(num_frames)) % length_B1
        return torch.from_numpy(self.gather(row_B, frame_BT)).float()


def open_features(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    cache_dir: Path,
    progress: ProgressCallback | None = None,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
) -> FeatureTable:
    """Open the log-mels of these files, and compute those that the cache does not have.

    The key of the store covers paths, sizes, modification times and the front end, so a changed
    file is computed again. After a crash, the build goes on with the first missing shard. A
    damaged shard is named in a warning and computed again.

    Args:
        entries: Audio files; row i of the table is file i.
        min_duration_s: Shorter files are refused, seconds.
        cache_dir: Folder of all stores.
        progress: Called with (files done, files in all) while log-mels are computed.
        shard_bytes: Largest size of a shard, about, if the store is new.

    Raises:
        CorpusError: Files cannot be used; names each.
        DiskFullError: The disk of the cache is full.
        StoreError: The cache cannot be written.
    """
    request = feature_request(
        entries, min_duration_s=min_duration_s, cache_dir=cache_dir, shard_bytes=shard_bytes
    )
    return FeatureTable.of(open_stores([request], build_shards, progress))
