"""A tiny corpus, generated."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from spaces.files.yaml_file import write_yaml

SAMPLE_RATE_HZ = 16_000

# (speaker, path, content of the wav file) by utterance.
Utterances = tuple[tuple[str, str, bytes], ...]


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
    num_speakers = num_train_speakers + num_val_speakers
    made = _utterances(num_speakers, num_utterances, duration_s, seed)
    num_train = num_train_speakers * num_utterances
    for place, (_, path, content) in enumerate(made):
        file = folder / ("train" if place < num_train else "val") / path
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    train_list = [f"{speaker} {path}" for speaker, path, _ in made[:num_train]]
    val_paths = [path for _, path, _ in made[num_train:]]
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


# Most tests want the same corpus, each in a folder of its own.
@cache
def _utterances(
    num_speakers: int, num_utterances: int, duration_s: float, seed: int
) -> Utterances:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(num_speakers):
        speaker = f"id{number:05d}"
        pitch_hz, envelope = rng.uniform(90, 250), rng.uniform(-3, 0, size=24)
        for utterance in range(num_utterances):
            file = io.BytesIO()
            wave = _wave(rng, pitch_hz, envelope, duration_s)
            soundfile.write(file, wave, SAMPLE_RATE_HZ, format="WAV")
            made.append((speaker, f"{speaker}/session{utterance}/00001.wav", file.getvalue()))
    return tuple(made)


def _wave(
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
