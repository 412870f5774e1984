"""The corpus and the teacher of a search, ready before anything is written to the run folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from results.records.earlier_trial import EarlierTrial
from results.records.record import Record
from results.records.record_values import StartPoint
from results.trackers.trackers import Trackers
from search.cluster.resources import require_gpus_here, require_precision_here
from search.cluster.store_build import building_device
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.feasibility import LimitChecker
from search.loop.setup import check_batches, start_points
from search.provenance.data_record import (
    corpus_facts,
    require_same_lists,
    require_same_stores,
    require_same_teacher,
    targets_device,
    validation_list_warnings,
)
from search.remote.running_copy import RunningCopy
from search.run.progress import SearchView
from search.run.teacher_setup import (
    check_teacher,
    check_teacher_file,
    prepare_search_teacher,
    prepare_targets,
    teacher_file,
)
from search.suggest.earlier_runs import earlier_trials
from spaces.space import Space
from trainable.cost.step_memory import ComputeSettings
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import cache_dir
from trainable.store.tasks import Builder
from trainable.teachers.any_teacher import is_network


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchJob:
    """A search to run, and its run folder.

    Attributes:
        settings: The settings, resolved.
        folder: The run folder.
        space: The space to search.
        records: Records of an earlier run in the folder; empty for a new run.
        view: The output for the user.
        trackers: The experiment trackers that follow it.
        retry_failed: Whether failed trials run again.
        copy: The uploads of a run in object storage; None for a run that is only here.
    """

    settings: SearchConfig
    folder: Path
    space: Space
    records: Sequence[Record]
    view: SearchView
    trackers: Trackers
    retry_failed: bool = False
    copy: RunningCopy | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Materials:
    """The inputs of all trials.

    Attributes:
        data: The corpus.
        teacher: Model file or file of embeddings; None if no trial needs one.
        targets_device: Kind of device that computed a network teacher's targets.
        facts: Lists and stores, as in the journal's `corpus` record.
        points: Starting points, see `start_points`.
        earlier: Trials of earlier runs, see `earlier_trials`.
        checker: The space's limits.
    """

    data: TrainingData
    teacher: Path | None
    targets_device: str
    facts: dict[str, Any]
    points: Sequence[StartPoint]
    earlier: Sequence[EarlierTrial]
    checker: LimitChecker

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
        ConfigError: A teacher is needed and missing, or it does not fit the space or its limits;
            this machine has too few GPUs; a starting point cannot be read; a run to learn from
            has nothing that fits the space.
        RunError: A run to learn from cannot be read, or an earlier run in the folder had another
            teacher, other lists or other audio.
        DiskFullError: There is no room for the cache.
    """
    settings, space = job.settings, job.space
    if settings.address is None:
        if settings.resources.gpu == AUTO:
            require_precision_here(settings.engine.precision)
        else:
            require_gpus_here(settings.resources.gpu)
    points = start_points(space, settings.space, job.records)
    earlier = earlier_trials(settings.learn_from, space, job.records)
    teacher = teacher_file(settings, space)
    if teacher is not None:
        check_teacher_file(teacher, space)
    data, facts = _prepare_corpus(job, build)
    # Before the teacher's targets, which may take hours to compute.
    check_batches(space, len(data.train_row))
    device = "cpu"
    if teacher is not None:
        teacher, targets, device = _prepare_teacher(teacher, data, job, build)
        # One record for log-mels and targets: a resume compares them all.
        facts["stores"] |= targets
        if targets and device != "cpu":
            facts["targets_device"] = device
    checker = LimitChecker(
        space.limits,
        teacher=teacher,
        cache_dir=cache_dir(),
        num_speakers=len(data.speakers),
        computing=ComputeSettings(engine=settings.engine, targets=settings.targets),
    )
    checker.require_measurable(settings.objective)
    return Materials(
        data=data,
        teacher=teacher,
        targets_device=device,
        facts=facts,
        points=points,
        earlier=earlier,
        checker=checker,
    )


def _prepare_corpus(job: SearchJob, build: Builder) -> tuple[TrainingData, dict[str, Any]]:
    """Return the corpus, and the fields of the journal's `corpus` record without targets."""
    corpus, view = job.settings.corpus, job.view
    require_same_lists(corpus, job.records)  # before other log-mels are computed
    progress = view.counter("log-mels", "files")
    data = load_training_data(corpus, cache_dir=cache_dir(), progress=progress, build=build)
    facts = corpus_facts(corpus, data)
    # Also recorded: lines on the screen are lost when the terminal is closed.
    if warnings := validation_list_warnings(corpus, data, cache_dir()):
        facts["warnings"] = warnings
        for warning in warnings:
            view.print_line(f"warning: {warning}")
    require_same_stores(facts["stores"], job.records)
    return data, facts


def _prepare_teacher(
    teacher: Path, data: TrainingData, job: SearchJob, build: Builder
) -> tuple[Path, dict[str, str], str]:
    """Return the teacher's file for the trials, its stores of targets, and their kind of device.

    The stores are keys by name.
    """
    settings, space, view = job.settings, job.space, job.view
    progress = view.counter("teacher", "utterances")
    file = prepare_search_teacher(teacher, data, settings, space, job.folder, progress)
    check_teacher(file, data, space)
    # Before its targets are computed, which may take hours.
    require_same_teacher(file, job.records)
    device, progress = "cpu", view.counter("teacher targets", "utterances")
    if settings.targets.mode == "stored" and is_network(file):
        known = targets_device(job.records)
        device = known or building_device(settings.device, settings.address)
    make_bank = partial(settings.targets.bank, device=device)
    targets = prepare_targets(file, data, make_bank, space, progress=progress, build=build)
    require_same_stores(targets, job.records)
    return file, targets, device
