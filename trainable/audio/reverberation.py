"""Speech in a room: generated impulse responses, and the convolution with any of them.

Shapes: S samples of an utterance, R samples of an impulse response; both at 16 kHz.
"""

import numpy as np

from models.frontend import SAMPLE_RATE_HZ
from trainable.audio.reading import Wave


def generated_rir(
    rt60_s: float, direct_to_reverberant_db: float, rng: np.random.Generator
) -> Wave:
    """Return Polack's model of a room: a direct path, then exponentially decaying noise.

    Sources: Polack, "La transmission de l'énergie sonore dans les salles", thesis, Université du
    Maine, 1988; Habets, "Single- and multi-microphone speech dereverberation using spectral
    enhancement", thesis, TU Eindhoven, 2007, for the direct path.

    Args:
        rt60_s: Time in which the noise falls by 60 dB, seconds; the response ends there.
        direct_to_reverberant_db: Energy of the direct path over that of the noise, dB.
        rng: Source of the noise.

    Returns:
        rir_R: Impulse response; its first sample is the direct path, of value 1.
    """
    num_samples = max(1, round(rt60_s * SAMPLE_RATE_HZ))
    # From 1 on: sample 0 is the direct path.
    time_s = np.arange(1, num_samples + 1) / SAMPLE_RATE_HZ
    tail_R = rng.standard_normal(num_samples) * 10 ** (-3 * time_s / rt60_s)
    tail_R *= 10 ** (-direct_to_reverberant_db / 20) / np.sqrt(np.sum(tail_R**2))
    return np.concatenate([[1.0], tail_R]).astype(np.float32)


def direct_path(rir_R: Wave) -> int:
    """Return the index of the direct path: the first of the largest samples."""
    return int(np.argmax(np.abs(rir_R)))


def reverberated(wave_S: Wave, rir_R: Wave, direct: int) -> Wave:
    """Convolve an utterance with an impulse response scaled to unit energy.

    The unit energy is that of voxceleb_trainer, whose result is delayed by the path from source to
    microphone. Here, as with `--shift-output` of Kaldi's `wav-reverberate`, the result begins at
    the direct path, so that a frame of the copy and the same frame of the utterance hold the same
    speech. The reverberation after the end of the utterance is cut off.

    Args:
        wave_S: The utterance.
        rir_R: The impulse response; not all zero.
        direct: Index of the direct path in the impulse response.

    Returns:
        wave_S: The reverberated utterance, of the same length.
    """
    length = len(wave_S) + len(rir_R) - 1
    # A power of two, for speed; zeros up to it keep the circular convolution from wrapping.
    fft_length = 1 << (length - 1).bit_length()
    unit_R = rir_R.astype(np.float64)
    unit_R /= np.sqrt(np.sum(unit_R**2))
    spectrum = np.fft.rfft(wave_S.astype(np.float64), fft_length) * np.fft.rfft(unit_R, fft_length)
    whole = np.fft.irfft(spectrum, fft_length)
    return whole[direct : direct + len(wave_S)].astype(np.float32)
