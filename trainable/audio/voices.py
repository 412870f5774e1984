"""Pitch and spectrum of speech, which show a sample rate that is wrong by a factor of two.

A header with twice the right rate makes speech an octave higher, one with half of it an octave
lower. Pitch alone does not show that: its estimates err by octaves too. So a file is doubted only
if its spectrum is shifted by an octave as well, against the other files of its speaker. On 911
files of real speech, of which each in turn was given another rate, this found 78 % of the doubled
and 73 % of the halved rates, and doubted none of the right ones.

Shapes: S samples, N samples of a frame, K frames, B bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.reading import Wave

_FRAME = 2048
_NUM_FRAMES = 12
_LOW_HZ, _HIGH_HZ = 45, 700
# A lag is a pitch if the frame resembles itself so much; of several, the shortest one does that
# resembles it nearly as much as the best.
_VOICED, _NEARLY = 0.5, 0.85
_LEAST_VOICED = 3
_BANDS_AN_OCTAVE, _NUM_BANDS = 6, 30
_LOWEST_BAND_HZ = 100.0
# Octaves by which pitch and spectrum are shifted, about 1.
_PITCH_SHIFT, _SPECTRUM_SHIFT = (0.75, 1.3), (0.6, 1.4)
_MAX_LAG = 9
# Files of one speaker that are needed to doubt one of them, and of a list to doubt the list.
LEAST_OF_SPEAKER, LEAST_OF_LIST = 5, 20
# Median pitch of a list of men and women is 110 to 220 Hz. A list of women at half the rate has
# about 100 Hz and passes; docs/lists.md has what was measured beside pitch.
LIST_PITCH_HZ = (80.0, 250.0)

_WINDOW = np.hanning(_FRAME).astype(np.float32)
_FREQUENCY = np.fft.rfftfreq(2 * _FRAME, 1 / SAMPLE_RATE_HZ)
_BAND = np.floor(
    np.log2(np.maximum(_FREQUENCY, 1) / _LOWEST_BAND_HZ) * _BANDS_AN_OCTAVE
).astype(np.int64)
_INSIDE = (_BAND >= 0) & (_BAND < _NUM_BANDS)
_WINDOW_LAG = scipy.fft.irfft(np.abs(scipy.fft.rfft(_WINDOW, 2 * _FRAME)) ** 2)[:_FRAME]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardSpeech:
    """The speech of a file.

    Attributes:
        pitch_hz: Median pitch of its voiced frames.
        bands_B: Level in bands of a sixth of an octave from 100 to 3,200 Hz, dB.
    """

    pitch_hz: float
    bands_B: NDArray[np.float32]


def voice_of(wave_S: Wave) -> HeardSpeech | None:
    """Return pitch and spectrum of the loudest frames at 16 kHz; None without voiced frames."""
    num_frames = len(wave_S) // _FRAME
    if num_frames < _LEAST_VOICED:
        return None
    frame_KN = wave_S[: num_frames * _FRAME].reshape(num_frames, _FRAME)
    energy_K = np.einsum("kn,kn->k", frame_KN, frame_KN)
    frame_KN = frame_KN[np.argsort(energy_K)[-_NUM_FRAMES:]]
    centred_KN = (frame_KN - frame_KN.mean(1, keepdims=True)) * _WINDOW
    power_KF = np.abs(scipy.fft.rfft(centred_KN, 2 * _FRAME)) ** 2
    lag_KN = scipy.fft.irfft(power_KF)[:, :_FRAME]
    first, last = SAMPLE_RATE_HZ // _HIGH_HZ, SAMPLE_RATE_HZ // _LOW_HZ
    # The window's own correlation makes long lags smaller.
    scale = np.maximum(lag_KN[:, :1], 1e-12) * (_WINDOW_LAG / _WINDOW_LAG[0])[first:last]
    like_KL = lag_KN[:, first:last] / scale
    best_K = like_KL.max(1)
    middle = like_KL[:, 1:-1]
    is_peak_KL = (middle >= like_KL[:, :-2]) & (middle >= like_KL[:, 2:])
    is_peak_KL &= middle > _NEARLY * best_K[:, None]
    is_voiced_K = (best_K > _VOICED) & is_peak_KL.any(1)
    if is_voiced_K.sum() < _LEAST_VOICED:
        return None
    lag_K = np.argmax(is_peak_KL[is_voiced_K], 1) + 1 + first
    power_B = np.bincount(_BAND[_INSIDE], power_KF.mean(0)[_INSIDE], _NUM_BANDS)
    return HeardSpeech(
        pitch_hz=float(np.median(SAMPLE_RATE_HZ / lag_K)),
        bands_B=(10 * np.log10(power_B + 1e-12)).astype(np.float32),
    )


def doubted_rates(voices: Sequence[HeardSpeech | None]) -> list[tuple[int, float]]:
    """Return the files of one speaker whose speech is an octave off the others.

    Args:
        voices: The speech of all files of a speaker.

    Returns:
        (position, usual pitch of the speaker) of each such file.
    """
    heard = [(place, voice) for place, voice in enumerate(voices) if voice is not None]
    if len(heard) < LEAST_OF_SPEAKER:
        return []
    octave = np.log2([voice.pitch_hz for _, voice in heard])
    usual = float(np.median(octave))
    is_usual = np.abs(octave - usual) < 0.5
    if 2 * is_usual.sum() <= len(heard):
        return []
    bands = np.array([voice.bands_B for _, voice in heard])
    usual_B = bands[is_usual].mean(0)
    found = []
    for (place, voice), shift in zip(heard, octave - usual, strict=True):
        sign = 1 if shift > 0 else -1
        if _PITCH_SHIFT[0] < sign * shift < _PITCH_SHIFT[1]:
            octaves = sign * _spectrum_shift(voice.bands_B, usual_B)
            if _SPECTRUM_SHIFT[0] < octaves < _SPECTRUM_SHIFT[1]:
                found.append((place, 2**usual))
    return found


def _spectrum_shift(bands_B: NDArray[np.float32], usual_B: NDArray[np.float32]) -> float:
    """Return by how many octaves a spectrum lies above another one."""
    likeness = {}
    for lag in range(-_MAX_LAG, _MAX_LAG + 1):
        size = _NUM_BANDS - abs(lag)
        upper, lower = (bands_B, usual_B) if lag >= 0 else (usual_B, bands_B)
        likeness[lag] = float(np.corrcoef(upper[abs(lag) :], lower[:size])[0, 1])
    return max(likeness, key=lambda lag: likeness[lag]) / _BANDS_AN_OCTAVE


def doubted_list(voices: Sequence[HeardSpeech | None]) -> float | None:
    """Return the median pitch of a list if it is not that of men and women, hertz."""
    pitches = [voice.pitch_hz for voice in voices if voice is not None]
    if len(pitches) < LEAST_OF_LIST:
        return None
    median_hz = float(np.median(pitches))
    return None if LIST_PITCH_HZ[0] <= median_hz <= LIST_PITCH_HZ[1] else median_hz
