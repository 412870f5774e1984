"""All audio files of a corpus, each decoded once: faults, durations, and what seems wrong."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.containers import Extent
from trainable.audio.reading import (
    NUM_READERS,
    AudioEntry,
    AudioError,
    Wave,
    check_wave,
    load_wave,
    load_wave_and_extent,
)
from trainable.audio.voices import HeardSpeech, voice_of

_SLICE_FILES = 256
# Float samples may exceed 1 a little; 12 dB above it, they have another scale.
LOUD_PEAK = 4.0
# Fewer bytes after the audio are padding.
_STRAY_BYTES = 8
# Every 16th sample is enough to find candidates for copies, whose digests then decide.
_KEY_STEP = 16


_LOUD = "has samples far above 1, the full scale of float audio; divide them (by 32768?)"
_STRAY = (
    "goes on after the end of its audio with bytes that are no chunk; if they are audio, have the "
    "header written anew (sox --ignore-length IN OUT)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioScan:
    """The faults and durations of audio files.

    Attributes:
        faults: One sentence for each file with a fault, beginning with its `LIST:LINE`; for files
            of one kind, such as MP3, that of the first one with their number.
        durations_s: Duration of each file, seconds, in the order of the entries; 0 if the file
            cannot be read.
        keys: A number for each file that equal recordings share, and few others.
        warnings: One sentence for each kind of doubt, with the number of files and the first one.
        voices: The speech of each file, if it was asked for; None without voiced speech.
    """

    faults: tuple[str, ...]
    durations_s: tuple[float, ...]
    keys: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    voices: tuple[HeardSpeech | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inspected:
    fault: str | None
    kind: str = ""
    duration_s: float = 0.0
    key: int = 0
    doubts: dict[str, str] = field(default_factory=dict)
    voice: HeardSpeech | None = None


def scan_audio(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    progress: Callable[[int, int], None] | None = None,
    with_voices: bool = False,
) -> AudioScan:
    """Decode every file, and find all faults.

    Args:
        entries: Audio files, each with the line that lists it.
        min_duration_s: Shorter files are faults, seconds.
        progress: Called with (files done, files in all).
        with_voices: Whether to find pitch and spectrum of the speech.
    """
    inspected: list[_Inspected] = []
    inspect = partial(_inspect, min_duration_s=min_duration_s, with_voice=with_voices)
    with ThreadPoolExecutor(NUM_READERS) as pool:
        # In slices, so that an interrupt does not wait for a million files.
        for first in range(0, len(entries), _SLICE_FILES):
            for found in pool.map(inspect, entries[first : first + _SLICE_FILES]):
                inspected.append(found)
                if progress:
                    progress(len(inspected), len(entries))
    return AudioScan(
        faults=_faults(entries, inspected),
        durations_s=tuple(found.duration_s for found in inspected),
        keys=tuple(found.key for found in inspected),
        warnings=_warnings(entries, inspected),
        voices=tuple(found.voice for found in inspected) if with_voices else (),
    )


def wave_sha256(path: Path) -> str:
    """Return the SHA-256, in hex, of a file's samples at 16 kHz, whatever its format.

    Raises:
        AudioError: The file cannot be read.
    """
    return hashlib.sha256(load_wave(path).tobytes()).hexdigest()


def _inspect(entry: AudioEntry, *, min_duration_s: float, with_voice: bool) -> _Inspected:
    try:
        wave_S, extent = load_wave_and_extent(entry.path)
    except AudioError as fault:
        return _Inspected(fault=f"{entry.listed_at}: {fault}", kind=fault.kind)
    text = check_wave(wave_S, min_duration_s)
    return _Inspected(
        fault=f"{entry.listed_at}: {entry.path}: {text}" if text else None,
        duration_s=len(wave_S) / SAMPLE_RATE_HZ,
        key=_key(wave_S),
        doubts={} if text else _doubts(wave_S, extent),
        voice=voice_of(wave_S) if with_voice and not text else None,
    )


def _faults(entries: Sequence[AudioEntry], inspected: Sequence[_Inspected]) -> tuple[str, ...]:
    num_of = Counter(found.kind for found in inspected if found.kind)
    texts, named = [], set()
    for entry, found in zip(entries, inspected, strict=True):
        if found.fault is None or found.kind in named:
            continue
        text = found.fault
        if num_of[found.kind] > 1:
            # Not at the end, which is a command to copy.
            named.add(found.kind)
            which = f"{entry.path} (one of {num_of[found.kind]:,} such files): "
            text = text.replace(f"{entry.path}: ", which, 1)
        texts.append(text)
    return tuple(texts)


def _key(wave_S: Wave) -> int:
    return len(wave_S) << 32 | zlib.crc32(wave_S[::_KEY_STEP].tobytes())


def _doubts(wave_S: Wave, extent: Extent | None) -> dict[str, str]:
    """Return the details of each kind of doubt about a file."""
    doubts = {}
    peak = float(np.abs(wave_S).max())
    if peak > LOUD_PEAK:
        doubts[_LOUD] = f"peak {peak:,.1f}"
    if extent is not None and extent.promised and extent.stray >= _STRAY_BYTES:
        doubts[_STRAY] = f"{extent.stray:,} bytes after the {extent.promised:,} of audio"
    return doubts


def _warnings(entries: Sequence[AudioEntry], inspected: Sequence[_Inspected]) -> tuple[str, ...]:
    found: dict[str, list[tuple[AudioEntry, str]]] = {}
    for entry, each in zip(entries, inspected, strict=True):
        for kind, detail in each.doubts.items():
            found.setdefault(kind, []).append((entry, detail))
    warnings = []
    for kind, files in found.items():
        entry, detail = files[0]
        more = f" ({len(files):,} such files)" if len(files) > 1 else ""
        warnings.append(f"{entry.listed_at}: {entry.path}: {kind}: {detail}{more}")
    return tuple(warnings)
