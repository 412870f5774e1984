"""Audio files as one waveform at 16 kHz, and the faults of those that cannot be used.

Shapes: S samples, C channels.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
import torchaudio.functional

from models.frontend import SAMPLE_RATE_HZ

Wave = npt.NDArray[np.float32]

# 16-bit audio reaches down to -90 dBFS; speech that never passes -60 is a muted microphone.
SILENCE_DBFS = -60.0
# As libsndfile names them; WAVEX and RF64 are WAV files with longer headers.
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC")

# Threads that decode audio files, here and where other modules read many files.
NUM_READERS = 4
_SLICE_FILES = 256


class AudioError(ValueError):
    """A file that cannot be used as audio; the message names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEntry:
    """An audio file that a list names.

    Attributes:
        path: The file.
        listed_at: Where a list names it first, `LIST:LINE`.
    """

    path: Path
    listed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioScan:
    """The faults and durations of audio files.

    Attributes:
        faults: One sentence for each file with a fault, beginning with its `LIST:LINE`.
        durations_s: Duration of each file, seconds, in the order of the entries; 0 if the file
            cannot be read.
    """

    faults: tuple[str, ...]
    durations_s: tuple[float, ...]


def load_wave(path: Path) -> Wave:
    """Read a WAV or FLAC file, average its channels and resample it to 16 kHz.

    Returns:
        wave_S: Samples at 16 kHz in [-1, 1].

    Raises:
        AudioError: The file is missing, neither WAV nor FLAC, damaged, or cut short.
    """
    try:
        with soundfile.SoundFile(path) as file:
            if file.format not in FORMATS:
                raise AudioError(f"{path}: must be WAV or FLAC, got {file.format}")
            rate_hz, num_expected = file.samplerate, file.frames
            wave_SC = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise AudioError(f"{path}: cannot be read as WAV or FLAC: {reason}") from error
    # libsndfile reads a file that was cut short without an error.
    if len(wave_SC) < num_expected:
        raise AudioError(
            f"{path}: is cut short: must have {num_expected} samples, got {len(wave_SC)}"
        )
    wave_S: Wave = wave_SC.mean(axis=1)
    if rate_hz == SAMPLE_RATE_HZ or not len(wave_S):
        return wave_S
    return resampled(wave_S, rate_hz)


def resampled(wave_S: Wave, rate_hz: int) -> Wave:
    """Return the wave resampled from `rate_hz` to 16 kHz."""
    wave = torchaudio.functional.resample(torch.from_numpy(wave_S), rate_hz, SAMPLE_RATE_HZ)
    at_16_khz: Wave = wave.numpy()
    return at_16_khz


def check_wave(wave_S: Wave, min_duration_s: float) -> str | None:
    """Return why a 16 kHz wave cannot be used, or None if it can.

    A wave is refused if it is too short, holds NaN or infinite samples, or is silent, which means
    that all samples are below -60 dBFS.
    """
    duration_s = len(wave_S) / SAMPLE_RATE_HZ
    # An empty wave is refused even if the minimum is 0.
    if not len(wave_S) or duration_s < min_duration_s:
        return f"must last at least {min_duration_s:g} s, got {duration_s:.4f} s"
    num_broken = len(wave_S) - int(np.isfinite(wave_S).sum())
    if num_broken:
        return f"must hold finite samples, got {num_broken} NaN or infinite ones"
    peak = float(np.abs(wave_S).max())
    if peak < 10 ** (SILENCE_DBFS / 20):
        level = f"{20 * np.log10(peak):.0f} dBFS" if peak else "digital silence"
        return f"must be louder than {SILENCE_DBFS:.0f} dBFS at its peak, got {level}"
    return None


def scan_audio(
    entries: Sequence[AudioEntry],
    *,
    min_duration_s: float,
    progress: Callable[[int, int], None] | None = None,
) -> AudioScan:
    """Decode every file, and find all faults.

    Args:
        entries: Audio files, each with the line that lists it.
        min_duration_s: Shorter files are faults, seconds.
        progress: Called with (files done, files in all).
    """
    faults: list[str] = []
    durations_s: list[float] = []
    inspect = partial(_inspect, min_duration_s=min_duration_s)
    with ThreadPoolExecutor(NUM_READERS) as pool:
        # In slices, so that an interrupt does not wait for a million files.
        for first in range(0, len(entries), _SLICE_FILES):
            for fault, duration_s in pool.map(inspect, entries[first : first + _SLICE_FILES]):
                durations_s.append(duration_s)
                if fault:
                    faults.append(fault)
                if progress:
                    progress(len(durations_s), len(entries))
    return AudioScan(faults=tuple(faults), durations_s=tuple(durations_s))


def _inspect(entry: AudioEntry, *, min_duration_s: float) -> tuple[str | None, float]:
    try:
        wave_S = load_wave(entry.path)
    except AudioError as fault:
        return f"{entry.listed_at}: {fault}", 0.0
    text = check_wave(wave_S, min_duration_s)
    fault_text = f"{entry.listed_at}: {entry.path}: {text}" if text else None
    return fault_text, len(wave_S) / SAMPLE_RATE_HZ
