"""The verdict on two voices: score, threshold, and what both say about errors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.frontend import SAMPLE_RATE_HZ
from search.use.model_in_use import ModelInUse
from spaces.files.errors import ConfigError
from trainable.calibration.calibration import Calibration
from trainable.calibration.operating_point import FEW_ERRORS, OperatingPoint, Range
from trainable.embedding.embedder import CropPlan, mean_embeddings, usable_wave
from trainable.embedding.enrolment import EnrolledSpeaker
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.metrics import Floats

# Crops of less speech repeat it; thresholds are measured on longer utterances.
SHORT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedVoice:
    """One side of a comparison.

    Attributes:
        name: As the user named it.
        mean_D: Its embedding.
        duration_s: Seconds of audio.
        num_files: Files that it is of.
    """

    name: str
    mean_D: Floats
    duration_s: float
    num_files: int = 1

    @classmethod
    def of_file(cls, model: ModelInUse, file: Path, plan: CropPlan) -> "ComparedVoice":
        """Embed a file.

        Raises:
            CorpusError: It cannot be used as audio.
        """
        wave_S = usable_wave(file)
        mean_D = mean_embeddings(model.embedder, [wave_S], plan)[0]
        return cls(name=str(file), mean_D=mean_D, duration_s=len(wave_S) / SAMPLE_RATE_HZ)

    @classmethod
    def of_speaker(cls, name: str, speaker: EnrolledSpeaker) -> "ComparedVoice":
        """Return the voice of an enrolled speaker."""
        return cls(
            name=name,
            mean_D=np.array(speaker.embedding),
            duration_s=speaker.duration_s,
            num_files=speaker.num_files,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict.

    Attributes:
        cosine: Cosine of the two embeddings.
        score: The cosine, or the score that it is normalised to.
        decides_by: What is compared with the threshold: the score, or the ratio where quality
            measures enter the calibration.
        llr: Log-likelihood ratio.
        point: The threshold and its error rates.
    """

    cosine: float
    score: float
    decides_by: float
    llr: float
    point: OperatingPoint

    @property
    def is_same(self) -> bool:
        """Whether the score is above the threshold."""
        return self.decides_by > self.point.threshold


def pair_score(voices: tuple[ComparedVoice, ComparedVoice]) -> float:
    """Return the cosine of two voices."""
    return float(_both(voices).cosines(np.array([0]), np.array([1]))[0])


def decide(
    voices: tuple[ComparedVoice, ComparedVoice], calibration: Calibration, wanted_pct: float | None
) -> Decision:
    """Decide whether two voices are of one speaker.

    Args:
        voices: The two.
        calibration: The model's calibration.
        wanted_pct: Wanted rate of false accepts; None for the threshold of equal errors.

    Raises:
        ConfigError: The calibration has no such threshold.
    """
    point = calibration.point(wanted_pct)
    columns_PQ = calibration.columns(_both(voices), (np.array([0]), np.array([1])))
    return Decision(
        cosine=pair_score(voices),
        score=float(columns_PQ[0, 0]),
        decides_by=float(calibration.decides_by(columns_PQ)[0]),
        llr=float(calibration.fit.llr(columns_PQ)[0]),
        point=point,
    )


def decision_lines(decision: Decision, calibration: Calibration, origin: str) -> list[str]:
    """Return the verdict in words, a line each, the score first."""
    point, what = decision.point, "ratio" if calibration.qualities else "score"
    by = "cosine of mean embeddings"
    if calibration.cohort is not None:
        by = f"{calibration.cohort.in_words}, of the cosine {decision.cosine:.4f}"
    is_above = "above" if decision.is_same else "not above"
    odds_pct = 100 / (1 + np.exp(-decision.llr))
    moved = point.threshold_range
    threshold = f"{point.threshold:.4f}"
    if moved is not None:
        threshold += f" (95 % interval {moved.low:.4f} to {moved.high:.4f})"
    return [
        f"score {decision.score:.4f} ({by})",
        f"{'same speaker' if decision.is_same else 'different speakers'}: the {what} "
        f"{decision.decides_by:.4f} is {is_above} the threshold {threshold}",
        f"at this threshold {_rate(point.false_accept_pct, point.false_accept_range)} of pairs of "
        f"different speakers are accepted{_few(point)}, and "
        f"{_rate(point.miss_pct, point.miss_range)} of pairs of one speaker are rejected",
        f"log-likelihood ratio {decision.llr:+.2f}: if half of all pairs were of one speaker, "
        f"this would be one with probability {odds_pct:.3g} %",
        f"threshold from {calibration.basis}: {calibration.num_target_pairs:,} pairs of one "
        f"speaker, {calibration.num_nontarget_pairs:,} of two"
        f"{_speakers(calibration)} ({origin})",
    ]


def require_as_norm(
    calibration: Calibration | None, top: int, origin: str, model: Path
) -> None:
    """Refuse to normalise scores whose threshold is of other scores.

    Args:
        calibration: The model's calibration; None without one.
        top: How many of the nearest speakers of a cohort are wanted.
        origin: Where the calibration is from, or why there is none.
        model: The path of the model.

    Raises:
        ConfigError: It is of cosines, or of another number of the nearest.
    """
    again = f"make one: veer calibrate {model} --pairs LIST --root FOLDER --as-norm {top}"
    cohort = None if calibration is None else calibration.cohort
    if calibration is None:
        raise ConfigError(f"--as-norm {top} needs a threshold of such scores: {origin}; {again}")
    if cohort is None:
        raise ConfigError(
            f"--as-norm {top} needs a threshold of normalised scores, and that of "
            f"{calibration.basis} ({origin}) is of cosines: omit --as-norm, or {again}"
        )
    if cohort.top != min(top, cohort.num_speakers):
        raise ConfigError(
            f"--as-norm {top} is not what the threshold is of ({origin}): {cohort.in_words}; omit "
            f"--as-norm, or {again}"
        )


def remarks(voices: tuple[ComparedVoice, ComparedVoice]) -> list[str]:
    """Return what the error rates do not cover, a line each."""
    found = [
        f"remark: {voice.name} has only {voice.duration_s:.2f} s of audio: the error rates are "
        "those of the calibration's list, and short speech has more errors"
        for voice in voices
        if voice.duration_s < SHORT_S
    ]
    found += [
        f"remark: {voice.name} is enrolled with {voice.num_files} files, and the threshold was "
        "measured with one: misses are fewer than stated"
        for voice in voices
        if voice.num_files > 1
    ]
    return found


def _both(voices: tuple[ComparedVoice, ComparedVoice]) -> EmbeddedUtterances:
    return EmbeddedUtterances(
        paths=tuple(voice.name for voice in voices),
        mean_UD=np.stack([voice.mean_D for voice in voices]),
        duration_s_U=np.array([voice.duration_s for voice in voices]),
    )


def _rate(rate_pct: float, found: Range | None) -> str:
    if found is None:
        return f"{rate_pct:.2f} % (no interval)"
    return f"{rate_pct:.2f} % (95 % interval {found.low:.2f} to {found.high:.2f} %)"


def _few(point: OperatingPoint) -> str:
    if point.num_false_accepts >= FEW_ERRORS:
        return ""
    return f", {point.num_false_accepts} of the list (few: below {FEW_ERRORS} a rate is uncertain)"


def _speakers(calibration: Calibration) -> str:
    number = calibration.num_speakers
    return "" if number is None else f", {number} speakers"
