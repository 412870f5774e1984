"""A bank of crops: the fixed crops of every utterance whose targets a teacher computes once.

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
# The constants of SplitMix64: the increment, 2^64 over the golden ratio, and the two factors of
# its mixing function.
_GOLDEN_GAMMA = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def latest_starts(length_U: Index, crop_frames: int) -> Index:
    """Return the last possible start of a crop in each utterance, frames; 0 in shorter ones."""
    return np.maximum(length_U - crop_frames, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CropBank:
    """The positions of crops: one at a random start in each of several equal parts.

    Attributes:
        num_crops: Number of crops of an utterance.
        crop_frames: Length of a crop, frames.
        seed: Seed of the starts.
        device: Kind of device on which the teacher embeds them, which rounds in its own way: `cpu`
            or `cuda`.
    """

    num_crops: int
    crop_frames: int
    seed: int
    device: str = "cpu"

    def latest(self, length_U: Index) -> Index:
        """Return the last possible start in each utterance, frames; 0 in shorter ones."""
        return latest_starts(length_U, self.crop_frames)

    def counts(self, latest_U: Index) -> Index:
        """Return the number of crops of each utterance: `num_crops`, or all starts if fewer.

        Args:
            latest_U: Last possible start in each utterance, frames.
        """
        return np.minimum(self.num_crops, latest_U + 1)

    def starts(self, utterance_U: Index, latest_U: Index) -> Index:
        """Return the first frame of each crop, (U, C), ascending and distinct; -1 for no crop.

        A start depends only on the seed, the number of the utterance, the number of the crop and
        the last possible start, so that every process computes the same one.

        Args:
            utterance_U: Number of each utterance; each copy of an utterance has its own number.
            latest_U: Last possible start in each utterance, frames.
        """
        count_U1, num_starts_U1 = self.counts(latest_U)[:, None], latest_U[:, None] + 1
        crop_C = np.arange(self.num_crops)
        part_UC = _uniform(self.seed, utterance_U[:, None] * self.num_crops + crop_C)
        # The possible starts are cut into equal parts, one for each crop: crops spread evenly, and
        # never coincide.
        first_UC = crop_C * num_starts_U1 // count_U1
        size_UC = (crop_C + 1) * num_starts_U1 // count_U1 - first_UC
        start_UC = first_UC + (part_UC * size_UC).astype(np.int64)
        return np.where(crop_C < count_U1, start_UC, NO_CROP)


class TargetsConfig(Settings):
    """How a network teacher gives its targets: for a stored bank of crops, or online."""

    mode: Literal["stored", "online"] = Field(
        "stored",
        description="stored asks the teacher once, about a fixed bank of crops; online runs it on "
        "every crop of every trial.",
    )
    num_crops: int = Field(
        8, ge=1, le=1000, description="Crops of every utterance, and of every copy, in the bank."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Seed of the starts of these crops.")

    def bank(self, crop_frames: int, device: str) -> CropBank | None:
        """Return the bank of crops of this length, or None if the teacher runs online.

        Args:
            crop_frames: Length of a crop, frames.
            device: Kind of device on which the teacher embeds the crops.
        """
        if self.mode == "online":
            return None
        return CropBank(
            num_crops=self.num_crops, crop_frames=crop_frames, seed=self.seed, device=device
        )


def _uniform(seed: int, number: Index) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each number, the same in all versions of all libraries.

    It is output `number`, from 0, of SplitMix64 with the mixed seed as its state. Source: Steele,
    Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):  # SplitMix64 counts modulo 2^64
        start = _mixed(np.uint64(seed) + np.uint64(_GOLDEN_GAMMA))
        mixed = _mixed(
            start + (number.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN_GAMMA)
        )
    # The upper 53 bits: as many as a float64 holds.
    return np.asarray((mixed >> np.uint64(11)) * 2.0**-53, np.float64)


def _mixed(z: np.uint64 | NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_MIX_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_MIX_2)
    return np.asarray(z ^ (z >> np.uint64(31)))
