"""The fixed crops of every utterance that a teacher is asked about once.

Shapes: U utterances, C crops of each.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from spaces.files.settings import Settings

Index = NDArray[np.int64]
NO_CROP = -1
GOLDEN = 0x9E3779B97F4A7C15
MIX_1, MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def latest_starts(length_U: Index, crop_frames: int) -> Index:
    """Last possible start of a crop in utterances of these lengths, frames; 0 in shorter ones."""
    return np.maximum(length_U - crop_frames, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropBank:
    """Which crops: evenly spread over the utterance, each at a random place of its stretch.

    Attributes:
        num_crops: Crops of an utterance.
        crop_frames: Length of each, frames.
        seed: Seed of their places.
    """

    num_crops: int
    crop_frames: int
    seed: int

    def latest(self, length_U: Index) -> Index:
        """Last possible start in utterances of these lengths, frames; 0 in shorter ones."""
        return latest_starts(length_U, self.crop_frames)

    def counts(self, latest_U: Index) -> Index:
        """Crops of each utterance: fewer than `num_crops` where there are no more places.

        Args:
            latest_U: Last possible start of each, frames.
        """
        return np.minimum(self.num_crops, latest_U + 1)

    def starts(self, utterance_U: Index, latest_U: Index) -> Index:
        """First frame of each crop, (U, C), ascending and distinct; -1 where there is none.

        The start depends on the seed, the utterance's number, the crop's number and the latest
        start alone, so any process can tell it for any utterance.

        Args:
            utterance_U: Number of each utterance; copies of one have numbers of their own.
            latest_U: Last possible start of each, frames.
        """
        count_U1, num_places_U1 = self.counts(latest_U)[:, None], latest_U[:, None] + 1
        crop_C = np.arange(self.num_crops)
        part_UC = _uniform(self.seed, utterance_U[:, None] * self.num_crops + crop_C)
        first_UC = crop_C * num_places_U1 // count_U1
        size_UC = (crop_C + 1) * num_places_U1 // count_U1 - first_UC
        start_UC = first_UC + (part_UC * size_UC).astype(np.int64)
        return np.where(crop_C < count_U1, start_UC, NO_CROP)


class TargetsConfig(Settings):
    """How a network teaches: what the bank is, or that there is none."""

    mode: Literal["stored", "online"] = Field(
        "stored",
        description="stored asks the teacher once, about a fixed bank of crops; online runs it on "
        "every crop of every trial.",
    )
    num_crops: int = Field(
        8, ge=1, le=1000, description="Crops of every utterance, and of every copy, in the bank."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the places of these crops.")

    def bank(self, crop_frames: int) -> CropBank | None:
        """The crops of a length; None where the teacher is asked online."""
        if self.mode == "online":
            return None
        return CropBank(num_crops=self.num_crops, crop_frames=crop_frames, seed=self.seed)


def _uniform(seed: int, number: Index) -> NDArray[np.float64]:
    """A number in [0, 1) for each seed and number: SplitMix64's, which no release changes.

    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        start = _mixed(np.uint64(seed) + np.uint64(GOLDEN))
        mixed = _mixed(start + (number.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))
    return np.asarray((mixed >> np.uint64(11)) * 2.0**-53, np.float64)


def _mixed(z: np.uint64 | NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_2)
    return np.asarray(z ^ (z >> np.uint64(31)))
