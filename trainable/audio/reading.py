"""Audio files as one waveform at 16 kHz, and the faults of those that cannot be used.

Shapes: S samples, C channels.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import torch
import torchaudio.functional

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.containers import Extent, read_extent
from trainable.audio.unreadable import READ, conversion, other_content

Wave = npt.NDArray[np.float32]

# 16-bit audio reaches down to -90 dBFS; speech that never passes -60 is a muted microphone.
SILENCE_DBFS = -60.0
# As libsndfile names them; WAVEX and RF64 are WAV files with longer headers.
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC", "AIFF", "W64")
# What libsndfile reports for a FLAC file whose encoder wrote to a pipe.
_UNKNOWN_FRAMES = 2**62
_BLOCK_SAMPLES = 2**16
# FLAC's smallest usual block: what is lost at most where a count ends at a fault.
_FLAC_BLOCK_SAMPLES = 192

# Threads that decode audio files, here and where other modules read many files.
NUM_READERS = 4


class AudioError(ValueError):
    """A file that cannot be used as audio; the message names the file.

    Args:
        message: The message.
        kind: What many files of a corpus may be alike, such as MP3; empty for a fault of one file.
    """

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioEntry:
    """An audio file that a list names.

    Attributes:
        path: The file.
        listed_at: Where a list names it first, `LIST:LINE`.
    """

    path: Path
    listed_at: str


def load_wave(path: Path) -> Wave:
    """Read a WAV, FLAC, AIFF or W64 file, average its channels and resample it to 16 kHz.

    Returns:
        wave_S: Samples at 16 kHz in [-1, 1].

    Raises:
        AudioError: The file is missing, of another format, damaged, or cut short.
    """
    return load_wave_and_extent(path)[0]


def load_wave_and_extent(path: Path) -> tuple[Wave, Extent | None]:
    """Read a file as `load_wave`; also return what its header promises, None for FLAC."""
    try:
        _refuse_other_content(path)
        extent = read_extent(path)
        with _Readable(_source(path, extent)) as file:
            if file.format not in FORMATS:
                fix = conversion(path, file.format)
                text = f"{path}: must be {READ}, got {file.format}; {fix}"
                raise AudioError(text, file.format)
            rate_hz, num_expected = file.samplerate, file.frames
            wave_SC = file.read_all()
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error.error_string if isinstance(error, soundfile.LibsndfileError) else error
        raise AudioError(f"{path}: cannot be read as {READ}: {reason}{_lack(path)}") from error
    # libsndfile reads a file that was cut short without an error, and counts what is left of it.
    num_missing = 0 if extent is None else extent.num_missing
    if num_expected < _UNKNOWN_FRAMES:
        num_missing = max(num_missing, num_expected - len(wave_SC))
    if num_missing:
        raise AudioError(
            f"{path}: is cut short: must have {len(wave_SC) + num_missing} samples by its header, "
            f"got {len(wave_SC)}; copy it anew, or, if it is whole, have its header written anew "
            "(sox --ignore-length IN OUT)"
        )
    wave_S: Wave = wave_SC.mean(axis=1)
    if rate_hz == SAMPLE_RATE_HZ or not len(wave_S):
        return wave_S, extent
    return resampled(wave_S, rate_hz), extent


def _refuse_other_content(path: Path) -> None:
    found = other_content(path)
    if found is not None:
        kind, text = found
        raise AudioError(f"{path}: {text}", kind)


def _lack(path: Path) -> str:
    """Return how many samples a FLAC file lacks whose audio cannot be decoded to its end."""
    num_found, num_expected = 0, 0
    try:
        with _Readable(path) as file:
            num_expected = file.frames
            if file.format != "FLAC" or num_expected >= _UNKNOWN_FRAMES:
                return ""
            while block := len(file.read(_FLAC_BLOCK_SAMPLES, dtype="int16")):
                num_found += block
            return ""
    except (soundfile.LibsndfileError, OSError):
        if not num_found:
            return ""
    return (
        f"; is cut short or damaged: must have {num_expected:,} samples by its header, got "
        f"{num_found:,} up to the fault; copy it anew"
    )


def _source(path: Path, extent: Extent | None) -> Path | io.BytesIO:
    """Return what libsndfile reads: the file, or its bytes with a size that it takes as open."""
    if extent is None or extent.open_size_at is None:
        return path
    content = bytearray(path.read_bytes())
    content[extent.open_size_at : extent.open_size_at + 4] = b"\xff" * 4
    return io.BytesIO(bytes(content))


class _Readable(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file of audio that can also be read if its number of samples is unknown."""

    def seekable(self) -> bool:
        """Return whether positions are known; without, no read needs the number of samples."""
        return bool(self.frames < _UNKNOWN_FRAMES and super().seekable())

    def read_all(self) -> Wave:
        """Return all samples, (S, C)."""
        if self.frames < _UNKNOWN_FRAMES:
            return np.asarray(self.read(dtype="float32", always_2d=True))
        blocks: list[Wave] = []
        while not blocks or len(blocks[-1]) == _BLOCK_SAMPLES:
            blocks.append(self.read(_BLOCK_SAMPLES, dtype="float32", always_2d=True))
        return np.concatenate(blocks)


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
