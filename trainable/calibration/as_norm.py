"""Adaptive symmetric score normalisation (AS-Norm) with a cohort of training speakers.

s' = ((s - m_a) / d_a + (s - m_b) / d_b) / 2, where m and d are mean and standard deviation of the
n largest cosines between one side's embedding and the cohort: Matejka et al., "Analysis of score
normalization in multilingual speaker recognition" (2017), adaptive S-norm 1, in which each side
has its own n.

Shapes: U utterances, P trial pairs, H cohort speakers, D embedding, N largest of them.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from spaces.files.errors import ConfigError
from trainable.features.crop_bank import Index
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import Floats
from trainable.verification.scoring import unit_length

DEFAULT_TOP = 300
# Two have a standard deviation; so few are no distribution.
LEAST_SPEAKERS = 10
# Rows of cosines with the cohort at once: 1,000 by 6,000 speakers are 48 MB.
_ROWS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """Embeddings of speakers that are in no trial list, of unit length.

    Attributes:
        emb_HD: One a speaker.
        top: How many of the nearest are used.
    """

    emb_HD: Floats
    top: int

    @classmethod
    def of(cls, utterances: EmbeddedUtterances, speakers: list[str], top: int) -> "Cohort":
        """Return a cohort of the mean of each speaker's unit-length embeddings.

        Args:
            utterances: Utterances of the speakers.
            speakers: (U,) the speaker of each.
            top: How many of the nearest are used; more than there are is all of them.

        Raises:
            ConfigError: The speakers are too few.
        """
        names, number_U = np.unique(np.array(speakers), return_inverse=True)
        if len(names) < LEAST_SPEAKERS or top < LEAST_SPEAKERS:
            raise ConfigError(
                f"AS-Norm needs at least {LEAST_SPEAKERS} speakers of a cohort, got "
                f"{min(len(names), top)}"
            )
        total_HD = np.zeros((len(names), utterances.mean_UD.shape[1]))
        np.add.at(total_HD, number_U, unit_length(utterances.mean_UD))
        return cls(emb_HD=unit_length(total_HD), top=min(top, len(names)))

    def normalised(
        self, scores: Floats, utterances: EmbeddedUtterances, sides: tuple[Index, Index]
    ) -> Floats:
        """Return the normalised scores, (P,).

        Args:
            scores: (P,) cosines of the pairs.
            utterances: The utterances of the pairs.
            sides: (P,) position of the first and of the second utterance of each pair.
        """
        mean_U, sd_U = self._statistics(utterances.mean_UD)
        parts = [(scores - mean_U[side]) / sd_U[side] for side in sides]
        return np.asarray((parts[0] + parts[1]) / 2)

    def _statistics(self, emb_UD: Floats) -> tuple[Floats, Floats]:
        found = [
            self._of_nearest(emb_UD[first : first + _ROWS_AT_ONCE])
            for first in range(0, len(emb_UD), _ROWS_AT_ONCE)
        ]
        mean_U = np.concatenate([mean for mean, _ in found])
        sd_U = np.concatenate([sd for _, sd in found])
        # All cosines are equal, of a model that has learned nothing.
        return mean_U, np.maximum(sd_U, np.finfo(np.float32).tiny)

    def _of_nearest(self, emb_UD: Floats) -> tuple[Floats, Floats]:
        cosine_UH = unit_length(emb_UD) @ self.emb_HD.T
        nearest_UN = -np.partition(-cosine_UH, self.top - 1, axis=1)[:, : self.top]
        return nearest_UN.mean(axis=1), nearest_UN.std(axis=1)


class StoredCohort(BaseModel):
    """A cohort in the file of a calibration, whose thresholds are of scores that it normalised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    basis: str = Field(description="the list of its speakers, in words")
    top: int = Field(ge=LEAST_SPEAKERS, description="how many of the nearest are used")
    num_speakers: int = Field(ge=LEAST_SPEAKERS)
    emb_float32: str = Field(description="embeddings of unit length, one a speaker, in base64")

    @classmethod
    def of(cls, cohort: Cohort, basis: str) -> Self:
        """Return a cohort as it is stored, in float32."""
        content = cohort.emb_HD.astype("<f4").tobytes()
        return cls(
            basis=basis,
            top=cohort.top,
            num_speakers=len(cohort.emb_HD),
            emb_float32=base64.b64encode(content).decode(),
        )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        try:
            num_bytes = len(base64.b64decode(self.emb_float32, validate=True))
        except binascii.Error as error:
            raise ValueError(f"emb_float32 must be base64: {error}") from error
        if not num_bytes or num_bytes % (4 * self.num_speakers):
            raise ValueError(
                f"emb_float32 must have embeddings of {self.num_speakers} speakers in float32, "
                f"got {num_bytes} bytes"
            )
        if self.top > self.num_speakers:
            raise ValueError(f"top must be at most num_speakers, got {self.top}")
        return self

    @cached_property
    def cohort(self) -> Cohort:
        """The cohort; the same for the calibration that is fitted and for the one that is read."""
        flat = np.frombuffer(base64.b64decode(self.emb_float32), dtype="<f4")
        return Cohort(emb_HD=flat.reshape(self.num_speakers, -1).astype(float), top=self.top)

    @property
    def in_words(self) -> str:
        """What is done with a score."""
        return f"AS-Norm with the {self.top:,} nearest of {self.num_speakers:,} speakers"
