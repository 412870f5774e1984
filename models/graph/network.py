"""A network with what surrounds it, for input of any length: the same as `SpeakerModel.embed`.

Shapes: B batch, S samples, T frames, F mel bins, W windows, D embedding, Z = B * W.
"""

import torch
from torch import Tensor, nn

from models.base import SpeakerModel
from models.frontend import instance_norm
from models.graph.front_end import ConvLogMel


class EmbeddingGraph(nn.Module):
    """A network from waveforms, or from log-mels, to embeddings.

    Args:
        network: The network.
        num_mels: Mel bins of the front end; None for log-mels as input.
    """

    def __init__(self, network: SpeakerModel, num_mels: int | None) -> None:
        super().__init__()
        self.front_end = None if num_mels is None else ConvLogMel(num_mels)
        self.network = network
        self.num_frames = network.num_frames

    def forward(self, x: Tensor) -> Tensor:
        """Embed waveforms (B, S) at 16 kHz, or log-mels (B, T, F) before normalisation."""
        feat_BTF = x if self.front_end is None else self.front_end(x)
        if self.num_frames is None:
            return self._encode(feat_BTF)
        window_WT = traced_windows(feat_BTF, self.num_frames)
        emb_ZD = self._encode(feat_BTF[:, window_WT].flatten(0, 1))
        return emb_ZD.reshape(feat_BTF.shape[0], -1, emb_ZD.shape[1]).mean(dim=1)

    def _encode(self, feat_BTF: Tensor) -> Tensor:
        # Not through `forward`, whose check of the length would fix it in the graph.
        norm_BTF = instance_norm(feat_BTF)
        emb_BD: Tensor = self.network.encode(norm_BTF, with_stages=False).embedding_BD
        return emb_BD


def traced_windows(feat_BTF: Tensor, window: int) -> Tensor:
    """Return the frames of the windows as `models.base.window_indices`, for a length in a graph.

    All is computed from tensors: a Python number of the length would be a constant there.

    Args:
        feat_BTF: Log-mels.
        window: Number of frames of a window.
    """
    frame_T = torch.arange(feat_BTF.shape[1], device=feat_BTF.device)
    length_1 = frame_T[-1:] + 1
    # One for each window that is begun.
    number_W = torch.arange(0, feat_BTF.shape[1], window, device=feat_BTF.device) // window
    gaps_1 = number_W[-1:].clamp(min=1)
    span_W = number_W * (length_1 - window)
    start_W = span_W // gaps_1
    # Rounded to the nearest, and to the even one in the middle, as a float is.
    twice_W = 2 * (span_W - start_W * gaps_1)
    is_odd_W = start_W - start_W // 2 * 2
    rises_W = (twice_W > gaps_1).long() + (twice_W == gaps_1).long() * is_odd_W
    index_WT = (start_W + rises_W)[:, None] + torch.arange(window, device=feat_BTF.device)
    # The remainder of two tensors; PyTorch's exporter writes none.
    return index_WT - index_WT // length_1 * length_1
