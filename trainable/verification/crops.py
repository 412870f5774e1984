"""The evenly spaced crops of one utterance: of its log-mels, or of its waveform.

Shapes: C crops, T frames, S samples, D embedding.
"""

import numpy as np
import torch
from torch import Tensor

from models import LogMel, SpeakerModel
from models.frontend import HOP_SAMPLES
from trainable.audio.reading import Wave
from trainable.verification.scoring import (
    VOXCELEB_TRAINER_CROPS,
    evenly_spaced_starts,
    voxceleb_trainer_crop_samples,
    waveform_crops,
    wrap_padded,
)

# As many and as long as in the evaluation of voxceleb_trainer by default.
FINAL_CROPS = 10
DEFAULT_EVAL_FRAMES = 300


def frame_crops(log_mel: LogMel, wave: Wave, num_frames: int, num_crops: int) -> Tensor:
    """Return evenly spaced crops that are slices of the utterance's log-mels, (C, T, F).

    Args:
        log_mel: The front end; the crops are on its device.
        wave: The utterance at 16 kHz.
        num_frames: Length of a crop.
        num_crops: Number of crops.
    """
    device = log_mel.window_S.device
    feat_TF: Tensor = log_mel(torch.from_numpy(wave)[None].to(device))[0]
    start_C = evenly_spaced_starts(len(feat_TF), num_frames, num_crops)
    # An utterance that is shorter than a crop is repeated.
    frame_CT = (start_C[:, None] + np.arange(num_frames)) % len(feat_TF)
    return feat_TF[torch.from_numpy(frame_CT).to(device)]


def wave_crops_on_frames(wave: Wave, num_frames: int, num_crops: int) -> Wave:
    """Cut crops of the waveform that start where those of `frame_crops` do, (C, S).

    Their log-mels are those of `frame_crops` but for the edges, where a crop has no neighbours.
    """
    # Frames are centred: the first is on sample 0, and T of them span T - 1 hops.
    num_samples = max(1, num_frames - 1) * HOP_SAMPLES
    start_C = evenly_spaced_starts(1 + wave.size // HOP_SAMPLES, num_frames, num_crops)
    starts = (start_C * HOP_SAMPLES).tolist()
    wave = wrap_padded(wave, max(starts) + num_samples)
    return np.stack([wave[start : start + num_samples] for start in starts])


def sample_crops(
    model: SpeakerModel, log_mel: LogMel, wave: Wave, eval_frames: int, device: torch.device
) -> Tensor:
    """Embed crops that are cut from the waveform, as in voxceleb_trainer, (C, D)."""
    crop_samples = voxceleb_trainer_crop_samples(eval_frames)
    wave_CS = waveform_crops(wave, VOXCELEB_TRAINER_CROPS, crop_samples)
    return model.embed(log_mel(torch.from_numpy(wave_CS).to(device)))
