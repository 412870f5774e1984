"""Log-mels of a corpus on disk, memory-mapped: computed once, shared by all processes.

Shapes: B batch, T frames, F mel bins, N all frames of the corpus.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models import LogMel, frontend
from trainable.audio import AudioEntry, AudioError, check_wave, load_wave
from trainable.errors import CorpusError

Progress = Callable[[int, int], None]
Frames = NDArray[np.float16]
Index = NDArray[np.int64]

NUM_READERS = 4
READ_AHEAD = 64
FRAMES_FILE = "frames.f16"
INDEX_FILE = "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """Log-mels (before instance normalisation) of utterances, one after the other.

    Attributes:
        frames_NF: float16, memory-mapped.
        offset: First frame of each utterance.
        length: Frames of each utterance.
    """

    frames_NF: Frames
    offset: Index
    length: Index

    def crops(self, utterance_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Gather one crop an entry; utterances shorter than the crop are repeated.

        Args:
            utterance_B: Rows of the table.
            start_B: First frame of each crop, counted within its utterance.
            num_frames: Frames of a crop.

        Returns:
            feat_BTF: float32.
        """
        length_B1 = self.length[utterance_B][:, None]
        frame_BT = (start_B[:, None] + np.arange(num_frames)) % length_B1
        rows_BT = self.offset[utterance_B][:, None] + frame_BT
        return torch.from_numpy(self.frames_NF[rows_BT].astype(np.float32))


def open_features(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    cache_dir: Path,
    progress: Progress | None = None,
) -> FeatureTable:
    """Open the log-mels of these files, computing them where the cache has none.

    The cache key covers paths, sizes, modification times and the front end, so a changed file is
    computed again. A table appears under its name only when complete.

    Args:
        entries: Audio files; row i of the table is file i.
        min_duration_s: Shorter files are refused, seconds.
        cache_dir: Folder of all tables.
        progress: Told (files done, files in all) while computing.

    Raises:
        CorpusError: With every file that cannot be used.
    """
    folder = cache_dir / f"log-mels-{_key(entries, min_duration_s)}"
    if not (folder / INDEX_FILE).exists():
        cache_dir.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_dir))
        try:
            _build(entries, building, min_duration_s, progress)
            _publish(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return _open(folder)


def _publish(building: Path, folder: Path) -> None:
    try:
        building.rename(folder)
    except OSError:
        # Another process was faster; its table has the same key.
        if not (folder / INDEX_FILE).exists():
            raise


def _open(folder: Path) -> FeatureTable:
    length = np.asarray(json.loads((folder / INDEX_FILE).read_text())["length"], dtype=np.int64)
    path = folder / FRAMES_FILE
    expected = int(length.sum()) * frontend.NUM_MELS * 2
    if path.stat().st_size != expected:
        raise CorpusError(
            [
                f"{path}: must have {expected} bytes, got {path.stat().st_size}; "
                f"delete {folder} and run again"
            ]
        )
    frames = np.memmap(path, dtype=np.float16, mode="r").reshape(-1, frontend.NUM_MELS)
    return FeatureTable(frames_NF=frames, offset=np.cumsum(length) - length, length=length)


def _key(entries: Sequence[AudioEntry], min_duration_s: float) -> str:
    digest = hashlib.sha256()
    settings = (
        frontend.SAMPLE_RATE_HZ,
        frontend.HOP_SAMPLES,
        frontend.WINDOW_SAMPLES,
        frontend.N_FFT,
        frontend.NUM_MELS,
        frontend.PRE_EMPHASIS,
        frontend.LOG_OFFSET,
        min_duration_s,
    )
    digest.update(repr(settings).encode())
    for entry in entries:
        stat = entry.path.stat()
        digest.update(f"{entry.path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _build(
    entries: Sequence[AudioEntry], folder: Path, min_duration_s: float, progress: Progress | None
) -> None:
    log_mel = LogMel()
    lengths: list[int] = []
    faults: list[str] = []

    def compute(entry: AudioEntry) -> Frames | str:
        try:
            wave = load_wave(entry.path)
        except AudioError as fault:
            return f"{entry.place}: {fault}"
        if fault_text := check_wave(wave, min_duration_s):
            return f"{entry.place}: {entry.path}: {fault_text}"
        feat_1TF = log_mel(torch.from_numpy(wave)[None])
        frames: Frames = feat_1TF[0].numpy().astype(np.float16)
        return frames

    with (folder / FRAMES_FILE).open("wb") as out:
        for done, result in enumerate(_map_in_order(compute, entries), 1):
            if isinstance(result, str):
                faults.append(result)
            else:
                lengths.append(len(result))
                result.tofile(out)
            if progress:
                progress(done, len(entries))
    if faults:
        raise CorpusError(faults)
    (folder / INDEX_FILE).write_text(json.dumps({"length": lengths}))


def _map_in_order(
    function: Callable[[AudioEntry], Frames | str], entries: Sequence[AudioEntry]
) -> Iterator[Frames | str]:
    """Map with a few threads and bounded memory."""
    with ThreadPoolExecutor(NUM_READERS) as pool:
        for first in range(0, len(entries), READ_AHEAD):
            yield from pool.map(function, entries[first : first + READ_AHEAD])
