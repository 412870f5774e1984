"""Evaluation of a model on a trial list: quickly after each epoch, and in full for final metrics.

Shapes: V utterances, C crops of each, Z = V x C crops, P trial pairs, T frames, F mel bins,
D embedding, S samples.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import LogMel, SpeakerModel
from models.frontend import NUM_MELS, SAMPLE_RATE_HZ
from spaces.files.errors import TrainingError
from trainable.audio.reading import load_wave
from trainable.corpus.corpus import TrialPair
from trainable.features.resident import CropSource
from trainable.features.training_data import TrainingData
from trainable.lists.pair_index import PairIndex
from trainable.machine.engine import Engine
from trainable.machine.prefetch import prefetched, to_device
from trainable.machine.ranks import ALONE, Ranks, current_ranks
from trainable.verification.crops import (
    DEFAULT_EVAL_FRAMES,
    FINAL_CROPS,
    frame_crops,
    sample_crops,
)
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import (
    Floats,
    VerificationMetrics,
    verification_metrics,
)
from trainable.verification.scoring import (
    VOXCELEB_TRAINER_CROPS,
    cosine_scores,
    evenly_spaced_starts,
    voxceleb_trainer_scores,
)

# Crops per batch. On a CPU the outputs of a layer for few crops fit the cache: a batch of 256
# takes 1.5 times as long per crop. A GPU is faster with many, but a trial's share must hold them:
# 512 took 3.8 times the memory of a training step of an ECAPA-TDNN, 128 take as much.
EVAL_BATCH = {"cpu": 32, "cuda": 128}
# Length of a crop, frames, for a model that accepts any length.
USUAL_FRAMES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The final metrics of a model on a trial list, under both protocols.

    Attributes:
        cosine: Cosine of the mean embeddings over evenly spaced crops of the log-mels.
        voxceleb_trainer: The protocol of voxceleb_trainer: crops of the waveform, scored by minus
            the mean of the pairwise Euclidean distances.
    """

    cosine: VerificationMetrics
    voxceleb_trainer: VerificationMetrics


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairScores:
    """The scores of a trial list, in its order; a higher score means "same speaker".

    Attributes:
        cosine: (P,) scores for `EvaluationResult.cosine`.
        voxceleb_trainer: (P,) scores for `EvaluationResult.voxceleb_trainer`.
        index: The pairs.
        utterances: The utterances of the index, with the embeddings for `cosine`.
    """

    cosine: Floats
    voxceleb_trainer: Floats
    index: PairIndex
    utterances: EmbeddedUtterances

    @property
    def is_target(self) -> NDArray[np.bool_]:
        """(P,) whether both utterances are of one speaker."""
        return self.index.is_target

    @property
    def result(self) -> EvaluationResult:
        """The metrics of both rows of scores; error rates in percent."""
        return EvaluationResult(
            cosine=verification_metrics(self.cosine, self.is_target),
            voxceleb_trainer=verification_metrics(self.voxceleb_trainer, self.is_target),
        )


class Validation:
    """Scores a model on the validation list, on crops whose positions are computed once.

    Every utterance is embedded once, over evenly spaced crops; trial pairs are scored by the
    cosine of the mean embeddings.

    Args:
        data: The corpus with the validation list.
        features: Source of the crops' log-mels.
        num_crops: Crops per utterance.
        crop_frames: Length of a crop, frames.
        ranks: The processes that embed a part of the utterances each.
    """

    def __init__(
        self,
        data: TrainingData,
        features: CropSource,
        *,
        num_crops: int,
        crop_frames: int,
        ranks: Ranks = ALONE,
    ) -> None:
        self._data, self._features, self._ranks = data, features, ranks
        self._num_crops, self._crop_frames = num_crops, crop_frames
        self._row_Z = np.repeat(data.val_row, num_crops)
        # The starts depend only on the length, and many utterances have the same one.
        lengths, which_V = np.unique(data.features.length[data.val_row], return_inverse=True)
        starts = [evenly_spaced_starts(int(each), crop_frames, num_crops) for each in lengths]
        self._start_Z = np.stack(starts)[which_V].flatten()

    @torch.inference_mode()
    def scores(
        self,
        model: SpeakerModel,
        engine: Engine,
        progress: Callable[[int, int], None] | None = None,
    ) -> Floats | None:
        """Return the score of every trial pair, (P,), float64.

        Args:
            model: On the engine's device; in eval mode afterwards.
            engine: Device and precision of the passes.
            progress: Called with (crops done, crops in total).

        Returns:
            None if an embedding is NaN or infinite.
        """
        model.eval()
        own = self._ranks.part(0, len(self._data.val_row))
        part = slice(own.start * self._num_crops, own.stop * self._num_crops)
        chunks, done = [torch.empty(0, model.embedding_dim)], 0
        source = self._batches(part, engine.device)
        with (
            closing(prefetched(source, device=engine.device)) as batches,
            engine.autocast(),
        ):
            for feat_BTF in batches:
                # NumPy has no bfloat16, which the pass may compute in. Every batch leaves the GPU
                # as it comes: its memory does not grow with the list, and no pass waits.
                chunks.append(model.embed(feat_BTF).float().to("cpu", non_blocking=True))
                done += len(feat_BTF)
                if progress:
                    progress(done, part.stop - part.start)
        if engine.device.type == "cuda":
            torch.cuda.synchronize(engine.device)
        emb_ZD = torch.empty(len(self._row_Z), model.embedding_dim)
        emb_ZD[part] = torch.cat(chunks)
        emb_ZD = self._ranks.filled(emb_ZD, part)
        emb_VCD = emb_ZD.reshape(len(self._data.val_row), self._num_crops, -1)
        if not emb_VCD.isfinite().all():
            return None
        return cosine_scores(emb_VCD.numpy(), self._data.val_a, self._data.val_b)

    def _batches(self, part: slice, device: torch.device) -> Iterator[Tensor]:
        batch_size = EVAL_BATCH.get(device.type, EVAL_BATCH["cpu"])
        for first in range(part.start, part.stop, batch_size):
            batch = slice(first, min(first + batch_size, part.stop))
            feat_BTF = self._features.crops(
                self._row_Z[batch], self._start_Z[batch], self._crop_frames
            )
            yield to_device(feat_BTF, device)


def validation_scores(
    model: SpeakerModel, data: TrainingData, *, num_crops: int, device: torch.device
) -> Floats:
    """Return the scores of a model on the validation list, computed in float32; see `Validation`.

    Crops have the length that the model needs, or `USUAL_FRAMES` if it accepts any.

    Raises:
        TrainingError: An embedding is NaN or infinite.
    """
    crop_frames = model.num_frames or USUAL_FRAMES
    validation = Validation(data, data.features, num_crops=num_crops, crop_frames=crop_frames)
    scores = validation.scores(model, Engine(device=device))
    if scores is None:
        raise TrainingError("an embedding of the validation list is NaN or infinite")
    return scores


def embedding_work(model: SpeakerModel, eval_frames: int) -> Callable[[], int]:
    """Return a function that embeds the random crops of an utterance, to measure the speed."""
    num_frames = model.num_frames or eval_frames
    feat_BTF = torch.randn(FINAL_CROPS, num_frames, NUM_MELS)
    model.eval()

    def work() -> int:
        with torch.inference_mode():
            model.embed(feat_BTF)
        return FINAL_CROPS

    return work


@torch.inference_mode()
def score_pairs(
    model: SpeakerModel,
    root: Path,
    pairs: Sequence[TrialPair],
    *,
    eval_frames: int = DEFAULT_EVAL_FRAMES,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> PairScores:
    """Score a trial list from the audio; every utterance is decoded and embedded once.

    Where several processes train together, all must call this; each embeds a part.

    Args:
        model: The network.
        root: Folder that the paths of the pairs are relative to.
        pairs: The trial list.
        eval_frames: Length of a crop, frames of 10 ms; the trainer's protocol adds 240 samples.
        device: Where to compute.
        progress: Called with (utterances done, utterances in total).

    Raises:
        AudioError: A file cannot be read.
        ValueError: eval_frames is below 1.
    """
    model.to(device).eval()
    log_mel = LogMel().to(device)
    index = PairIndex.from_pairs(pairs)
    ranks = current_ranks()
    part = ranks.part(0, len(index.paths))
    by_frames_VCD = torch.empty(len(index.paths), FINAL_CROPS, model.embedding_dim)
    by_samples_VCD = torch.empty(len(index.paths), VOXCELEB_TRAINER_CROPS, model.embedding_dim)
    duration_s_V = torch.empty(len(index.paths), dtype=torch.float64)
    for number in range(part.start, part.stop):
        wave = load_wave(root / index.paths[number])
        duration_s_V[number] = len(wave) / SAMPLE_RATE_HZ
        # Moved off the device one by one, so that its memory does not grow with the list.
        crop_frames = model.num_frames or eval_frames
        feat_CTF = frame_crops(log_mel, wave, crop_frames, FINAL_CROPS)
        by_frames_VCD[number] = model.embed(feat_CTF).cpu()
        by_samples_VCD[number] = sample_crops(model, log_mel, wave, eval_frames, device).cpu()
        if progress:
            progress(number + 1 - part.start, part.stop - part.start)
    by_frames_VCD, by_samples_VCD, duration_s_V = (
        ranks.filled(each, part) for each in (by_frames_VCD, by_samples_VCD, duration_s_V)
    )
    utterances = EmbeddedUtterances(
        paths=index.paths,
        mean_UD=by_frames_VCD.numpy().mean(1, dtype=np.float64),
        duration_s_U=duration_s_V.numpy(),
    )
    return PairScores(
        cosine=utterances.cosines(index.a, index.b),
        voxceleb_trainer=voxceleb_trainer_scores(by_samples_VCD.numpy(), index.a, index.b),
        index=index,
        utterances=utterances,
    )
