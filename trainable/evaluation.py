"""How well a model verifies speakers: while it trains, and for the final figures.

Shapes: V utterances, C crops of each, T frames, F mel bins, D embedding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models import LogMel, SpeakerModel
from trainable.audio import Wave, load_wave
from trainable.corpus import TrialPair
from trainable.data import TrainingData
from trainable.metrics import VerificationMetrics, equal_error_rate, verification_metrics
from trainable.scoring import (
    VOXCELEB_TRAINER_CROPS,
    PairIndex,
    cosine_scores,
    evenly_spaced_starts,
    voxceleb_trainer_crop_samples,
    voxceleb_trainer_scores,
    waveform_crops,
)

EVAL_BATCH = 64
FINAL_CROPS = 10
DEFAULT_EVAL_FRAMES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The final figures of a model on a trial list, under both protocols.

    Attributes:
        cosine: Cosine of the mean embeddings over evenly spaced crops of the log-mels.
        voxceleb_trainer: That trainer's protocol: crops of the waveform, minus the mean of the
            pairwise Euclidean distances.
    """

    cosine: VerificationMetrics
    voxceleb_trainer: VerificationMetrics


@torch.inference_mode()
def validation_veer_pct(
    model: SpeakerModel, data: TrainingData, *, num_crops: int, device: torch.device
) -> float:
    """VEER: the interpolated EER on the validation list, percent.

    Every utterance is embedded once, over evenly spaced crops as long as the model takes them
    (200 frames where it takes any); pairs are scored by the cosine of the mean embeddings.
    """
    model.eval()
    crop_frames = model.num_frames or 200
    row_Z = np.repeat(data.val_row, num_crops)
    start_Z = np.concatenate(
        [
            evenly_spaced_starts(int(length), crop_frames, num_crops)
            for length in data.features.length[data.val_row]
        ]
    )
    chunks = []
    for first in range(0, len(row_Z), EVAL_BATCH):
        part = slice(first, first + EVAL_BATCH)
        feat_BTF = data.features.crops(row_Z[part], start_Z[part], crop_frames)
        chunks.append(model.embed(feat_BTF.to(device)).float().cpu())
    emb_VCD = torch.cat(chunks).reshape(len(data.val_row), num_crops, -1)
    scores = cosine_scores(emb_VCD.numpy(), data.val_a, data.val_b)
    return equal_error_rate(scores, data.val_is_target)


@torch.inference_mode()
def evaluate_pairs(
    model: SpeakerModel,
    root: Path,
    pairs: Sequence[TrialPair],
    *,
    eval_frames: int = DEFAULT_EVAL_FRAMES,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score a trial list from the audio, every utterance decoded and embedded once.

    Args:
        model: The network.
        root: Folder that the paths of the pairs count from.
        pairs: The trial list.
        eval_frames: Length of a crop, frames of 10 ms; the trainer's protocol adds 240 samples.
        device: Where to compute.
        progress: Told (utterances done, utterances in all).

    Raises:
        AudioError: A file cannot be read.
        ValueError: eval_frames is below 1.
    """
    model.to(device).eval()
    log_mel = LogMel().to(device)
    index = PairIndex.from_pairs(pairs)
    by_frames, by_samples = [], []
    for done, path in enumerate(index.paths, 1):
        wave = load_wave(root / path)
        by_frames.append(_frame_crops(model, log_mel, wave, eval_frames, device).cpu().numpy())
        by_samples.append(_sample_crops(model, log_mel, wave, eval_frames, device).cpu().numpy())
        if progress:
            progress(done, len(index.paths))
    return EvaluationResult(
        cosine=verification_metrics(
            cosine_scores(np.stack(by_frames), index.a, index.b), index.is_target
        ),
        voxceleb_trainer=verification_metrics(
            voxceleb_trainer_scores(np.stack(by_samples), index.a, index.b), index.is_target
        ),
    )


def _frame_crops(
    model: SpeakerModel, log_mel: LogMel, wave: Wave, eval_frames: int, device: torch.device
) -> Tensor:
    """(C, D): crops are slices of the utterance's log-mels."""
    feat_TF = log_mel(torch.from_numpy(wave)[None].to(device))[0]
    crop_frames = model.num_frames or eval_frames
    start_C = evenly_spaced_starts(len(feat_TF), crop_frames, FINAL_CROPS)
    frame_CT = (start_C[:, None] + np.arange(crop_frames)) % len(feat_TF)
    return model.embed(feat_TF[torch.from_numpy(frame_CT).to(device)])


def _sample_crops(
    model: SpeakerModel, log_mel: LogMel, wave: Wave, eval_frames: int, device: torch.device
) -> Tensor:
    """(C, D): crops are cut from the waveform, as voxceleb_trainer does."""
    crop_samples = voxceleb_trainer_crop_samples(eval_frames)
    wave_CS = waveform_crops(wave, VOXCELEB_TRAINER_CROPS, crop_samples)
    return model.embed(log_mel(torch.from_numpy(wave_CS).to(device)))
