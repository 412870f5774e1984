"""What a search's trials learn from, made ready before anything is written to the run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results.journal.journal import Record
from search.config.search_config import SearchConfig
from search.estimates.feasibility import LimitChecker
from search.loop.setup import check_batches
from search.provenance.data_record import (
    corpus_facts,
    require_same_lists,
    require_same_stores,
    require_same_teacher,
    validation_list_warnings,
)
from search.run.progress import SearchView
from search.run.teacher_setup import ask_teacher, check_teacher, prepared_teacher, teacher_file
from spaces.space import Space
from trainable.cost.step_memory import ComputeSettings
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.store.tasks import Builder


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """What is to be searched, and where.

    Attributes:
        settings: Resolved.
        folder: The run folder.
        space: What is searched.
        records: Of an earlier run in the folder, empty in a new one.
        view: Where the person looks.
        retry_failed: Whether the trials that failed are run again.
    """

    settings: SearchConfig
    folder: Path
    space: Space
    records: Sequence[Record]
    view: SearchView
    retry_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """What trials learn from.

    Attributes:
        data: The corpus.
        teacher: Model file or file of embeddings, None where no trial needs one.
        facts: Lists and stores, as the journal's `corpus` has them.
    """

    data: TrainingData
    teacher: Path | None
    facts: Record

    @property
    def num_speakers(self) -> int:
        """Training speakers."""
        return len(self.data.speakers)


def gather(job: SearchJob, build: Builder) -> Materials:
    """Build and checks corpus and teacher; a fault leaves no run behind.

    Args:
        job: The search.
        build: What builds stores.

    Raises:
        CorpusError: The corpus has faults.
        ConfigError: There is no teacher where one is needed, or it does not fit the space.
        RunError: An earlier run had another teacher, other lists or other audio.
        DiskFullError: There is no room for the cache.
    """
    settings, space, view = job.settings, job.space, job.view
    teacher = teacher_file(settings, space)
    require_same_lists(settings.corpus, job.records)  # before log-mels of others are computed
    progress = view.counter("log-mels", "files")
    data = load_training_data(
        settings.corpus, cache_dir=cache_dir(), progress=progress, build=build
    )
    facts = corpus_facts(settings.corpus, data)
    if warnings := validation_list_warnings(settings.corpus, data, cache_dir()):
        facts["warnings"] = warnings
        for warning in warnings:
            view.say(f"warning: {warning}")
    require_same_stores(facts["stores"], job.records)
    check_batches(space, len(data.train_row))
    if teacher is not None:
        progress = view.counter("teacher", "utterances")
        teacher = prepared_teacher(teacher, data, settings, space, job.folder, progress)
        check_teacher(teacher, data, space)
        progress = view.counter("teacher targets", "utterances")
        require_same_teacher(teacher, job.records)  # before it is asked, which may take hours
        targets = ask_teacher(teacher, data, settings, space, progress=progress, build=build)
        require_same_stores(targets, job.records)
        facts["stores"] |= targets
    return Materials(data=data, teacher=teacher, facts=facts)


def limit_checker(job: SearchJob, materials: Materials) -> LimitChecker:
    """Return which limits of the space a trial's config breaks.

    Raises:
        ConfigError: A limit needs a teacher with a network, and there is none.
    """
    return LimitChecker(
        job.space.limits,
        teacher=materials.teacher,
        cache_dir=cache_dir(),
        num_speakers=materials.num_speakers,
        computing=ComputeSettings(engine=job.settings.engine, targets=job.settings.targets),
    )
