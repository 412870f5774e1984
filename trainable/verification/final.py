"""The final metrics of a model: the EER with its interval as text, and `result/final.json`.

Shapes: P trial pairs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from spaces.files.atomic import write_text_atomically
from trainable.corpus.lists import TrialPair, speaker_of
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.evaluation import EvaluationResult
from trainable.verification.intervals import MIN_SPEAKERS, Interval
from trainable.verification.metrics import VerificationMetrics, equal_error_rate

FINAL_FILE = Path("result") / "final.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalEER:
    """The EER of a model on a list.

    Attributes:
        eer_pct: Interpolated, percent.
        interval: Its 95 % interval by bootstrap over the list's speakers; None if the list has
            too few speakers or errors for one, or its speakers are unknown.
        num_speakers: Speakers of the list; None if its folders are not its speakers.
    """

    eer_pct: float
    interval: Interval | None
    num_speakers: int | None

    @property
    def in_words(self) -> str:
        """A line with EER and interval, or with the reason why there is no interval."""
        eer = f"EER {self.eer_pct:.2f} %"
        if self.interval is not None:
            low, high = self.interval.low_pct, self.interval.high_pct
            return (
                f"{eer}, 95 % interval {low:.2f} to {high:.2f} % (bootstrap over "
                f"{self.num_speakers} speakers)"
            )
        if self.num_speakers is None:
            why = "the first folders of the list's paths are not its speakers"
            return f"{eer}, no interval: {why}"
        if self.num_speakers < MIN_SPEAKERS:
            return (
                f"{eer}, no interval: it needs {MIN_SPEAKERS} speakers, and the list has "
                f"{self.num_speakers}"
            )
        return f"{eer}, no interval: the list's errors are too few for one"


def final_eer(pairs: Sequence[TrialPair], scores: ArrayLike) -> FinalEER:
    """Return the EER of scores on a list, with its interval.

    Args:
        pairs: The trial list.
        scores: (P,) in the order of the pairs; a higher score means "same speaker".
    """
    is_target = [pair.is_target for pair in pairs]
    eer_pct = equal_error_rate(scores, is_target)
    first, second = (
        [speaker_of(path) for path in paths]
        for paths in ([p.path_a for p in pairs], [p.path_b for p in pairs])
    )
    # Wrong speakers would give a wrong interval, so folders that contradict a label give none.
    if any((a == b) != label for a, b, label in zip(first, second, is_target, strict=True)):
        return FinalEER(eer_pct=eer_pct, interval=None, num_speakers=None)
    speakers = SpeakerPairs.of(first, second, is_target)
    interval = None
    # With fewer there is no interval, whatever the replicates are.
    if speakers.num_speakers >= MIN_SPEAKERS:
        bootstrap = SpeakerBootstrap(speakers)
        interval = bootstrap.interval(eer_pct, bootstrap.eer_pct(scores))
    return FinalEER(eer_pct=eer_pct, interval=interval, num_speakers=speakers.num_speakers)


def write_final_result(folder: Path, epoch: int, result: EvaluationResult) -> None:
    """Write the metrics of an epoch to the run's folder."""
    text = json.dumps({"epoch": epoch} | asdict(result), indent=2)
    write_text_atomically(folder / FINAL_FILE, text + "\n")


def read_final_result(folder: Path, epoch: int) -> EvaluationResult | None:
    """Return the metrics of an epoch from the run's folder; None if missing or unreadable."""
    try:
        recorded = json.loads((folder / FINAL_FILE).read_text())
        # The best epoch may have changed since, when a run was continued.
        if recorded["epoch"] != epoch:
            return None
        return EvaluationResult(
            cosine=VerificationMetrics(**recorded["cosine"]),
            voxceleb_trainer=VerificationMetrics(**recorded["voxceleb_trainer"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # no error: the metrics can be computed again
