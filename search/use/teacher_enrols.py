"""The VEER where the teacher enrols and a student verifies, for the benchmark of a search."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from results.analysis.run_view import RunView
from results.export.measured import TEACHER_NAME
from search.review.model_source import corpus_of_search
from search.use.more_measures import ENROLLED, EmbeddedList, WaysToScore
from search.use.system import EmbeddingSystem, open_system
from spaces.files.errors import ConfigError, VeerError
from trainable.checkpoints.loading import LoadedModel
from trainable.corpus.corpus import CorpusConfig, TrialPair, read_trial_list
from trainable.embedding.embedder import CropPlan, NetworkEmbedder, embed_utterances
from trainable.lists.pair_index import PairIndex
from trainable.loss.directed import DIRECTED
from trainable.verification.embedded import EmbeddedUtterances
from trainable.verification.evaluation import USUAL_FRAMES
from trainable.verification.final import FinalEER, final_eer

Progress = Callable[[int, int], None]
Columns = dict[str, float | None]
_CPU = torch.device("cpu")


def enrolment_columns(
    view: RunView,
    models: Mapping[str, LoadedModel],
    print_line: Callable[[str], None],
    progress: Progress | None = None,
) -> dict[str, Columns]:
    """Return columns of `BenchmarkRow` by student: the VEER against the teacher's enrolments.

    The first utterance of each validation pair is embedded by the teacher, the second by the
    student. Measured of students in the teacher's space: trained by a term that gives their
    embeddings the teacher's direction, and of its size. Nothing is embedded where there is none.

    Args:
        view: The run.
        models: Teacher and students by name.
        print_line: Called with the reason where a value is missing.
        progress: Called with (utterances embedded, utterances in total).
    """
    students = {name: each for name, each in models.items() if _is_directed(name, each)}
    if not students or view.teacher is None:
        return {}
    found: dict[str, Columns] = {}
    try:
        corpus = corpus_of_search(view)
        if corpus is None:
            raise ConfigError("the run has no record of its corpus")
        teacher = _Teacher(Path(view.teacher.path), corpus, len(students) + 1, progress)
        for name, student in students.items():
            found[name] = teacher.enrols_for(student)
    except VeerError as error:
        print_line(f"no VEER against the teacher's enrolments: {error}")
    return found


class _Teacher:
    """A teacher with its embeddings of a validation list, by crops."""

    def __init__(
        self, path: Path, corpus: CorpusConfig, num_models: int, progress: Progress | None
    ) -> None:
        self._path, self._corpus = path, corpus
        self._pairs: list[TrialPair] = list(
            read_trial_list(corpus.val_list, corpus.val_dir, corpus.list_rules)
        )
        self._index = PairIndex.from_pairs(self._pairs)
        self._num_models, self._progress, self._done = num_models, progress, 0
        self._by_crops: dict[int, EmbeddedUtterances] = {}

    def enrols_for(self, student: LoadedModel) -> Columns:
        """Return the columns of a student; none where the embeddings have another size."""
        num_crops = student.config.training.eval_crops
        plan = CropPlan(num_crops=num_crops, num_frames=USUAL_FRAMES)
        if num_crops not in self._by_crops:
            system: EmbeddingSystem = open_system(self._path, _CPU, plan)
            self._by_crops[num_crops] = system.utterances(
                self._corpus.val_dir, self._index.paths, self._counted()
            )
        theirs = self._by_crops[num_crops]
        if theirs.mean_UD.shape[1] != student.model.embedding_dim:
            return {}
        own = embed_utterances(
            NetworkEmbedder(student.model, _CPU),
            self._corpus.val_dir,
            self._index.paths,
            plan,
            self._counted(),
        )
        embedded = EmbeddedList(index=self._index, own=own, teacher=theirs)
        scores = WaysToScore().scores(embedded)[ENROLLED]
        return _columns(final_eer(self._pairs, scores, self._corpus.list_rules.speaker))

    def _counted(self) -> Progress:
        before, self._done = self._done, self._done + 1
        return partial(self._count, before)

    def _count(self, before: int, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(before * total + done, max(self._num_models, self._done) * total)


def _is_directed(name: str, model: LoadedModel) -> bool:
    return name != TEACHER_NAME and model.config.loss.distillation in DIRECTED


def _columns(eer: FinalEER) -> Columns:
    ends = eer.interval
    return {
        "enrolled_veer_pct": eer.eer_pct,
        "enrolled_veer_low_pct": None if ends is None else ends.low_pct,
        "enrolled_veer_high_pct": None if ends is None else ends.high_pct,
    }
