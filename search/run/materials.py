"""The corpus and the teacher of a search, ready before anything is written to the run folder."""

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
from search.run.teacher_setup import (
    check_teacher,
    prepare_search_teacher,
    prepare_targets,
    teacher_file,
)
from spaces.space import Space
from trainable.cost.step_memory import ComputeSettings
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.store.tasks import Builder


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """A search to run, and its run folder.

    Attributes:
        settings: The settings, resolved.
        folder: The run folder.
        space: The space to search.
        records: Records of an earlier run in the folder; empty for a new run.
        view: The output for the user.
        retry_failed: Whether failed trials run again.
    """

    settings: SearchConfig
    folder: Path
    space: Space
    records: Sequence[Record]
    view: SearchView
    retry_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """The inputs of all trials.

    Attributes:
        data: The corpus.
        teacher: Model file or file of embeddings; None if no trial needs one.
        facts: Lists and stores, as in the journal's `corpus` record.
    """

    data: TrainingData
    teacher: Path | None
    facts: Record

    @property
    def num_speakers(self) -> int:
        """Number of training speakers."""
        return len(self.data.speakers)


def prepare_materials(job: SearchJob, build: Builder) -> Materials:
    """Prepare and check corpus and teacher, before a run is recorded.

    Args:
        job: The search.
        build: Builds the stores.

    Raises:
        CorpusError: The corpus has faults.
        ConfigError: A teacher is needed and missing, or it does not fit the space.
        RunError: An earlier run had another teacher, other lists or other audio.
        DiskFullError: There is no room for the cache.
    """
    settings, space, view = job.settings, job.space, job.view
    teacher = teacher_file(settings, space)
    require_same_lists(settings.corpus, job.records)  # before other log-mels are computed
    progress = view.counter("log-mels", "files")
    data = load_training_data(
        settings.corpus, cache_dir=cache_dir(), progress=progress, build=build
    )
    facts = corpus_facts(settings.corpus, data)
    # Also recorded: lines on the screen are lost when the terminal is closed.
    if warnings := validation_list_warnings(settings.corpus, data, cache_dir()):
        facts["warnings"] = warnings
        for warning in warnings:
            view.print_line(f"warning: {warning}")
    require_same_stores(facts["stores"], job.records)
    # Before the teacher's targets, which may take hours to compute.
    check_batches(space, len(data.train_row))
    if teacher is not None:
        progress = view.counter("teacher", "utterances")
        teacher = prepare_search_teacher(teacher, data, settings, space, job.folder, progress)
        check_teacher(teacher, data, space)
        progress = view.counter("teacher targets", "utterances")
        require_same_teacher(
            teacher, job.records
        )  # before its targets are computed, which may take hours
        targets = prepare_targets(teacher, data, settings, space, progress=progress, build=build)
        require_same_stores(targets, job.records)
        # One record for log-mels and targets: a resume compares them all.
        facts["stores"] |= targets
    return Materials(data=data, teacher=teacher, facts=facts)


def limit_checker(job: SearchJob, materials: Materials) -> LimitChecker:
    """Return the checker of the space's limits.

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
