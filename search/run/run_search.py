"""One search from its settings to a run folder with tables, benchmark and best checkpoints."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from results.analysis.run_view import RunView
from results.journal.journal import Journal
from results.journal.run_folder import JOURNAL, RunFolder
from results.terminal.quoting import veer_command
from results.trackers.live_files import LiveFiles
from results.trackers.trackers import Trackers, require_trackers
from search.cluster.check import require_uniform_nodes
from search.cluster.connection import connected
from search.cluster.membership import Membership
from search.cluster.resources import cluster_nodes, num_trials_at_once
from search.cluster.signals import Terminated
from search.cluster.store_build import ShardBuilder
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.gpu_probe import GpuShareProbe
from search.estimates.precision import TrainingNodes, choose_precision
from search.loop.coordinator import Coordinator
from search.loop.retry_failed import num_failed
from search.loop.setup import resolve
from search.loop.shares import ResourceShare, ShareAllocator
from search.provenance.run_lock import leaving_no_trace, logging_to, run_lock
from search.provenance.run_state import earlier_records, is_finished
from search.ray_tune.driver import Screen, drive
from search.ray_tune.searcher import TrialSlots
from search.remote.running_copy import running_copy
from search.run.ending import (
    SearchResult,
    end_search,
    rebuild_results,
    tolerating_a_full_disk,
)
from search.run.expectations import disk_guard, print_forecast
from search.run.materials import Materials, SearchJob, prepare_materials
from search.run.opening import checkpoint_keeper, open_search, record_resume
from search.run.own_models import check_own_models
from search.run.paced import Paced
from search.run.progress import SearchView, search_status
from search.run.trial_tasks import task_maker
from spaces.files.disk import translate_disk_full
from spaces.files.errors import DiskFullError, RunError
from trainable.config.reading import read_trial_space
from trainable.machine.cache_dir import cache_dir


def run_search(
    settings: SearchConfig, folder: Path, view: SearchView, *, retry_failed: bool = False
) -> SearchResult:
    """Run a search, or the rest of an interrupted one.

    A search with the same settings in the folder is continued from its journal; a finished one is
    left unchanged. After Ctrl-C the search can be continued.

    Args:
        settings: The settings of the search.
        folder: The run folder; created if missing.
        view: The output for the user.
        retry_failed: Whether failed trials run again.

    Raises:
        RunError: The folder has another search, or another process runs in it.
        ConfigError: Space, teacher or resources cannot be used.
        CorpusError: The corpus has faults.
        DiskFullError: The disk has no room for a file of the run folder or of the cache.
    """
    # All that needs no run folder comes first: a refused search leaves no folder behind.
    space = read_trial_space(settings.space)
    check_own_models(settings, space)
    require_trackers(settings.trackers)
    settings = resolve(settings, space)
    resume = veer_command("resume", folder)
    with _run_folder(folder, view), running_copy(folder, view.print_line) as copy:
        records = earlier_records(settings, folder)
        job = SearchJob(
            settings=settings,
            folder=folder,
            space=space,
            records=records,
            view=view,
            trackers=Trackers(settings.trackers, resume, view.print_line),
            retry_failed=retry_failed and num_failed(records) > 0,
            copy=copy,
        )
        result = _earlier_result(job) or _search(job)
        with tolerating_a_full_disk(result, view):
            rebuild_results(result.run, space)
        job.trackers.finish(result.run)
        return result


@contextmanager
def _run_folder(folder: Path, view: SearchView) -> Iterator[None]:
    """Make and lock the run folder and write its log; a search refused inside leaves no trace."""
    try:
        with translate_disk_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: the run folder cannot be made ({error.strerror or error}); choose another "
            "with --run"
        ) from error
    log = folder / "log.txt"
    with run_lock(folder), leaving_no_trace(folder, log), logging_to(log, view.print_line):
        yield


def _earlier_result(job: SearchJob) -> SearchResult | None:
    """Return the result of a search that has nothing left to do, else None."""
    if job.retry_failed or not is_finished(job.settings, job.records):
        return None
    run = RunView(RunFolder(job.folder), job.records)
    return SearchResult(run=run, reason="finished", was_finished=True)


def _search(job: SearchJob) -> SearchResult:
    """Run what is left of a search."""
    with closing(job.view), ShardBuilder(job.settings.address) as build:
        # Before anything is written: after an error here there is no run to resume.
        materials = prepare_materials(job, build)
        with Journal(job.folder / JOURNAL) as journal:
            if job.copy is not None:
                job.copy.follow(journal)
            coordinator = open_search(job, materials, journal, build.connect_gpus)
            if job.copy is not None:
                job.copy.upload_files()
            is_terminated = _run_trials(job, materials, journal, coordinator)
        build.close()  # Ray's own processes would disturb the benchmark
        if job.copy is not None:
            job.copy.fetch_trials()
        return end_search(job, coordinator, is_terminated)


def _run_trials(
    job: SearchJob, materials: Materials, journal: Journal, coordinator: Coordinator
) -> bool:
    """Run the trials that are left, on Ray; return whether SIGTERM ended them."""
    if coordinator.is_finished:
        record_resume(job, journal)
        return False
    is_terminated = False
    guard = disk_guard(job, materials, print_forecast(job.settings, job.view))
    try:
        with connected(job.settings.address):
            nodes = _look(job, journal)
            allocator = _lend(job, materials, journal, nodes)
            fitting = num_trials_at_once(allocator.base, nodes.nodes)
            slots = TrialSlots(allocator, fitting, job.settings.max_concurrent)
            guard.check(slots.at_once, coordinator.trials)
            record_resume(job, journal)
            job.view.print_line(slots.in_words())
            _drive(job, materials, journal, coordinator, (slots, nodes))
    except DiskFullError as error:
        coordinator.halt("disk_full", str(error))
    except KeyboardInterrupt as interrupt:
        coordinator.halt("interrupted")
        is_terminated = isinstance(interrupt, Terminated)
    finally:
        job.view.close()
    checkpoint_keeper(job).sweep(coordinator)
    return is_terminated


def _look(job: SearchJob, journal: Journal) -> TrainingNodes:
    """Return the nodes for trials, which must have the same versions and share the storage.

    Raises:
        ConfigError: A node differs, or does not see a folder; none has a trial's share; no GPU can
            be used, or none has the precision.
    """
    nodes, wanted = cluster_nodes(), job.settings.resources
    if wanted.gpu != AUTO:
        num_trials_at_once(ResourceShare(num_cpus=wanted.cpu, num_gpus=float(wanted.gpu)), nodes)
    if job.settings.address is not None:
        require_uniform_nodes(nodes, [job.folder, cache_dir()])
    return choose_precision(job.settings, nodes, journal, job.records, job.view.print_line)


def _lend(
    job: SearchJob, materials: Materials, journal: Journal, nodes: TrainingNodes
) -> ShareAllocator:
    """Return the shares of the trials; for `gpu: auto` a training step is measured.

    Raises:
        ConfigError: The shares cannot be decided.
    """
    probe = GpuShareProbe(
        settings=job.settings.model_copy(update={"engine": nodes.engine}),
        space=job.space,
        teacher=materials.teacher,
        num_speakers=materials.num_speakers,
        journal=journal,
        records=job.records,
        print_line=job.view.print_line,
    )
    return probe.make_allocator(nodes.nodes)


def _drive(
    job: SearchJob,
    materials: Materials,
    journal: Journal,
    coordinator: Coordinator,
    places: tuple[TrialSlots, TrainingNodes],
) -> None:
    """Run the trials until none is left, with the files and the screen that follow them."""
    (slots, nodes), plan = places, coordinator.eval_plan
    keeper = checkpoint_keeper(job)

    def follow() -> None:
        job.view.show(search_status(coordinator))
        keeper.tidy(coordinator)
        if job.copy is not None:
            job.copy.check()

    run = RunFolder(job.folder)
    journal.follow(LiveFiles(run, job.space.dimensions, job.view.print_line).take)
    job.trackers.follow(run, journal)
    drive(
        coordinator,
        job.settings.faults,
        task_maker(job, materials, slots.allocator, plan=plan, nodes=nodes),
        slots=slots,
        screen=Screen(
            on_step=Paced(follow),
            print_line=job.view.print_line,
            resume_command=veer_command("resume", job.folder),
        ),
        # A local Ray has one node for as long as it runs.
        nodes=None
        if job.settings.address is None
        else Membership(slots.allocator.base, job.view.print_line),
    )
    follow()
    if job.copy is not None:
        job.copy.wait_for_checkpoints(keeper.kept_epochs(coordinator))
