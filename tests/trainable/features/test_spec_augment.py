"""SpecAugment masks bands and spans within its limits and nothing else."""

import numpy as np
import torch

from trainable.features.spec_augment import spec_augment


def masked(feat_BTF: torch.Tensor, **limits: int) -> torch.Tensor:
    return spec_augment(feat_BTF, np.random.default_rng(3), **limits) != feat_BTF


def test_masks_are_whole_bands_and_spans_within_the_limits() -> None:
    hit = masked(torch.randn(64, 100, 80), num_masks=1, max_bins=12, max_frames=30)
    stretch = hit.all(dim=2).sum(dim=1)
    band = hit.all(dim=1).sum(dim=1)
    assert 0 <= stretch.min() <= 3
    assert 25 <= stretch.max() <= 30
    assert 10 <= band.max() <= 12
    outside = hit & ~hit.all(dim=2, keepdim=True) & ~hit.all(dim=1, keepdim=True)
    assert not outside.any()


def test_masked_values_are_the_mean_of_their_bin_and_the_input_is_kept() -> None:
    feat_BTF = torch.randn(4, 50, 80)
    before = feat_BTF.clone()
    out = spec_augment(feat_BTF, np.random.default_rng(0), num_masks=2, max_bins=20, max_frames=20)
    mean_BTF = feat_BTF.mean(dim=1, keepdim=True).expand_as(feat_BTF)
    changed = out != feat_BTF
    assert changed.any()
    assert torch.equal(out[changed], mean_BTF[changed])
    assert torch.equal(feat_BTF, before)


def test_zero_sizes_change_nothing() -> None:
    assert not masked(torch.randn(4, 50, 80), num_masks=3, max_bins=0, max_frames=0).any()
