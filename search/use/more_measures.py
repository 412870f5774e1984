"""Scores of a list by one model in several ways: as they are, normalised, enrolled by a teacher.

Shapes: P trial pairs, U utterances.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from search.review.trial_list import TrialList
from search.use.system import EmbeddingSystem, Progress
from spaces.files.errors import ConfigError, CorpusError
from trainable.calibration.as_norm import Cohort
from trainable.calibration.logistic import fit_llr
from trainable.calibration.measures import SystemScores
from trainable.calibration.quality import Quality, with_quality
from trainable.lists.pair_index import PairIndex
from trainable.lists.parsing import Utterance, parse_train_list
from trainable.lists.speakers import speakers_in_list
from trainable.verification.bootstrap import SpeakerPairs
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.final import known_speaker_pairs
from trainable.verification.intervals import MIN_SPEAKERS
from trainable.verification.metrics import Floats
from trainable.verification.scoring import unit_length

COSINE, AS_NORM = "cosine", "AS-Norm"
ENROLLED = "enrolled by the teacher"
DEFAULT_COHORT_UTTERANCES = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedList:
    """A trial list with the embeddings of its utterances.

    Attributes:
        index: The pairs.
        own: Embeddings by the model.
        teacher: Embeddings by the teacher; None without one.
    """

    index: PairIndex
    own: EmbeddedUtterances
    teacher: EmbeddedUtterances | None = None

    @property
    def sides(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) positions of both utterances of each pair."""
        return self.index.a, self.index.b


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WaysToScore:
    """In which ways a list is scored, and with which quality measures.

    Attributes:
        cohort: The cohort of AS-Norm; None to leave it out.
        qualities: Measures beside the cosine in a calibration, which is one more way.
    """

    cohort: Cohort | None = None
    qualities: tuple[Quality, ...] = field(default=())

    def scores(self, embedded: EmbeddedList) -> dict[str, Floats]:
        """Return the scores of the pairs, (P,), by the name of the way."""
        cosine = embedded.own.cosines(*embedded.sides)
        found = {COSINE: cosine}
        if self.cohort is not None:
            name = f"{COSINE}, {AS_NORM} (top {self.cohort.top} of {len(self.cohort.emb_HD)})"
            found[name] = self.cohort.normalised(cosine, embedded.own, embedded.sides)
        if embedded.teacher is not None:
            found[ENROLLED] = _across(embedded.teacher, embedded.own, embedded)
            found["the teacher alone"] = embedded.teacher.cosines(*embedded.sides)
        return found

    def systems(
        self, embedded: EmbeddedList, calibrate_on: EmbeddedList | None
    ) -> list[SystemScores]:
        """Return the scores of a list, with ratios by calibrations on another one.

        Raises:
            TrainingError: The other list has no errors in one of the ways.
        """
        others = {} if calibrate_on is None else self.scores(calibrate_on)
        found = []
        for name, scores in self.scores(embedded).items():
            llr = None
            if calibrate_on is not None:
                fit = fit_llr(others[name][:, None], calibrate_on.index.is_target)
                llr = fit.llr(scores[:, None])
            found.append(SystemScores(name=name, scores=scores, llr=llr))
            if name == COSINE and calibrate_on is not None and self.qualities:
                found.append(self._with_qualities(embedded, calibrate_on))
        return found

    def _with_qualities(self, embedded: EmbeddedList, calibrate_on: EmbeddedList) -> SystemScores:
        """Return the cosine with the measures in its calibration, beside the one without."""
        own_PQ, other_PQ = (
            with_quality(each.own.cosines(*each.sides), each.own, each.sides, self.qualities)
            for each in (embedded, calibrate_on)
        )
        llr = fit_llr(other_PQ, calibrate_on.index.is_target).llr(own_PQ)
        name = f"{COSINE} with {' and '.join(self.qualities)}"
        return SystemScores(name=name, scores=own_PQ[:, 0], llr=llr)


def embed_trials(
    trials: TrialList,
    system: EmbeddingSystem,
    teacher: EmbeddingSystem | None = None,
    progress: Progress | None = None,
) -> EmbeddedList:
    """Embed the utterances of a list, by the teacher too where there is one.

    Raises:
        ConfigError: The embeddings of both have other sizes.
    """
    index = PairIndex.from_pairs(trials.pairs)
    own = system.utterances(trials.root, index.paths, progress)
    return with_teacher(trials, index, own, teacher, progress)


def with_teacher(
    trials: TrialList,
    index: PairIndex,
    own: EmbeddedUtterances,
    teacher: EmbeddingSystem | None,
    progress: Progress | None = None,
) -> EmbeddedList:
    """Add the teacher's embeddings to those of a list; arguments and errors as `embed_trials`."""
    theirs = None if teacher is None else teacher.utterances(trials.root, index.paths, progress)
    if teacher is not None and theirs is not None:
        sizes = own.mean_UD.shape[1], theirs.mean_UD.shape[1]
        if sizes[0] != sizes[1]:
            raise ConfigError(
                f"a teacher enrols for a student only where their embeddings are of one size, got "
                f"{sizes[0]} of the student and {sizes[1]} of {teacher.name}: they can be fused "
                "(veer fuse)"
            )
    return EmbeddedList(index=index, own=own, teacher=theirs)


def list_speakers(trials: TrialList, index: PairIndex) -> SpeakerPairs | None:
    """Return the pairs of a list with their speakers; None where they are unknown or too few."""
    pairs = known_speaker_pairs(index, speakers_in_list(index, trials.rules.speaker))
    return None if pairs is None or pairs.num_speakers < MIN_SPEAKERS else pairs


def embed_cohort(
    system: EmbeddingSystem,
    listed: tuple[Path, Path],
    top: int,
    num_utterances: int = DEFAULT_COHORT_UTTERANCES,
    progress: Progress | None = None,
) -> Cohort:
    """Embed the speakers of a train list, for AS-Norm.

    Args:
        system: What embeds.
        listed: The list, and the folder that its paths are relative to.
        top: How many of the nearest speakers are used.
        num_utterances: At most so many of each speaker, evenly spaced in the list.
        progress: Called with (utterances done, utterances in total).

    Raises:
        CorpusError: The list has faults, or a file cannot be used.
        ConfigError: The speakers are too few.
    """
    faults: list[str] = []
    utterances = parse_train_list(*listed, faults, check_files=system.model is not None)
    if faults:
        raise CorpusError(faults)
    chosen = _spread(utterances, num_utterances)
    embedded = system.utterances(listed[1], [each.path for each in chosen], progress)
    return Cohort.of(embedded, [each.speaker for each in chosen], top)


def _spread(utterances: Sequence[Utterance], most: int) -> list[Utterance]:
    """Return at most so many utterances of each speaker, evenly spaced; each file once."""
    by_speaker: dict[str, dict[str, Utterance]] = {}
    for each in utterances:
        by_speaker.setdefault(each.speaker, {})[each.path] = each
    chosen = []
    for own in by_speaker.values():
        listed = list(own.values())
        places = np.unique(np.linspace(0, len(listed) - 1, min(most, len(listed))).round())
        chosen += [listed[int(place)] for place in places]
    return chosen


def _across(
    first: EmbeddedUtterances, second: EmbeddedUtterances, embedded: EmbeddedList
) -> Floats:
    """Return cosines whose first side is of one model and whose second is of another."""
    a, b = embedded.sides
    products = unit_length(first.mean_UD)[a] * unit_length(second.mean_UD)[b]
    return np.asarray(products.sum(axis=1))
