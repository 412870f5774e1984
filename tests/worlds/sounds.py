"""Generated sounds for tests of augmentation: an utterance, a folder as MUSAN's, rooms."""

from pathlib import Path

import numpy as np
import soundfile

from trainable.audio.augmentation import Augmenter, make_augmenter
from trainable.audio.augmentation_config import AugmentationConfig

NUM_SAMPLES = 24_000


def noise(num_samples: int = NUM_SAMPLES, seed: int = 0, level: float = 0.05) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def write_sound(path: Path, wave: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, 16_000, "FLOAT")


def write_musan(folder: Path) -> Path:
    """One piece of music, two noises (one short), eight voices."""
    write_sound(folder / "music/fma/m.wav", noise(50_000, 1))
    write_sound(folder / "noise/free-sound/n.wav", noise(50_000, 2))
    write_sound(folder / "noise/free-sound/short.wav", noise(700, 3))
    for number in range(8):
        write_sound(folder / f"speech/librivox/{number}.wav", noise(50_000, 10 + number))
    return folder


def write_rirs(folder: Path) -> Path:
    """A direct path after 30 samples, 0.8, and 100 samples later an echo, 0.6."""
    rir_R = np.zeros(400, np.float32)
    rir_R[[30, 130]] = 0.8, 0.6
    write_sound(folder / "smallroom/Room001/a.wav", rir_R)
    return folder


def augmenter(**settings: object) -> Augmenter:
    return make_augmenter(AugmentationConfig.model_validate(settings))
