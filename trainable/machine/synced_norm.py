"""Batch normalisation over the batches of all processes.

`torch.nn.SyncBatchNorm` computes on GPUs only.

Shapes: B batch, C channels.
"""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainable.machine.ranks import Ranks


class SyncedBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of the batch of all processes.

    Each process has equally many rows.
    """

    ranks: Ranks

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (B, C, ...); in eval mode as `torch.nn.BatchNorm1d` does."""
        if not self.training:
            return super().forward(input)
        others = [dim for dim in range(input.dim()) if dim != 1]
        shape = [-1 if dim == 1 else 1 for dim in range(input.dim())]
        # Half precision loses the digits of a variance; the statistics are float32 anyway.
        exact = input.to(torch.promote_types(input.dtype, torch.float32))
        mean_C = self.ranks.summed(exact.mean(others)) / self.ranks.size
        centred = exact - mean_C.view(shape)
        var_C = self.ranks.summed(centred.square().mean(others)) / self.ranks.size
        self._follow(mean_C.detach(), var_C.detach(), exact.numel() // len(mean_C))
        normal = centred * torch.rsqrt(var_C + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean_C: Tensor, var_C: Tensor, own_count: int) -> None:
        """Move the running statistics; the variance is the unbiased one, as PyTorch's."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # noqa: S101 - there with the statistics
        self.num_batches_tracked.add_(1)
        momentum = self.momentum
        if momentum is None:  # PyTorch's cumulative mean
            momentum = 1.0 / float(self.num_batches_tracked)
        count = own_count * self.ranks.size
        self.running_mean.lerp_(mean_C, momentum)
        self.running_var.lerp_(var_C * (count / max(1, count - 1)), momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions: the layer that this was has checked them."""


def sync_batch_norms(model: nn.Module, ranks: Ranks) -> None:
    """Make each batch normalisation of a model one over the batches of all processes."""
    if ranks.is_alone:
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            # The same object: the model may have it under several names.
            module.__class__ = SyncedBatchNorm
            object.__setattr__(module, "ranks", ranks)
