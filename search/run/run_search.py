"""One search from its settings to a run folder with tables, benchmark and best checkpoints."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from results.analysis.run_view import RunView
from results.export.benchmark import benchmark_run
from results.journal.journal import ENDINGS, EndReason, Journal
from results.journal.run_folder import JOURNAL, RunFolder
from results.page.report import write_report
from results.tables.trials import write_tables
from results.trackers.live_files import LiveFiles
from results.trackers.study import write_study
from results.trackers.tensorboard import event_files, write_event_files
from search.cluster.check import require_uniform_nodes
from search.cluster.resources import Node, num_trials_at_once, require_gpus_here
from search.cluster.signals import Terminated
from search.cluster.store_build import ShardBuilder
from search.config.search_config import SearchConfig
from search.config.sections import AUTO
from search.estimates.gpu_probe import GpuShareProbe
from search.loop.coordinator import Coordinator
from search.loop.fault_ledger import FaultLedger
from search.loop.retry_failed import num_failed, restart_failed
from search.loop.setup import make_coordinator, record_start_points, resolve, start_points
from search.loop.shares import ShareAllocator
from search.provenance.data_record import note_corpus
from search.provenance.run_lock import leaving_no_trace, logging_to, run_lock
from search.provenance.run_state import earlier_records, is_finished, open_run
from search.ray_tune.driver import drive
from search.review.audit_run import audit_search
from search.run.checkpoint_keeper import CheckpointKeeper
from search.run.expectations import disk_guard, print_forecast
from search.run.materials import Materials, SearchJob, limit_checker, prepare_materials
from search.run.own_models import check_own_models
from search.run.progress import SearchView, search_status
from search.run.teacher_setup import keep_pairs, measure_teacher
from search.run.trial_tasks import task_maker
from search.suggest.eval_crops import choose_eval_crops, teacher_eval_crops
from spaces.files.disk import translate_disk_full
from spaces.files.errors import CheckpointError, DiskFullError, RunError
from spaces.space import Space
from trainable.config.reading import read_trial_space
from trainable.machine.cache_dir import cache_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The end of a search.

    Attributes:
        run: The run, as its journal has it at the end.
        reason: Why it ended. A search can be resumed unless the reason is in
            `results.journal.journal.ENDINGS`.
        was_finished: Whether it had finished before, so that nothing ran.
        message: Details on the reason for the user; may be empty.
        is_terminated: Whether SIGTERM ended it.
    """

    run: RunView
    reason: EndReason
    was_finished: bool = False
    message: str = ""
    is_terminated: bool = False


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
    settings = resolve(settings, space)
    with translate_disk_full(folder):
        folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with run_lock(folder), leaving_no_trace(folder, log), logging_to(log, view.print_line):
        records = earlier_records(settings, folder)
        job = SearchJob(
            settings=settings,
            folder=folder,
            space=space,
            records=records,
            view=view,
            retry_failed=retry_failed and num_failed(records) > 0,
        )
        result = _run_remaining(job)
        with _tolerating_a_full_disk(result, view):
            rebuild_results(result.run, space)
        return result


def _run_remaining(job: SearchJob) -> SearchResult:
    if is_finished(job.settings, job.records) and not job.retry_failed:
        run = RunView(RunFolder(job.folder), job.records)
        return SearchResult(run=run, reason="finished", was_finished=True)
    with closing(job.view), ShardBuilder(job.settings.address) as build:
        return _search(job, build)


def _search(job: SearchJob, build: ShardBuilder) -> SearchResult:
    settings = job.settings
    if settings.address is None and settings.resources.gpu != AUTO:
        require_gpus_here(settings.resources.gpu)
    # Before anything is written: after an error in corpus or teacher there is no run to resume.
    points = start_points(job.space, settings.space, job.records)
    materials = prepare_materials(job, build)
    checker = limit_checker(job, materials)
    with Journal(job.folder / JOURNAL) as journal:
        if not job.records:
            open_run(settings, job.folder, journal, ())
        note_corpus(materials.facts, journal, job.records)
        keep_pairs(job.folder, materials.data)
        coordinator = make_coordinator(
            settings,
            job.space,
            journal,
            eval_crops=_choose_crops(job, materials, journal),
            first=record_start_points(points, journal, job.records, job.view.print_line),
            check=checker.violations,
            ledger=FaultLedger(journal, settings.faults, job.view.print_line),
        )
        records = job.records
        coordinator.replay(restart_failed(records, journal) if job.retry_failed else records)
        is_terminated = _drive(coordinator, job, materials, journal)
    build.close()  # Ray's own processes would disturb the benchmark
    result = SearchResult(
        run=RunView.read(job.folder),
        reason=_end_reason(coordinator, job.view),
        message=coordinator.halt_message,
        is_terminated=is_terminated,
    )
    run = result.run
    with _tolerating_a_full_disk(result, job.view):
        run = _end(result, settings, job.view)
    return replace(result, run=run)


def _choose_crops(job: SearchJob, materials: Materials, journal: Journal) -> int | None:
    """Return the number of crops of a validation utterance; measure the teacher with as many."""
    data, records, view = materials.data, job.records, job.view
    eval_crops = choose_eval_crops(job.space, data, journal, records, view.print_line)
    if materials.teacher is not None:
        num_crops = teacher_eval_crops(job.space, eval_crops)
        veer_pct = measure_teacher(
            materials.teacher, data, job.settings, num_crops, journal, records
        )
        known = "unknown" if veer_pct is None else f"{veer_pct:.2f} %"
        view.print_line(f"teacher VEER {known} ({materials.teacher})")
    return eval_crops


def _end(result: SearchResult, settings: SearchConfig, view: SearchView) -> RunView:
    """Benchmark the best trials of a finished search, and record its end in the journal.

    Returns:
        The run with these records.
    """
    run = result.run
    if result.reason in ENDINGS and settings.benchmark_top and run.ranked:
        view.print_line(f"benchmarking the best {settings.benchmark_top} on this machine's CPU")
        progress = view.counter("benchmark", "rounds")
        try:
            run = run.with_records(benchmark_run(run, settings.benchmark_top, progress=progress))
        except (
            CheckpointError,
            RunError,
        ) as error:  # the results of the search are valid without it
            view.print_line(f"no benchmark: {error}")
    with Journal(run.folder.journal) as journal:
        return run.with_records(journal.append("search_ended", reason=result.reason))


@contextmanager
def _tolerating_a_full_disk(result: SearchResult, view: SearchView) -> Iterator[None]:
    """Print the failure of the last writes after a full disk; keep `disk_full` as the reason."""
    try:
        yield
    except DiskFullError as error:
        if result.reason != "disk_full":
            raise
        view.print_line(f"not written: {error}")


def rebuild_results(run: RunView, space: Space) -> None:
    """Write tables, study, TensorBoard's files and page from the journal, replacing old ones."""
    write_tables(run)
    write_study(run, space.dimensions)
    write_event_files(run.folder.tensorboard, event_files(run, space.dimensions))
    write_report(run, audit=audit_search)


def _drive(
    coordinator: Coordinator, job: SearchJob, materials: Materials, journal: Journal
) -> bool:
    """Run the trials; return whether SIGTERM ended them."""
    settings, run, view = job.settings, RunFolder(job.folder), job.view
    keeper = CheckpointKeeper(run, settings.keep_best, settings.finalists)
    keeper.sweep(coordinator)  # no trial runs yet
    if coordinator.is_finished:
        _record_resume(job, journal)
        return False
    guard = disk_guard(job, materials, print_forecast(settings, view))
    gpu_probe = _gpu_probe(job, materials, journal)

    def make_allocator(nodes: Sequence[Node]) -> ShareAllocator:
        if settings.address is not None:
            require_uniform_nodes(nodes, [run.path, cache_dir()])
        allocator = gpu_probe.make_allocator(nodes)
        fitting = num_trials_at_once(allocator.base, nodes)
        guard.check(min(settings.max_concurrent or fitting, fitting), coordinator.trials)
        _record_resume(job, journal)
        return allocator

    def on_step() -> None:
        view.show(search_status(coordinator))
        keeper.tidy(coordinator)

    journal.follow(LiveFiles(run, job.space.dimensions, view.print_line).take)
    make_task = task_maker(job, materials)
    is_terminated = False
    try:
        drive(
            coordinator,
            settings,
            make_task,
            make_allocator=make_allocator,
            on_step=on_step,
            print_line=view.print_line,
        )
        on_step()
    except DiskFullError as error:
        coordinator.halt("disk_full", str(error))
    except KeyboardInterrupt as interrupt:
        coordinator.halt("interrupted")
        is_terminated = isinstance(interrupt, Terminated)
    finally:
        view.close()
    keeper.sweep(coordinator)
    return is_terminated


def _record_resume(job: SearchJob, journal: Journal) -> None:
    """Record in the journal that an earlier search continues.

    It is called after all checks, so that refused settings are not recorded.
    """
    if job.records:
        for difference in open_run(job.settings, job.folder, journal, job.records):
            job.view.print_line(difference)


def _gpu_probe(job: SearchJob, materials: Materials, journal: Journal) -> GpuShareProbe:
    return GpuShareProbe(
        settings=job.settings,
        space=job.space,
        teacher=materials.teacher,
        num_speakers=materials.num_speakers,
        journal=journal,
        records=job.records,
        print_line=job.view.print_line,
    )


def _end_reason(coordinator: Coordinator, view: SearchView) -> EndReason:
    if not coordinator.is_finished:
        return coordinator.halted or "interrupted"
    if coordinator.met_by is not None:
        view.print_line(f"trial {coordinator.met_by} met the target: the search ends")
        return "target_met"
    num_trials = len(coordinator.own_trials)
    if coordinator.exhausted is not None and num_trials < coordinator.budget.num_trials:
        view.print_line(f"the search ends after {num_trials} trials: {coordinator.exhausted}")
        return "exhausted"
    if coordinator.is_spent and num_trials < coordinator.budget.num_trials:
        view.print_line(f"the search ends: all {coordinator.budget.total_epochs} epochs are used")
        return "epochs_spent"
    return "finished"
