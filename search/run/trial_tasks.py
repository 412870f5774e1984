"""The task of a trial, which a worker receives as its Ray config."""

from collections.abc import Callable
from typing import Any

from models.user_code import code_root
from results.journal.run_folder import RunFolder
from search.estimates.precision import TrainingNodes
from search.loop.shares import ResourceShare, ShareAllocator
from search.loop.trial_course import TrialCourse
from search.provenance.provenance import versions
from search.run.materials import Materials, SearchJob
from spaces.files.errors import ConfigError
from spaces.files.locations import origin_of
from trainable.config.eval_plan import EvalPlan
from trainable.features.training_data import reopening_keys
from trainable.foreign_models.graph_config import is_graph
from trainable.machine.cache_dir import cache_dir
from trainable.training.shared_inputs import SharedInputs
from trainable.training.trial_task import TrialTask


def task_maker(
    job: SearchJob,
    materials: Materials,
    allocator: ShareAllocator,
    *,
    plan: EvalPlan,
    nodes: TrainingNodes,
) -> Callable[[TrialCourse, ResourceShare], dict[str, Any]]:
    """Return a function from a trial and its share to its Ray config.

    Args:
        job: The search; its run folder must exist.
        materials: Corpus and teacher.
        allocator: The shares of the trials.
        plan: The epochs that are evaluated.
        nodes: How trials compute, and where.
    """
    settings, run = job.settings, RunFolder(job.folder)
    # With it a worker opens the stores without looking at every audio file again.
    opened = reopening_keys(settings.corpus, materials.data)
    # Without a cluster no check is needed: all processes run the same installation.
    expected = {} if settings.address is None else versions()
    copy, inputs = job.copy, shared_inputs(job, materials)

    def make_task(course: TrialCourse, share: ResourceShare) -> dict[str, Any]:
        return TrialTask(
            trial=course.trial,
            config=course.config.canonical(),
            # Absolute: workers run in another folder.
            folder=run.trial(course.trial).absolute(),
            corpus=settings.corpus,
            cache_dir=cache_dir(),
            teacher=materials.teacher,
            targets=settings.targets,
            targets_device=materials.targets_device,
            device=settings.device,
            # Of the base share, so that results do not depend on how often memory ran out.
            num_threads=allocator.base.num_threads,
            num_cpus=share.num_cpus,
            num_gpus=share.num_gpus,
            context_bytes=allocator.context_bytes,
            step_bytes=allocator.step_bytes_of(course.raised),
            opened=opened,
            num_known=course.epoch,
            code_root=code_root(),
            engine=nodes.engine,
            avoided=nodes.avoided,
            versions=expected,
            eval_plan=plan,
            storage_uri=None if copy is None else copy.trial_uri(course.trial),
            cache_uri=origin_of(cache_dir()),
            inputs=inputs,
        ).model_dump(mode="json")

    return make_task


def shared_inputs(job: SearchJob, materials: Materials) -> SharedInputs | None:
    """Put lists and teacher into object storage for the nodes of a cluster.

    Returns:
        Where they are; None where workers see the files of this machine, or the run is a path that
        all nodes share.

    Raises:
        ConfigError: The teacher is a graph, which is more than one file.
        StorageError: The store cannot be reached.
    """
    teacher, corpus = materials.teacher, job.settings.corpus
    if job.copy is None or job.settings.address is None:
        return None
    if teacher is not None and is_graph(teacher):
        raise ConfigError(
            f"teacher {teacher}: a graph cannot be used by a cluster whose run folder is in "
            "object storage; embed the corpus with it (`veer embed`) and give the file of "
            "embeddings, or use a run folder on storage that all nodes share"
        )
    return job.copy.share(corpus.train_list, corpus.val_list, teacher)
