"""Fixture: a few audio files for a store."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.worlds.small_store import NUM_FILES
from trainable.audio.reading import AudioEntry


@pytest.fixture
def entries(tmp_path: Path) -> list[AudioEntry]:
    for number in range(NUM_FILES):
        wave = np.random.default_rng(number).normal(0, 0.1, 4_000 + 800 * number)
        soundfile.write(tmp_path / f"{number}.wav", wave, 16_000)
    numbers = range(NUM_FILES)
    return [AudioEntry(path=tmp_path / f"{n}.wav", listed_at=f"list:{n + 1}") for n in numbers]
