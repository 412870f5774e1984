"""The interface of every speaker model: embedding, optional stages, input of any length.

Shapes: B batch, T frames, F mel bins, C channels, D embedding.
"""

from abc import abstractmethod
from fractions import Fraction
from typing import ClassVar, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from models.frontend import instance_norm


class ModelConfig(BaseModel):
    """Base of the model configs: frozen; unknown keys are errors.

    Attributes:
        has_reconstruction: Whether the model reconstructs its input in training, so that the
            reconstruction term of the loss can be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    has_reconstruction: ClassVar[bool] = False

    family: str
    num_mels: int = Field(80, ge=8, le=256, description="Mel bins of the front end.")
    embedding_dim: int = Field(512, ge=8, le=4096, description="Size of the embedding.")

    @property
    def fixed_frames(self) -> int | None:
        """The only crop length that the model accepts, in frames; None if it accepts any."""
        return None


class ModelOutput(NamedTuple):
    """The result of a forward pass.

    Attributes:
        embedding_BD: The speaker embedding, not L2-normalised.
        stages: One tensor (B, T, C) per block or layer, first layer first; empty unless
            requested. C may differ between stages, and T is smaller than that of the crop after
            a layer with a stride over time.
        reconstruction_BTF: The normalised log-mels as reconstructed by an autoencoder branch, or
            None.
    """

    embedding_BD: Tensor
    stages: tuple[Tensor, ...]
    reconstruction_BTF: Tensor | None

    @property
    def vectors(self) -> tuple[Tensor, ...]:
        """The stages averaged over time, (B, C) each, then the embedding."""
        return (*(stage_BTC.mean(dim=1) for stage_BTC in self.stages), self.embedding_BD)


class SpeakerModel(nn.Module):
    """A network from log-mels to an embedding.

    Attributes:
        num_frames: The fixed input length in frames, or None if any length is accepted.
        embedding_dim: Size of the embedding.
    """

    num_frames: int | None = None
    embedding_dim: int

    def extra_repr(self) -> str:
        """Return the input length if it is fixed.

        The fingerprint needs it here: no parameter's shape has to depend on it.
        """
        return "" if self.num_frames is None else f"num_frames={self.num_frames}"

    @abstractmethod
    def encode(self, norm_BTF: Tensor, *, with_stages: bool) -> ModelOutput:
        """Run the network on log-mels that are already normalised over the crop."""

    def forward(self, feat_BTF: Tensor, *, with_stages: bool = False) -> ModelOutput:
        """Normalise a batch of crops and encode it.

        Args:
            feat_BTF: Log-mels before instance normalisation; T must be `num_frames` if that is
                set.
            with_stages: Whether to return the stages too.

        Raises:
            ValueError: The model has a fixed length and T differs from it.
        """
        if self.num_frames is not None and feat_BTF.shape[1] != self.num_frames:
            raise ValueError(
                f"this model takes crops of {self.num_frames} frames, got {feat_BTF.shape[1]}; "
                "use embed() for other lengths"
            )
        return self.encode(instance_norm(feat_BTF), with_stages=with_stages)

    def embed(self, feat_BTF: Tensor) -> Tensor:
        """Embed crops of any length.

        A model of fixed length embeds the fewest evenly spaced windows that cover the crop, and
        the embeddings are averaged; a crop shorter than the window is repeated to fill it.

        Args:
            feat_BTF: Log-mels before instance normalisation, T at least 1.

        Returns:
            emb_BD: Not L2-normalised.
        """
        return self._vectors(feat_BTF, with_stages=False)[-1]

    def embed_stages(self, feat_BTF: Tensor) -> tuple[Tensor, ...]:
        """Embed crops of any length as `embed` does, and average the stages over time.

        Returns:
            One tensor (B, C) per stage, first layer first, then emb_BD.
        """
        return self._vectors(feat_BTF, with_stages=True)

    def _vectors(self, feat_BTF: Tensor, *, with_stages: bool) -> tuple[Tensor, ...]:
        if self.num_frames is None or feat_BTF.shape[1] == self.num_frames:
            return self(feat_BTF, with_stages=with_stages).vectors  # type: ignore[no-any-return]
        window_WT = window_indices(feat_BTF.shape[1], self.num_frames, feat_BTF.device)
        feat_ZTF = feat_BTF[:, window_WT].flatten(0, 1)
        shape = (-1, window_WT.shape[0])
        # Through `forward`, so that each window is normalised by itself, as a crop in training.
        vectors = self(feat_ZTF, with_stages=with_stages).vectors
        return tuple(vector_ZC.unflatten(0, shape).mean(dim=1) for vector_ZC in vectors)


def window_indices(length: int, window: int, device: torch.device | None = None) -> Tensor:
    """Return the frame indices of the fewest evenly spaced windows that cover a crop.

    Args:
        length: Number of frames of the crop.
        window: Number of frames of a window. A shorter crop is wrapped around.
        device: Device of the indices.

    Returns:
        Integer tensor (number of windows, window).
    """
    # Rounded up: one window fewer would leave frames uncovered.
    count = max(1, -(-length // window))
    # From 0 to length - window, so that the last window ends with the crop. In whole numbers, so
    # that those of a graph, which computes them for a length that it does not know, are equal.
    gaps, span = max(1, count - 1), max(0, length - window)
    starts = [round(Fraction(number * span, gaps)) for number in range(count)]
    start_W = torch.tensor(starts, device=device)
    return (start_W[:, None] + torch.arange(window, device=device)) % length
