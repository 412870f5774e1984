"""A calibration: from the score of two utterances to a decision, as a file next to the model.

The file is JSON. It names the weights that it belongs to by their hash, and is refused for others.

Shapes: P trial pairs, Q scores and quality measures of a pair.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spaces.files.atomic import write_bytes_atomically
from spaces.files.errors import ConfigError
from trainable.calibration.as_norm import StoredCohort
from trainable.calibration.cllr import cllr, min_cllr
from trainable.calibration.logistic import LogisticFit, fit_llr
from trainable.calibration.operating_point import (
    DEFAULT_FALSE_ACCEPTS_PCT,
    OperatingPoint,
    operating_points,
)
from trainable.calibration.quality import Quality, with_quality
from trainable.features.crop_bank import Index
from trainable.verification.bootstrap import SpeakerBootstrap
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.intervals import MIN_SPEAKERS
from trainable.verification.metrics import Floats, equal_error_rate

CALIBRATION_FILE = "calibration.json"
_AGAIN = "make it again with `veer calibrate`"


class Calibration(BaseModel):
    """How scores of one model become log-likelihood ratios and decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    weights_sha256: str = Field(description="hash of the model's weights")
    basis: str = Field(description="the list that it was fitted on, in words")
    list_sha256: str | None = Field(description="hash of that list's pairs")
    num_crops: int = Field(ge=1, description="crops of an utterance")
    num_frames: int = Field(ge=1, description="length of a crop, frames of 10 ms")
    num_target_pairs: int = Field(ge=1)
    num_nontarget_pairs: int = Field(ge=1)
    num_speakers: int | None = Field(description="None if they are unknown")
    qualities: tuple[Quality, ...] = ()
    weights: tuple[float, ...] = Field(description="of the score, then of the quality measures")
    offset: float
    eer_pct: float
    cllr: float = Field(description="on the list that it was fitted on, bits")
    min_cllr: float
    points: tuple[OperatingPoint, ...] = Field(
        description="thresholds: of the score, with quality measures of the ratio"
    )
    cohort: StoredCohort | None = Field(
        None, description="normalises the score (AS-Norm); None where the score is the cosine"
    )

    @property
    def fit(self) -> LogisticFit:
        """The ratio as a function of score and measures."""
        return LogisticFit(weights=self.weights, offset=self.offset)

    def columns(self, utterances: EmbeddedUtterances, sides: tuple[Index, Index]) -> Floats:
        """Return the score and the measures of pairs, (P, Q); arguments as `score_columns`."""
        return score_columns(utterances, sides, self.cohort, self.qualities)

    def decides_by(self, columns_PQ: Floats) -> Floats:
        """Return what is compared with the thresholds: the score, or the ratio with measures."""
        return self.fit.llr(columns_PQ) if self.qualities else columns_PQ[:, 0]

    def point(self, wanted_pct: float | None) -> OperatingPoint:
        """Return the threshold for a wanted rate of false accepts; None for equal errors.

        Raises:
            ConfigError: The calibration has none; names those that it has.
        """
        for each in self.points:
            if each.wanted_pct == wanted_pct:
                return each
        has = ", ".join(f"{p.wanted_pct:g}" for p in self.points if p.wanted_pct is not None)
        least_pct = 100 / self.num_nontarget_pairs
        raise ConfigError(
            f"--false-accepts must be one of {has or 'none'} (or eer), got {wanted_pct:g}: give "
            f"it to `veer calibrate --false-accepts`; {self.num_nontarget_pairs:,} pairs of "
            f"different speakers measure no rate below {least_pct:.2g} %"
        )


class FitOn(BaseModel):
    """What a calibration records of its model and list; the fields are those of `Calibration`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights_sha256: str
    basis: str
    list_sha256: str | None
    num_crops: int
    num_frames: int
    qualities: tuple[Quality, ...] = ()
    cohort: StoredCohort | None = None


def score_columns(
    utterances: EmbeddedUtterances,
    sides: tuple[Index, Index],
    cohort: StoredCohort | None,
    qualities: Sequence[Quality],
) -> Floats:
    """Return the scores and the quality measures of pairs, (P, Q), as a calibration takes them.

    Args:
        utterances: The utterances of the pairs.
        sides: (P,) position of the first and of the second utterance of each pair.
        cohort: Normalises the cosines; None for the cosines themselves.
        qualities: The measures.
    """
    scores = utterances.cosines(*sides)
    if cohort is not None:
        scores = cohort.cohort.normalised(scores, utterances, sides)
    return with_quality(scores, utterances, sides, qualities)


def fit_calibration(
    columns_PQ: Floats,
    is_target: np.ndarray,
    bootstrap: SpeakerBootstrap | None,
    facts: FitOn,
    wanted_pct: tuple[float, ...] = DEFAULT_FALSE_ACCEPTS_PCT,
) -> Calibration:
    """Fit a calibration to the scores of a list.

    Args:
        columns_PQ: Scores, and the measures of `facts.qualities`.
        is_target: (P,) whether both utterances are of one speaker.
        bootstrap: The bootstrap over the list's speakers; None if they are unknown.
        facts: The model and the list.
        wanted_pct: Rates of false accepts to find thresholds for, percent.

    Raises:
        TrainingError: The list has no errors, so that nothing can be fitted.
    """
    fit = fit_llr(columns_PQ, is_target)
    llr = fit.llr(columns_PQ)
    decides = llr if facts.qualities else columns_PQ[:, 0]
    # With fewer speakers there are no intervals.
    if bootstrap is not None and bootstrap.pairs.num_speakers < MIN_SPEAKERS:
        bootstrap = None
    return Calibration(
        **dict(facts),
        num_target_pairs=int(is_target.sum()),
        num_nontarget_pairs=int((~is_target).sum()),
        num_speakers=None if bootstrap is None else bootstrap.pairs.num_speakers,
        weights=fit.weights,
        offset=fit.offset,
        eer_pct=equal_error_rate(decides, is_target),
        cllr=cllr(llr, is_target),
        min_cllr=min_cllr(llr, is_target),
        points=operating_points(decides, is_target, bootstrap, wanted_pct),
    )


def write_calibration(file: Path, calibration: Calibration) -> None:
    """Write a calibration; an earlier file is replaced.

    Raises:
        DiskFullError: There is no room.
        OSError: The folder cannot be written.
    """
    write_bytes_atomically(file, calibration_bytes(calibration))


def calibration_bytes(calibration: Calibration) -> bytes:
    """Return the content of the file of a calibration."""
    return (calibration.model_dump_json(indent=2) + "\n").encode()


def read_calibration(file: Path, weights_sha256: str) -> Calibration:
    """Read the calibration of a model.

    Args:
        file: The file.
        weights_sha256: Hash of the model's weights.

    Raises:
        ConfigError: The file is missing, no calibration, or of another model.
    """
    try:
        found = Calibration.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}; {_AGAIN}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{file}: no calibration: {where}: {first['msg']}; {_AGAIN}") from error
    if found.weights_sha256 != weights_sha256:
        raise ConfigError(
            f"{file}: this calibration is of a model with other weights (SHA-256 "
            f"{found.weights_sha256[:12]}, this model {weights_sha256[:12]}): thresholds of one "
            f"model mean nothing for another; {_AGAIN}"
        )
    return found
