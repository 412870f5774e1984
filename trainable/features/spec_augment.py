"""SpecAugment on batches of log-mels.

Source: Park et al., "SpecAugment", Interspeech 2019 (masking; no warping).

Shapes: B batch, T frames, F mel bins.
"""

import numpy as np
import torch
from torch import Tensor

from trainable.machine.prefetch import to_device
from trainable.machine.ranks import ALONE, Ranks


def spec_augment(
    feat_BTF: Tensor,
    rng: np.random.Generator,
    *,
    num_masks: int,
    max_bins: int,
    max_frames: int,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Replace random bands of mel bins and spans of frames by each bin's mean over the crop.

    Args:
        feat_BTF: Log-mels; not changed.
        rng: Source of the positions and sizes.
        num_masks: Masks along each axis.
        max_bins: Largest band, mel bins; sizes are drawn from 0 to this.
        max_frames: Largest span, frames; sizes are drawn from 0 to this.
        ranks: The processes that have a part of the batch each: all draw the masks of all of it.

    Returns:
        feat_BTF: The masked batch.
    """
    part_size, num_frames, num_bins = feat_BTF.shape
    batch = part_size * ranks.size
    part = ranks.part(0, batch)
    masked_BT = _random_spans(rng, batch, num_masks, num_frames, max_frames)[part]
    masked_BF = _random_spans(rng, batch, num_masks, num_bins, max_bins)[part]
    device = feat_BTF.device
    masked_BT, masked_BF = to_device(masked_BT, device), to_device(masked_BF, device)
    # The mean, not 0: the instance normalisation that follows makes it 0, the value of the paper.
    masked_BTF = masked_BT[:, :, None] | masked_BF[:, None, :]
    return torch.where(masked_BTF, feat_BTF.mean(dim=1, keepdim=True), feat_BTF)


def _random_spans(
    rng: np.random.Generator, batch: int, count: int, length: int, max_size: int
) -> Tensor:
    """Return (batch, length), true inside any of `count` random spans of each row."""
    size = rng.integers(0, min(max_size, length) + 1, (batch, count, 1))
    start = rng.integers(0, length - size + 1)
    position = np.arange(length)
    return torch.from_numpy(((position >= start) & (position < start + size)).any(axis=1))
