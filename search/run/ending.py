"""The end of a search: its reason, the benchmark, and all that is written from the journal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from results.analysis.run_view import RunView
from results.export.benchmark import benchmark_run
from results.export.form_run import benchmark_run_forms
from results.journal.journal import Journal
from results.page.report import write_report
from results.records.record_values import EndReason
from results.records.search_records import ENDINGS, SearchEnded
from results.tables.trials import write_tables
from results.trackers.study import write_study
from results.trackers.tensorboard import event_files, write_event_files
from search.loop.coordinator import Coordinator
from search.review.audit_run import audit_search
from search.run.materials import SearchJob
from search.run.progress import SearchView
from search.use.teacher_enrols import enrolment_columns
from spaces.files.errors import CheckpointError, DiskFullError, RunError, VeerError
from spaces.space import Space


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The end of a search.

    Attributes:
        run: The run, as its journal has it at the end.
        reason: Why it ended. A search can be resumed unless the reason is in
            `results.records.search_records.ENDINGS`.
        was_finished: Whether it had finished before, so that nothing ran.
        message: Details on the reason for the user; may be empty.
        is_terminated: Whether SIGTERM ended it.
    """

    run: RunView
    reason: EndReason
    was_finished: bool = False
    message: str = ""
    is_terminated: bool = False


def end_search(job: SearchJob, coordinator: Coordinator, is_terminated: bool) -> SearchResult:
    """Benchmark the best trials of a finished search, and record its end in the journal."""
    result = SearchResult(
        run=RunView.read(job.folder),
        reason=_end_reason(coordinator, job.view),
        message=coordinator.halt_message,
        is_terminated=is_terminated,
    )
    run = result.run
    with tolerating_a_full_disk(result, job.view):
        if result.reason in ENDINGS and job.settings.benchmark_top and run.ranked:
            run = _benchmarked(run, job)
            if job.settings.benchmark_forms:
                _measure_forms(run, job)
        with Journal(run.folder.journal) as journal:
            run = run.with_records(journal.append(SearchEnded(reason=result.reason)))
    return replace(result, run=run)


def rebuild_results(run: RunView, space: Space) -> None:
    """Write tables, study, TensorBoard's files and page from the journal, replacing old ones."""
    write_tables(run)
    write_study(run, space.dimensions)
    write_event_files(run.folder.tensorboard, event_files(run, space.dimensions))
    write_report(run, audit=audit_search)


@contextmanager
def tolerating_a_full_disk(result: SearchResult, view: SearchView) -> Iterator[None]:
    """Print the failure of the last writes after a full disk; keep `disk_full` as the reason."""
    try:
        yield
    except DiskFullError as error:
        if result.reason != "disk_full":
            raise
        view.print_line(f"not written: {error}")


def _benchmarked(run: RunView, job: SearchJob) -> RunView:
    """Return the run with the benchmark of its best trials on this machine's CPU."""
    num_best = job.settings.benchmark_top
    job.view.print_line(f"benchmarking the best {num_best} on this machine's CPU")
    progress = job.view.counter("benchmark", "rounds")
    enrolments = partial(
        enrolment_columns,
        print_line=job.view.print_line,
        progress=job.view.counter("the teacher enrols", "utterances"),
    )
    try:
        return run.with_records(
            benchmark_run(run, num_best, progress=progress, more=enrolments)
        )
    except (CheckpointError, RunError) as error:
        # The results of the search are valid without it.
        job.view.print_line(f"no benchmark: {error}")
        return run


def _measure_forms(run: RunView, job: SearchJob) -> None:
    """Measure forms of the best trials and of the teacher; what is missing is printed."""
    settings, view = job.settings, job.view
    view.print_line(f"measuring forms: {', '.join(settings.benchmark_forms)}")
    progress = view.counter("forms", "utterances")
    try:
        measured = benchmark_run_forms(
            run,
            settings.benchmark_top,
            settings.benchmark_forms,
            settings.corpus,
            progress=progress,
        )
    except DiskFullError:
        raise
    except VeerError as error:
        view.print_line(f"no forms: {error}")
        return
    for line in measured.missing:
        view.print_line(line)


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
