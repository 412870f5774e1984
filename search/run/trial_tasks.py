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
from trainable.config.eval_plan import EvalPlan
from trainable.features.training_data import reopening_keys
from trainable.machine.cache_dir import cache_dir
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
        ).model_dump(mode="json")

    return make_task
