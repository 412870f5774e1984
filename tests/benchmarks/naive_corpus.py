"""The corpus of the benchmark `naive`: a part of $VEER_MINIVOX, or noise in WAV files."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from models.frontend import SAMPLE_RATE_HZ
from trainable.corpus.corpus import CorpusConfig

MINIVOX = "VEER_MINIVOX"
TRAIN_LIST, VAL_LIST = "train_list.txt", "veri_val.txt"
NUM_SPEAKERS = 32
NOISE_S = 5


def make_corpus(folder: Path, num_utterances: int) -> tuple[CorpusConfig, str]:
    """Make a corpus of some training utterances and two trial pairs; return a description too."""
    minivox = os.environ.get(MINIVOX)
    if minivox is not None:
        return part_of_minivox(Path(minivox), folder, num_utterances), f"${MINIVOX}"
    return noise(folder, num_utterances), f"noise of {NOISE_S} s in WAV files (no ${MINIVOX})"


def part_of_minivox(minivox: Path, folder: Path, num_utterances: int) -> CorpusConfig:
    """Write lists of utterances evenly spread over the train list, and of a pair of each kind."""
    train = (minivox / TRAIN_LIST).read_text().splitlines()
    pairs = (minivox / VAL_LIST).read_text().splitlines()
    chosen = (train[i * len(train) // num_utterances] for i in range(num_utterances))
    both = (next(pair for pair in pairs if pair.startswith(kind)) for kind in "01")
    return _corpus(minivox / "wav", folder, chosen, both)


def noise(folder: Path, num_utterances: int) -> CorpusConfig:
    """Write files of white noise, 16 bits at 16 kHz; the speed does not depend on the content."""
    wav, rng = folder / "wav", np.random.default_rng(0)
    train = [f"id{n % NUM_SPEAKERS:03d}/{n:05d}.wav" for n in range(num_utterances)]
    val = ["val1/1.wav", "val1/2.wav", "val2/1.wav"]
    for path in (*train, *val):
        (wav / path).parent.mkdir(parents=True, exist_ok=True)
        wave_S = rng.uniform(-0.3, 0.3, NOISE_S * SAMPLE_RATE_HZ).astype(np.float32)
        soundfile.write(wav / path, wave_S, SAMPLE_RATE_HZ, subtype="PCM_16")
    pairs = (f"1 {val[0]} {val[1]}", f"0 {val[0]} {val[2]}")
    return _corpus(wav, folder, (f"{Path(path).parent} {path}" for path in train), pairs)


def _corpus(
    wav: Path, folder: Path, train: Iterable[str], pairs: Iterable[str]
) -> CorpusConfig:
    (folder / TRAIN_LIST).write_text("\n".join(train) + "\n")
    (folder / VAL_LIST).write_text("\n".join(pairs) + "\n")
    return CorpusConfig(
        train_dir=wav,
        train_list=folder / TRAIN_LIST,
        val_dir=wav,
        val_list=folder / VAL_LIST,
    )
