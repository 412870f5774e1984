"""A small store: six files, a shard each; opened here or built in another process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from trainable.audio.reading import AudioEntry
from trainable.features.feature_table import FeatureTable, open_features
from trainable.store.plan import StoreManifest

NUM_FILES = 6
BUILD = """
import sys, time
from pathlib import Path
from trainable.audio.reading import AudioEntry
from trainable.features.request import LOG_MELS
from trainable.features.feature_table import open_features

folder, num_files, cache, pause_s = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
entries = [
    AudioEntry(path=folder / f"{n}.wav", listed_at=f"list:{n + 1}") for n in range(num_files)
]

def progress(done, total):
    print(done, flush=True)
    time.sleep(float(pause_s))

open_features(
    entries, min_duration_s=0.2, cache_dir=Path(cache), progress=progress, shard_bytes=1
)
"""


def opened(
    entries: list[AudioEntry], tmp_path: Path, done: list[int] | None = None, shard_bytes: int = 1
) -> FeatureTable:
    return open_features(
        entries,
        min_duration_s=0.2,
        cache_dir=tmp_path / "cache",
        progress=None if done is None else lambda number, _: done.append(number),
        shard_bytes=shard_bytes,
    )


def store(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "cache").iterdir()
    return folder


def manifest(tmp_path: Path) -> StoreManifest:
    return StoreManifest.model_validate_json((store(tmp_path) / "manifest.json").read_bytes())


def identities(tmp_path: Path) -> list[int]:
    """A rebuilt shard is another file."""
    return [file.stat().st_ino for file in sorted(store(tmp_path).glob("features-*.arrow"))]


def everything(features: FeatureTable) -> torch.Tensor:
    return features.crops(np.arange(NUM_FILES), np.zeros(NUM_FILES, np.int64), 60)


def build_elsewhere(tmp_path: Path, pause_s: float) -> subprocess.Popen[str]:
    arguments = (str(tmp_path), str(NUM_FILES), str(tmp_path / "cache"), str(pause_s))
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, *arguments], stdout=subprocess.PIPE, text=True
    )


def flip_byte(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        (byte,) = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def frames_position(path: Path) -> int:
    """Where the frames begin in the file: after all that precedes their first bytes."""
    batch = pa.ipc.open_file(path).get_batch(0)
    return path.read_bytes().index(batch.column("frames").values.values.buffers()[1].to_pybytes())
