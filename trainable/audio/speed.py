"""Utterances that are played faster or slower, with another pitch: speakers of their own.

Shapes: S samples.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
import torchaudio.functional

from trainable.audio.reading import Wave

SPEED_VERSION = 1
"""Increased by every change after which the same factor gives other copies."""
# A factor has at most two decimals, so that it is a ratio of small numbers.
STEPS = 100
LOWEST, HIGHEST = 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A change of speed. It can be pickled.

    Attributes:
        factor: 1.1 plays an utterance in 1/1.1 of its time, and raises its pitch by that factor.
    """

    factor: float

    def __call__(self, wave_S: Wave, path: Path) -> Wave:  # noqa: ARG002 - a `ChangeWave`
        """Return the wave at this speed; its length is divided by the factor."""
        ratio = Fraction(round(self.factor * STEPS), STEPS)
        wave = torchaudio.functional.resample(
            torch.from_numpy(wave_S), ratio.numerator, ratio.denominator
        )
        sped_S: Wave = wave.numpy()
        return sped_S

    @property
    def digest(self) -> str:
        """The hash of what the copy follows from, besides the utterance."""
        return hashlib.sha256(f"speed {SPEED_VERSION} {self.factor:.2f}".encode()).hexdigest()


def speed_fault(factors: tuple[float, ...]) -> str | None:
    """Return which rule factors break, if any."""
    for factor in factors:
        is_exact = abs(factor * STEPS - round(factor * STEPS)) < 1e-9
        if not LOWEST <= factor <= HIGHEST or factor == 1 or not is_exact:
            return (
                f"must be from {LOWEST:g} to {HIGHEST:g} with at most two decimals, and not 1, "
                f"which is the utterance itself, got {factor:g}"
            )
    if len(set(factors)) < len(factors):
        return f"must name each factor once, got {', '.join(f'{each:g}' for each in factors)}"
    return None
