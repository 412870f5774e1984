"""Embeddings of the evenly spaced crops of one utterance.

Shapes: C crops, T frames, S samples, D embedding.
"""

import numpy as np
import torch
from torch import Tensor

from models import LogMel, SpeakerModel
from trainable.audio.reading import Wave
from trainable.verification.scoring import (
    VOXCELEB_TRAINER_CROPS,
    evenly_spaced_starts,
    voxceleb_trainer_crop_samples,
    waveform_crops,
)

# As many and as long as in the evaluation of voxceleb_trainer by default.
FINAL_CROPS = 10
DEFAULT_EVAL_FRAMES = 300


def frame_crops(
    model: SpeakerModel,
    log_mel: LogMel,
    wave: Wave,
    num_frames: int,
    num_crops: int = FINAL_CROPS,
) -> Tensor:
    """Embed evenly spaced crops that are slices of the utterance's log-mels, (C, D).

    Args:
        model: The network, in eval mode.
        log_mel: The front end, on the model's device.
        wave: The utterance at 16 kHz.
        num_frames: Length of a crop, where the model accepts any.
        num_crops: Number of crops.
    """
    device = next(model.parameters()).device
    feat_TF = log_mel(torch.from_numpy(wave)[None].to(device))[0]
    crop_frames = model.num_frames or num_frames
    start_C = evenly_spaced_starts(len(feat_TF), crop_frames, num_crops)
    # An utterance that is shorter than a crop is repeated.
    frame_CT = (start_C[:, None] + np.arange(crop_frames)) % len(feat_TF)
    return model.embed(feat_TF[torch.from_numpy(frame_CT).to(device)])


def sample_crops(
    model: SpeakerModel, log_mel: LogMel, wave: Wave, eval_frames: int, device: torch.device
) -> Tensor:
    """Embed crops that are cut from the waveform, as in voxceleb_trainer, (C, D)."""
    crop_samples = voxceleb_trainer_crop_samples(eval_frames)
    wave_CS = waveform_crops(wave, VOXCELEB_TRAINER_CROPS, crop_samples)
    return model.embed(log_mel(torch.from_numpy(wave_CS).to(device)))
