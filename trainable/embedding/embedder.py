"""The one interface of a model in use: the crops of a waveform in, their embeddings out.

Commands on audio (`veer verify`, `embed`, `fuse`, ...) know no more of a model than this, so that
a network and a graph in a file are used alike.

Shapes: S samples, C crops, U utterances, D embedding.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from models import LogMel, SpeakerModel
from models.frontend import N_FFT, SAMPLE_RATE_HZ
from spaces.files.errors import CorpusError, TrainingError
from trainable.audio.reading import AudioError, Wave, check_wave, load_wave
from trainable.verification.crops import DEFAULT_EVAL_FRAMES, FINAL_CROPS, frame_crops
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import Floats
from trainable.verification.scoring import Embeddings

# The front end reflects the edges of a wave, which must be longer than what is reflected.
LEAST_S = (N_FFT // 2 + 1) / SAMPLE_RATE_HZ
# Shorter speech is embedded, since its crops are repeated, with a remark.
SHORT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class CropPlan:
    """Which crops of an utterance are embedded.

    Attributes:
        num_crops: Evenly spaced crops; their embeddings are averaged.
        num_frames: Length of a crop, frames of 10 ms, where the model accepts any.
    """

    num_crops: int = FINAL_CROPS
    num_frames: int = DEFAULT_EVAL_FRAMES


DEFAULT_PLAN = CropPlan()


class Embedder(Protocol):
    """A model from waveforms at 16 kHz to embeddings.

    Attributes:
        weights_sha256: Hash of what the embeddings depend on; files name a model by it.
        embedding_dim: Size of the embeddings.
    """

    @property
    def weights_sha256(self) -> str: ...  # noqa: D102 - see the class

    @property
    def embedding_dim(self) -> int: ...  # noqa: D102 - see the class

    def crops(self, wave_S: Wave, plan: CropPlan) -> Embeddings:
        """Return the embeddings of evenly spaced crops, (C, D)."""
        ...


class NetworkEmbedder:
    """A speaker model on a device.

    Args:
        model: The network; put into eval mode and moved to the device.
        device: Where to compute.
    """

    def __init__(self, model: SpeakerModel, device: torch.device) -> None:
        self._model = model.to(device).eval()
        self._log_mel = LogMel().to(device)

    @property
    def weights_sha256(self) -> str:
        """Hash of the network's tensors, the same for a checkpoint and its export."""
        return weights_sha256(self._model)

    @property
    def embedding_dim(self) -> int:
        """Size of the embeddings."""
        return self._model.embedding_dim

    @torch.inference_mode()
    def crops(self, wave_S: Wave, plan: CropPlan) -> Embeddings:
        """Return the embeddings of crops that are slices of the wave's log-mels, (C, D)."""
        emb_CD = frame_crops(
            self._model, self._log_mel, wave_S, plan.num_frames, plan.num_crops
        )
        found: Embeddings = emb_CD.float().cpu().numpy()
        return found


def weights_sha256(model: torch.nn.Module) -> str:
    """Return a hash of a model's tensors by name, whatever file holds them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def usable_wave(path: Path) -> Wave:
    """Read audio of any rate and number of channels as one wave at 16 kHz.

    Raises:
        CorpusError: The file cannot be read, is silent, or is too short for the front end.
    """
    try:
        wave_S = load_wave(path)
    except AudioError as error:
        raise CorpusError([str(error)]) from error
    if (why := check_wave(wave_S, LEAST_S)) is not None:
        raise CorpusError([f"{path}: {why}"])
    return wave_S


def mean_embedding(embedder: Embedder, wave_S: Wave, plan: CropPlan = DEFAULT_PLAN) -> Floats:
    """Return the mean embedding of a wave's crops, (D,), float64.

    Raises:
        TrainingError: It is NaN or infinite.
    """
    mean_D: Floats = embedder.crops(wave_S, plan).mean(0, dtype=np.float64)
    if not np.isfinite(mean_D).all():
        raise TrainingError("the model gives an embedding that is NaN or infinite")
    return mean_D


def embed_utterances(
    embedder: Embedder,
    root: Path,
    paths: Sequence[str],
    plan: CropPlan = DEFAULT_PLAN,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedUtterances:
    """Embed utterances one after the other; each is decoded once.

    Args:
        embedder: The model.
        root: Folder that the paths are relative to.
        paths: The utterances.
        plan: Which crops.
        progress: Called with (utterances done, utterances in total).

    Raises:
        CorpusError: A file cannot be used.
        TrainingError: An embedding is NaN or infinite.
    """
    mean_UD = np.empty((len(paths), embedder.embedding_dim))
    duration_s_U = np.empty(len(paths))
    for number, path in enumerate(paths):
        wave_S = usable_wave(root / path)
        mean_UD[number] = mean_embedding(embedder, wave_S, plan)
        duration_s_U[number] = len(wave_S) / SAMPLE_RATE_HZ
        if progress:
            progress(number + 1, len(paths))
    return EmbeddedUtterances(
        paths=tuple(paths), mean_UD=mean_UD, duration_s_U=duration_s_U
    )
