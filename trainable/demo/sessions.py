"""The effects of a recording session on a voice: room, noise, channel and level.

They are drawn once for each session and kept for all its utterances, so that two sessions of one
speaker differ as two real recordings do.

Shapes: S samples at 16 kHz.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.functional as F
from torch import Tensor

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.reading import Wave

# 50 ms; waves and rooms of whole blocks give convolutions of lengths that are fast to transform.
BLOCK_SAMPLES = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSession:
    """The conditions of one recording session.

    Attributes:
        impulse: Impulse response of the room; its first sample is the direct sound.
        noise_slope: The power of the noise falls with the frequency to this power: 0 is white
            noise, 2 is brown noise.
        snr_db: Speech over noise.
        lowest_hz: Lower cut-off frequency of the channel.
        highest_hz: Upper cut-off frequency of the channel.
        peaks: Resonances of the microphone: centre in Hz, gain in dB.
        level_dbfs: RMS level of the recording.
    """

    impulse: Tensor
    noise_slope: float
    snr_db: float
    lowest_hz: float
    highest_hz: float
    peaks: tuple[tuple[float, float], ...]
    level_dbfs: float


def draw_session(rng: np.random.Generator) -> RecordingSession:
    """Draw the conditions of a session."""
    return RecordingSession(
        impulse=_draw_room(rng),
        noise_slope=rng.uniform(0.0, 2.0),
        snr_db=rng.uniform(3.0, 22.0),
        lowest_hz=rng.uniform(50.0, 250.0),
        highest_hz=rng.uniform(3400.0, 7600.0),
        peaks=tuple(
            (float(np.exp(rng.uniform(np.log(200.0), np.log(6000.0)))), rng.uniform(-8.0, 8.0))
            for _ in range(3)
        ),
        level_dbfs=rng.uniform(-38.0, -20.0),
    )


def record(wave_S: Wave, session: RecordingSession, rng: np.random.Generator) -> Wave:
    """Return the recording of a voice in a session; each recording has its own noise.

    Whole blocks of `BLOCK_SAMPLES` are fastest.

    Returns:
        wave_S: The recording, as long as the input, in [-1, 1].
    """
    speech = torch.from_numpy(wave_S)
    speech = F.fftconvolve(speech, session.impulse)[: len(wave_S)]
    noise = _draw_noise(len(wave_S), session.noise_slope, rng)
    heard = F.add_noise(speech, noise, torch.tensor(session.snr_db))
    heard = F.highpass_biquad(heard, SAMPLE_RATE_HZ, session.lowest_hz)
    heard = F.lowpass_biquad(heard, SAMPLE_RATE_HZ, session.highest_hz)
    for centre_hz, gain_db in session.peaks:
        heard = F.equalizer_biquad(heard, SAMPLE_RATE_HZ, centre_hz, gain_db, Q=1.0)
    level = 10 ** (session.level_dbfs / 20)
    heard = heard * (level / heard.square().mean().sqrt().clamp_min(1e-9))
    recorded: Wave = heard.clamp(-1.0, 1.0).numpy()
    return recorded


def _draw_room(rng: np.random.Generator) -> Tensor:
    """Draw an impulse response: direct sound, then noise that decays by 60 dB in a random time."""
    decay_s = rng.uniform(0.1, 0.5)
    direct_to_reverb_db = rng.uniform(0.0, 14.0)
    # One more than whole blocks: the convolution with a wave of whole blocks then has a length of
    # whole blocks too, which is fast to transform.
    num_samples = round(decay_s * SAMPLE_RATE_HZ / BLOCK_SAMPLES) * BLOCK_SAMPLES + 1
    time_s = np.arange(num_samples) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / decay_s)
    tail[0] = 0.0
    tail *= np.sqrt(10 ** (-direct_to_reverb_db / 10) / np.square(tail).sum())
    tail[0] = 1.0
    return torch.from_numpy(tail.astype(np.float32))


def _draw_noise(num_samples: int, slope: float, rng: np.random.Generator) -> Tensor:
    """Draw noise of unit power whose power density falls with the frequency to the slope."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    # Flat below 50 Hz, where brown noise would have nearly all its power, below any speech.
    frequency_hz = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 50.0)
    noise = np.fft.irfft(spectrum * frequency_hz ** (-slope / 2), num_samples)
    return torch.from_numpy((noise / noise.std()).astype(np.float32))
