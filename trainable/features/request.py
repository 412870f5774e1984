"""The store of log-mels that a run requests: its key, its plan, its tasks.

The key is a hash over the audio files, as the file system describes them, and over all settings
that decide the log-mels. The plan cuts the files into shards by the estimated size of their
log-mels, without opening more than a few files.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from models import frontend
from models.frontend import HOP_SAMPLES, NUM_MELS, SAMPLE_RATE_HZ
from spaces.files.errors import CorpusError
from trainable.audio.reading import AudioEntry
from trainable.features.builder import CopyPlan, FeatureTask
from trainable.store.folder import store_folder
from trainable.store.plan import (
    DEFAULT_SHARD_BYTES,
    FORMAT_VERSION,
    StorePlan,
    StoreRequest,
    rows_by_size,
)
from trainable.store.shards import ShardKind, ShardLocation

FRONT_END_SETTINGS: dict[str, float] = {
    "sample_rate_hz": frontend.SAMPLE_RATE_HZ,
    "hop_samples": frontend.HOP_SAMPLES,
    "window_samples": frontend.WINDOW_SAMPLES,
    "n_fft": frontend.N_FFT,
    "num_mels": frontend.NUM_MELS,
    "pre_emphasis": frontend.PRE_EMPHASIS,
    "log_offset": frontend.LOG_OFFSET,
}
LOG_MELS = ShardKind(stem="features", vectors="frames", width=NUM_MELS)
# Headers read for each kind of file, to estimate how many frames its bytes hold.
_NUM_PROBED = 16
FRAME_BYTES = NUM_MELS * 2  # float16
# Bytes of log-mels per byte of audio where no header could be read: 16-bit mono WAV at 16 kHz has
# 320 bytes of audio for each frame, whose log-mels have 160.
_DEFAULT_RATIO = 0.5


def feature_request(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    cache_dir: Path,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    copy: CopyPlan | None = None,
) -> StoreRequest:
    """Return the store of the log-mels of these files, or of an augmented copy of each.

    Args:
        entries: Audio files; row i of the store is file i.
        min_duration_s: Shorter files are refused, seconds.
        cache_dir: Folder of all stores.
        shard_bytes: Largest size of a shard, about, if the store is new.
        copy: Copy of the waves to compute log-mels of; None for the waves themselves.

    Raises:
        CorpusError: Files are missing or not accessible; names each.
    """
    key = store_key(entries, min_duration_s, None if copy is None else copy.digest)
    settings = {"front_end": FRONT_END_SETTINGS, "min_duration_s": min_duration_s}
    if copy is not None:
        settings["augmentation"] = copy.settings

    def new_plan() -> StorePlan:
        return StorePlan(
            format_version=FORMAT_VERSION,
            kind=LOG_MELS,
            key=key.digest,
            settings=settings,
            lists=lists_of(entries),
            audio_dirs=audio_dirs_of(entries),
            num_rows=_rows_by_shard(entries, key, shard_bytes),
        )

    def task(location: ShardLocation, first: int, num_rows: int) -> FeatureTask:
        return FeatureTask(
            location=location,
            entries=entries[first : first + num_rows],
            min_duration_s=min_duration_s,
            copy=copy,
        )

    return StoreRequest(
        folder=store_folder(cache_dir, LOG_MELS.stem, key.digest),
        kind=LOG_MELS,
        key=key.digest,
        num_rows=len(entries),
        new_plan=new_plan,
        task=task,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKey:
    """The key of a store, and the file sizes that were read to compute it.

    Attributes:
        digest: The key: SHA-256, in hex.
        size_bytes: Size of each audio file, in the order of the entries.
    """

    digest: str
    size_bytes: tuple[int, ...]


def store_key(
    entries: Sequence[AudioEntry], min_duration_s: float, augmentation: str | None = None
) -> StoreKey:
    """Hash the files in order, the settings of the front end, and the shortest duration.

    Path, size and modification time of a file stand for its content, so no file is opened.

    Args:
        entries: Audio files.
        min_duration_s: Shorter files are refused, seconds.
        augmentation: Digest of the augmented copy, None for the waves themselves.

    Raises:
        CorpusError: Files are missing or not accessible; names each.
    """
    settings = {
        "format": FORMAT_VERSION,
        "front_end": FRONT_END_SETTINGS,
        "min_duration_s": min_duration_s,
        "augmentation": augmentation,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    sizes: list[int] = []
    faults: list[str] = []
    for entry in entries:
        path = os.fspath(entry.path)
        try:
            stat = os.stat(path)  # noqa: PTH116 - a million files: Path.stat takes twice as long
        except OSError as error:
            faults.append(f"{entry.listed_at}: {path}: {error.strerror}")
            continue
        # Paths are bytes to the system, and need not be valid UTF-8.
        digest.update(os.fsencode(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
        sizes.append(stat.st_size)
    if faults:
        raise CorpusError(faults)
    return StoreKey(digest=digest.hexdigest(), size_bytes=tuple(sizes))


def lists_of(entries: Iterable[AudioEntry]) -> tuple[str, ...]:
    """Return the lists that name the entries, each once, in order."""
    return tuple(dict.fromkeys(map(_list_of, entries)))


def audio_dirs_of(entries: Iterable[AudioEntry]) -> tuple[str, ...]:
    """Return, for each list of `lists_of`, the deepest folder that all its entries are below."""
    folders: dict[str, set[str]] = {}
    for entry in entries:
        folder = os.path.dirname(entry.path)  # noqa: PTH120 - a million files: twice as fast
        folders.setdefault(_list_of(entry), set()).add(folder)
    return tuple(map(os.path.commonpath, folders.values()))


def _list_of(entry: AudioEntry) -> str:
    return entry.listed_at.rpartition(":")[0]


def _rows_by_shard(
    entries: Sequence[AudioEntry], key: StoreKey, shard_bytes: int
) -> tuple[int, ...]:
    """Return the number of files in each shard, by the estimated size of their log-mels."""
    # Estimated from the sizes of the audio files, so that a million headers need not be read, and
    # every process knows the content of every shard before it is built.
    ratio = _bytes_ratio(entries, key)
    by_entry = [ratio[_suffix(entry)] for entry in entries]
    return rows_by_size(np.asarray(key.size_bytes) * np.asarray(by_entry), shard_bytes)


def _bytes_ratio(entries: Sequence[AudioEntry], key: StoreKey) -> dict[str, float]:
    """Return the bytes of log-mels per byte of audio for each file extension."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, entry in enumerate(entries):
        rows[_suffix(entry)].append(row)
    return {suffix: _probed_ratio(entries, key, found) for suffix, found in rows.items()}


def _probed_ratio(entries: Sequence[AudioEntry], key: StoreKey, rows: Sequence[int]) -> float:
    """Estimate the ratio of `_bytes_ratio` from a few headers, spread evenly over the rows."""
    log_mel_bytes = audio_bytes = 0.0
    for row in rows[:: -(-len(rows) // _NUM_PROBED)]:
        try:
            info = soundfile.info(entries[row].path)
        except (soundfile.LibsndfileError, OSError):
            continue  # the build reports the file
        num_frames = info.frames / info.samplerate * SAMPLE_RATE_HZ / HOP_SAMPLES
        log_mel_bytes += num_frames * FRAME_BYTES
        audio_bytes += key.size_bytes[row]
    return log_mel_bytes / audio_bytes if log_mel_bytes and audio_bytes else _DEFAULT_RATIO


def _suffix(entry: AudioEntry) -> str:
    return entry.path.suffix.lower()
