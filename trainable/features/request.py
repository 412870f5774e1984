"""The store of log-mels that a run asks for: its key, its plan, its tasks."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKey:
    """The key of a store, and the audio sizes that were read for it.

    Attributes:
        digest: SHA-256 in hex.
        size_bytes: Size of each audio file, in the order of the entries.
    """

    digest: str
    size_bytes: tuple[int, ...]


def store_key(
    entries: Sequence[AudioEntry], min_duration_s: float, augmentation: str | None = None
) -> StoreKey:
    """Hash paths, sizes and modification times in order, the front end and the shortest duration.

    A file's size and time of change stand for its content: none is opened.

    Args:
        entries: Audio files.
        min_duration_s: Shorter files are refused, seconds.
        augmentation: Digest of what changes the waves first, None for nothing.

    Raises:
        CorpusError: With every file that is missing or may not be looked at.
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
        digest.update(os.fsencode(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n"))
        sizes.append(stat.st_size)
    if faults:
        raise CorpusError(faults)
    return StoreKey(digest=digest.hexdigest(), size_bytes=tuple(sizes))


def lists_of(entries: Iterable[AudioEntry]) -> tuple[str, ...]:
    """The list files that name the entries, each once, in order."""
    return tuple(dict.fromkeys(map(_list_of, entries)))


def audio_dirs_of(entries: Iterable[AudioEntry]) -> tuple[str, ...]:
    """The deepest folder that all entries of a list are below, for each of `lists_of`."""
    folders: dict[str, set[str]] = {}
    for entry in entries:
        folder = os.path.dirname(entry.path)  # noqa: PTH120 - a million files: twice as fast
        folders.setdefault(_list_of(entry), set()).add(folder)
    return tuple(map(os.path.commonpath, folders.values()))


def _list_of(entry: AudioEntry) -> str:
    return entry.listed_at.rpartition(":")[0]


LOG_MELS = ShardKind(stem="features", vectors="frames", width=NUM_MELS)
NUM_PROBED = 16
FRAME_BYTES = NUM_MELS * 2
# 16-bit mono WAV at 16 kHz: 320 bytes of audio a frame of 160.
USUAL_RATIO = 0.5


def feature_request(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    cache_dir: Path,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    copy: CopyPlan | None = None,
) -> StoreRequest:
    """The store of the log-mels of these files, or of an augmented copy of each.

    Args:
        entries: Audio files; row i of the store is file i.
        min_duration_s: Shorter files are refused, seconds.
        cache_dir: Folder of all stores.
        shard_bytes: The largest size of a shard, about, where the store is new.
        copy: How the waves are changed first; None leaves them.

    Raises:
        CorpusError: With every file that is missing or may not be looked at.
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


def _rows_by_shard(
    entries: Sequence[AudioEntry], key: StoreKey, shard_bytes: int
) -> tuple[int, ...]:
    """What goes into which shard, by the estimated size of the log-mels.

    It is estimated from that of the audio files, so that a million headers need not be read, and
    any process can know the content of any shard before it is built.
    """
    ratio = _bytes_ratio(entries, key)
    by_entry = [ratio[_suffix(entry)] for entry in entries]
    return rows_by_size(np.asarray(key.size_bytes) * np.asarray(by_entry), shard_bytes)


def _bytes_ratio(entries: Sequence[AudioEntry], key: StoreKey) -> dict[str, float]:
    """Bytes of log-mels a byte of audio, by the file's ending, from a few headers of each."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, entry in enumerate(entries):
        rows[_suffix(entry)].append(row)
    return {suffix: _probed_ratio(entries, key, found) for suffix, found in rows.items()}


def _probed_ratio(entries: Sequence[AudioEntry], key: StoreKey, rows: Sequence[int]) -> float:
    log_mel_bytes = audio_bytes = 0.0
    for row in rows[:: -(-len(rows) // NUM_PROBED)]:
        try:
            info = soundfile.info(entries[row].path)
        except (soundfile.LibsndfileError, OSError):
            continue  # building names it
        num_frames = info.frames / info.samplerate * SAMPLE_RATE_HZ / HOP_SAMPLES
        log_mel_bytes += num_frames * FRAME_BYTES
        audio_bytes += key.size_bytes[row]
    return log_mel_bytes / audio_bytes if log_mel_bytes and audio_bytes else USUAL_RATIO


def _suffix(entry: AudioEntry) -> str:
    return entry.path.suffix.lower()
