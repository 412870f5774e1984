"""What a feature store was made from, as one hash: other audio or settings give another store."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models import frontend
from spaces.files.errors import CorpusError
from trainable.audio.reading import AudioEntry
from trainable.store.plan import FORMAT_VERSION

FRONT_END: dict[str, float] = {
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
        "front_end": FRONT_END,
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
            faults.append(f"{entry.place}: {path}: {error.strerror}")
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
    return entry.place.rpartition(":")[0]
