"""Augmented copies of the training utterances, as the store of log-mels takes them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from trainable.audio.augmentation import Augmenter, augmentation_digest, copy_rng, make_augmenter
from trainable.audio.augmentation_config import AugmentationConfig
from trainable.audio.reading import Wave
from trainable.features.builder import CopyPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentedCopy:
    """Makes one copy of any utterance.

    Attributes:
        augmenter: What makes copies.
        number: Of the copy, from 1.
    """

    augmenter: Augmenter
    number: int

    def __call__(self, wave_S: Wave, path: Path) -> Wave:
        """The copy, of the same length.

        Raises:
            AudioError: A sound that is to be added cannot be read.
        """
        rng = copy_rng(self.augmenter.config.seed, self.number, path)
        return self.augmenter.augment(wave_S, rng)


def copy_plans(config: AugmentationConfig) -> tuple[CopyPlan, ...]:
    """One plan for each copy that is asked for.

    Raises:
        ConfigError: A folder of sounds cannot be used.
    """
    if config.copies == 0:
        return ()
    # With another number of copies those that are there must stay what they are.
    augmenter = make_augmenter(config.model_copy(update={"copies": 1}))
    digest = augmentation_digest(augmenter)
    settings = config.model_dump(mode="json", exclude={"copies"})
    return tuple(
        CopyPlan(
            number=number,
            change=AugmentedCopy(augmenter=augmenter, number=number),
            settings=settings | {"copy": number},
            digest=hashlib.sha256(f"{digest} {number}".encode()).hexdigest(),
        )
        for number in range(1, config.copies + 1)
    )
