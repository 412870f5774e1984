"""A tiny corpus, generated."""

from pathlib import Path

import numpy as np
import soundfile

from spaces.files.yaml_file import write_yaml

SAMPLE_RATE_HZ = 16_000


def write_corpus(
    folder: Path,
    *,
    num_train_speakers: int = 6,
    num_val_speakers: int = 4,
    num_utterances: int = 5,
    duration_s: float = 1.0,
    seed: int = 0,
) -> Path:
    """Write wav files, lists and `corpus.yaml`.

    A speaker is a stack of harmonics with a pitch and an envelope of their own; an utterance draws
    its own drift of the pitch, loudness and noise. The speakers differ in more than the pitch.
    """
    rng = np.random.default_rng(seed)
    train_list, val_paths = [], []
    for number in range(num_train_speakers + num_val_speakers):
        is_train = number < num_train_speakers
        speaker = f"id{number:05d}"
        pitch_hz, envelope = rng.uniform(90, 250), rng.uniform(-3, 0, size=24)
        for utterance in range(num_utterances):
            path = f"{speaker}/session{utterance}/00001.wav"
            wave = _utterance(rng, pitch_hz, envelope, duration_s)
            file = folder / ("train" if is_train else "val") / path
            file.parent.mkdir(parents=True)
            soundfile.write(file, wave, SAMPLE_RATE_HZ)
            if is_train:
                train_list.append(f"{speaker} {path}")
            else:
                val_paths.append(path)
    (folder / "train_list.txt").write_text("\n".join(train_list) + "\n")
    (folder / "veri_val.txt").write_text("\n".join(_trial_pairs(val_paths)) + "\n")
    corpus = folder / "corpus.yaml"
    write_yaml(
        corpus,
        {
            "train_dir": "train",
            "train_list": "train_list.txt",
            "val_dir": "val",
            "val_list": "veri_val.txt",
        },
    )
    return corpus


def _utterance(
    rng: np.random.Generator, pitch_hz: float, envelope: np.ndarray, duration_s: float
) -> np.ndarray:
    time_s = np.arange(int(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    drift = 1 + 0.08 * np.sin(2 * np.pi * rng.uniform(1, 4) * time_s + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz * rng.uniform(0.93, 1.07) * drift) / SAMPLE_RATE_HZ
    wave = rng.normal(scale=0.02, size=len(time_s))
    for harmonic, log_level in enumerate(envelope, 1):
        wave += np.exp(log_level) * np.sin(harmonic * phase + rng.uniform(0, 6))
    return np.asarray(rng.uniform(0.2, 0.6) * wave / np.abs(wave).max())


def _trial_pairs(paths: list[str]) -> list[str]:
    """Every pair of files, target or not."""
    return [
        f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}"
        for i, a in enumerate(paths)
        for b in paths[i + 1 :]
    ]
