"""A compiled network as a model in use: crops of waveforms in, embeddings out.

Shapes: U utterances, C crops, Z = U x C crops, D embedding.
"""

from collections.abc import Sequence

import numpy as np
import torch

from trainable.audio.reading import Wave
from trainable.checkpoints.loading import LoadedModel
from trainable.deployment.running import Embed
from trainable.embedding.embedder import CropPlan, weights_sha256
from trainable.verification.crops import wave_crops_on_frames
from trainable.verification.evaluation import EVAL_BATCH
from trainable.verification.scoring import Embeddings

# Crops of a call, always: each other number would be compiled, which a benchmark of this number
# has done before.
_CROPS_AT_ONCE = 8


class CompiledEmbedder:
    """A network that was compiled with its front end.

    Args:
        loaded: The network.
        run: The compiled function, from waveforms to embeddings.
    """

    batch_crops = EVAL_BATCH["cpu"]

    def __init__(self, loaded: LoadedModel, run: Embed) -> None:
        self._model, self._run = loaded.model, run

    @property
    def weights_sha256(self) -> str:
        """Hash of the network's tensors."""
        return weights_sha256(self._model)

    @property
    def embedding_dim(self) -> int:
        """Size of the embeddings."""
        return self._model.embedding_dim

    def crops(self, waves: Sequence[Wave], plan: CropPlan) -> Embeddings:
        """Return the embeddings of evenly spaced crops of each wave, (U, C, D)."""
        num_frames = self._model.num_frames or plan.num_frames
        crops = [
            torch.from_numpy(wave_crops_on_frames(each, num_frames, plan.num_crops))
            for each in waves
        ]
        crop_ZS = torch.cat(crops)
        num_crops = len(crop_ZS)
        missing = -num_crops % _CROPS_AT_ONCE
        crop_ZS = torch.cat([crop_ZS, crop_ZS[:1].expand(missing, -1)])
        emb_ZD = torch.cat(
            [
                self._run(crop_ZS[first : first + _CROPS_AT_ONCE])
                for first in range(0, num_crops, _CROPS_AT_ONCE)
            ]
        )[:num_crops]
        found: Embeddings = np.asarray(emb_ZD.reshape(len(waves), plan.num_crops, -1))
        return found
