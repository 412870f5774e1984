"""The frame of every network: front end, windows of a fixed length.

Shapes: B batch, S samples, W windows, Z = B * W, T frames, F mel bins, D embedding.
"""

from typing import Any

import torch
from torch import Tensor, nn

from models.base import window_indices
from models.frontend import NUM_MELS, LogMel, instance_norm


class SpeakerNet(nn.Module):
    """A network from waveforms to embeddings.

    Attributes:
        num_frames: The only length that `encode` takes, in frames; None if it takes any.

    Args:
        embedding_dim: Size of the embedding.
        arguments: What the program passes to every model. The architecture is that of this file,
            so only `nOut` is looked at, which the loss gets too.

    Raises:
        ValueError: `nOut` is not the size of the embedding.
    """

    num_frames: int | None = None

    def __init__(self, embedding_dim: int, arguments: dict[str, Any]) -> None:
        super().__init__()
        wanted = arguments.get("nOut", embedding_dim)
        if wanted != embedding_dim:
            raise ValueError(f"nOut must be {embedding_dim} for this model, got {wanted}")
        self.log_mel = LogMel(NUM_MELS)

    def forward(self, wave_BS: Tensor) -> Tensor:
        """Embed a batch of waveforms at 16 kHz; the embeddings (B, D) are not of unit length.

        A network of a fixed length embeds the fewest evenly spaced windows that cover the crop,
        and the embeddings are averaged. In training it takes one window, the first: the trainer's
        crops are two frames longer than they are called.
        """
        # Mel energies are too large for float16, in which mixed precision would compute them.
        with torch.autocast(wave_BS.device.type, enabled=False):
            feat_BTF = self.log_mel(wave_BS.float())
            length = feat_BTF.shape[1]
            if self.num_frames is None:
                feat_ZTF = instance_norm(feat_BTF)
            else:
                covered = min(length, self.num_frames) if self.training else length
                window_WT = window_indices(covered, self.num_frames, feat_BTF.device)
                feat_ZTF = instance_norm(feat_BTF[:, window_WT].flatten(0, 1))
        emb_ZD = self.encode(feat_ZTF)
        return emb_ZD.reshape(len(feat_BTF), -1, emb_ZD.shape[1]).mean(dim=1)

    def encode(self, norm_BTF: Tensor) -> Tensor:
        """Embed normalised log-mels."""
        raise NotImplementedError
