"""The one interface of a model in use: the crops of a waveform in, their embeddings out.

Commands on audio (`veer verify`, `embed`, `fuse`, ...) know no more of a model than this, so that
a network and a graph in a file are used alike.

Shapes: S samples, C crops, U utterances, D embedding.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from models import LogMel, SpeakerModel
from models.frontend import N_FFT, SAMPLE_RATE_HZ
from spaces.files.errors import CorpusError, TrainingError
from trainable.audio.reading import NUM_READERS, AudioError, Wave, check_wave, load_wave
from trainable.verification.crops import DEFAULT_EVAL_FRAMES, FINAL_CROPS, frame_crops
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.evaluation import EVAL_BATCH
from trainable.verification.metrics import Floats
from trainable.verification.scoring import Embeddings

# The front end reflects the edges of a wave, which must be longer than what is reflected.
LEAST_S = (N_FFT // 2 + 1) / SAMPLE_RATE_HZ


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
        batch_crops: Crops at once that are fast.
    """

    @property
    def weights_sha256(self) -> str: ...  # noqa: D102 - see the class

    @property
    def embedding_dim(self) -> int: ...  # noqa: D102 - see the class

    @property
    def batch_crops(self) -> int: ...  # noqa: D102 - see the class

    def crops(self, waves: Sequence[Wave], plan: CropPlan) -> Embeddings:
        """Return the embeddings of evenly spaced crops of each wave, (U, C, D)."""
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

    @property
    def batch_crops(self) -> int:
        """As many as an evaluation embeds at once."""
        return EVAL_BATCH[self._log_mel.window_S.device.type]

    @torch.inference_mode()
    def crops(self, waves: Sequence[Wave], plan: CropPlan) -> Embeddings:
        """Return the embeddings of crops that are slices of each wave's log-mels, (U, C, D)."""
        num_frames = self._model.num_frames or plan.num_frames
        crops = [frame_crops(self._log_mel, each, num_frames, plan.num_crops) for each in waves]
        emb_ZD = self._model.embed(torch.cat(crops)).float().cpu()
        found: Embeddings = emb_ZD.reshape(len(waves), plan.num_crops, -1).numpy()
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


def mean_embeddings(
    embedder: Embedder, waves: Sequence[Wave], plan: CropPlan = DEFAULT_PLAN
) -> Floats:
    """Return the mean embedding of the crops of each wave, (U, D), float64.

    Raises:
        TrainingError: One is NaN or infinite.
    """
    mean_UD: Floats = embedder.crops(waves, plan).mean(1, dtype=np.float64)
    if not np.isfinite(mean_UD).all():
        raise TrainingError("the model gives an embedding that is NaN or infinite")
    return mean_UD


def embed_utterances(
    embedder: Embedder,
    root: Path,
    paths: Sequence[str],
    plan: CropPlan = DEFAULT_PLAN,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedUtterances:
    """Embed utterances; each is decoded once.

    Args:
        embedder: The model.
        root: Folder that the paths are relative to.
        paths: The utterances.
        plan: Which crops.
        progress: Called with (utterances done, utterances in total).

    Raises:
        CorpusError: Files that cannot be used; names each.
        TrainingError: An embedding is NaN or infinite.
    """
    faults: list[str] = []
    parts = list(embedded_batches(embedder, root, paths, plan, faults, progress))
    if faults:
        raise CorpusError(faults)
    return EmbeddedUtterances(
        paths=tuple(paths),
        mean_UD=np.concatenate([part.mean_UD for part in parts]),
        duration_s_U=np.concatenate([part.duration_s_U for part in parts]),
    )


def embedded_batches(
    embedder: Embedder,
    root: Path,
    paths: Sequence[str],
    plan: CropPlan,
    faults: list[str],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[EmbeddedUtterances]:
    """Yield utterances in batches; those that cannot be used are added to `faults`.

    The arguments are those of `embed_utterances`.
    """
    size = max(1, embedder.batch_crops // plan.num_crops)
    with ThreadPoolExecutor(NUM_READERS) as readers:
        for first in range(0, len(paths), size):
            batch = paths[first : first + size]
            found = list(readers.map(_wave_or_fault, [root / path for path in batch]))
            faults += [each for each in found if isinstance(each, str)]
            usable = [(p, w) for p, w in zip(batch, found, strict=True) if not isinstance(w, str)]
            if usable:
                waves = [wave for _, wave in usable]
                yield EmbeddedUtterances(
                    paths=tuple(path for path, _ in usable),
                    mean_UD=mean_embeddings(embedder, waves, plan),
                    duration_s_U=np.array([len(wave) / SAMPLE_RATE_HZ for wave in waves]),
                )
            if progress:
                progress(min(first + size, len(paths)), len(paths))


def _wave_or_fault(path: Path) -> Wave | str:
    try:
        return usable_wave(path)
    except CorpusError as error:
        return str(error)
