"""The final metrics of a model: the EER with its interval as text, and `result/final.json`.

Shapes: P trial pairs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from spaces.files.atomic import write_text_atomically
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import TrialPair
from trainable.lists.speaker_rule import SpeakerRule
from trainable.lists.speakers import ListSpeakers, speakers_in_list
from trainable.verification.bootstrap import SpeakerBootstrap, SpeakerPairs
from trainable.verification.evaluation import EvaluationResult
from trainable.verification.intervals import MIN_SPEAKERS, Interval
from trainable.verification.inverted import why_inverted
from trainable.verification.metrics import VerificationMetrics, equal_error_rate

FINAL_FILE = Path("result") / "final.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalEER:
    """The EER of a model on a list.

    Attributes:
        eer_pct: Interpolated, percent.
        interval: Its 95 % interval by bootstrap over the list's speakers; None if the list has
            too few speakers or errors for one, or its speakers are unknown.
        speakers: Speakers of the list.
        warning: Why it is worse than chance, None if it is not significantly.
    """

    eer_pct: float
    interval: Interval | None
    speakers: ListSpeakers
    warning: str | None = None

    @property
    def num_speakers(self) -> int | None:
        """Speakers of the list; None if they are unknown or contradict a label."""
        is_known = self.speakers.rule is not None and self.speakers.agree
        return self.speakers.num_speakers if is_known else None

    @property
    def in_words(self) -> str:
        """A line with EER and interval, or with the reason why there is no interval."""
        eer = f"EER {self.eer_pct:.2f} %"
        if self.interval is not None:
            low, high = self.interval.low_pct, self.interval.high_pct
            return (
                f"{eer}, 95 % interval {low:.2f} to {high:.2f} % (bootstrap over "
                f"{self.speakers.num_speakers} speakers)"
            )
        if self.num_speakers is None:
            why = "no folder of the list's paths is the speaker"
            if not self.speakers.agree:
                num_wrong = int(self.speakers.is_contradicted.sum())
                why = f"{num_wrong:,} labels contradict the speakers {self.speakers.in_words}"
            return f"{eer}, no interval: {why}; give the speakers (speaker: in corpus.yaml)"
        if self.num_speakers < MIN_SPEAKERS:
            return (
                f"{eer}, no interval: it needs {MIN_SPEAKERS} speakers, and the list has "
                f"{self.num_speakers}"
            )
        return f"{eer}, no interval: the list's errors are too few for one"


def final_eer(
    pairs: Sequence[TrialPair], scores: ArrayLike, rule: SpeakerRule | None = None
) -> FinalEER:
    """Return the EER of scores on a list, with its interval.

    Args:
        pairs: The trial list.
        scores: (P,) in the order of the pairs; a higher score means "same speaker".
        rule: How speakers follow from the paths of the list, if given.

    Raises:
        CorpusError: The rule does not fit a path.
    """
    index = PairIndex.from_pairs(pairs)
    eer_pct = equal_error_rate(scores, index.is_target)
    speakers = speakers_in_list(index, rule)
    found = FinalEER(eer_pct=eer_pct, interval=None, speakers=speakers)
    interval = None
    # Wrong speakers would give a wrong interval, and with few there is none, whatever they are.
    by_speaker = known_speaker_pairs(index, speakers)
    if by_speaker is not None and by_speaker.num_speakers >= MIN_SPEAKERS:
        bootstrap = SpeakerBootstrap(by_speaker)
        interval = bootstrap.interval(eer_pct, bootstrap.eer_pct(scores))
    num_targets = int(index.is_target.sum())
    why = why_inverted(eer_pct, interval, num_targets, len(index.is_target) - num_targets)
    return replace(found, interval=interval, warning=why)


def known_speaker_pairs(index: PairIndex, speakers: ListSpeakers) -> SpeakerPairs | None:
    """Return the pairs of a list with their speakers, for intervals.

    Returns:
        None if the speakers are unknown, or contradict a label.
    """
    if speakers.rule is None or not speakers.agree:
        return None
    names = np.array(speakers.names)
    return SpeakerPairs.of(names[index.a].tolist(), names[index.b].tolist(), index.is_target)


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
