"""What a search records before its trials: its settings, its data, its teacher, its restarts."""

from collections.abc import Callable

from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from search.guided.prior import Prior
from search.loop.appraisal import Appraisal
from search.loop.coordinator import Coordinator
from search.loop.fault_ledger import FaultLedger
from search.loop.retry_failed import restart_failed
from search.loop.setup import halving_rungs, make_coordinator, record_start_points
from search.provenance.data_record import note_corpus
from search.provenance.run_state import open_run
from search.run.checkpoint_keeper import CheckpointKeeper
from search.run.materials import Materials, SearchJob
from search.run.notices import DecisionNotices
from search.run.teacher_scores import TeacherScorer, keep_pairs, measure_teacher
from search.suggest.earlier_runs import record_earlier_trials
from search.suggest.eval_crops import choose_eval_crops, teacher_eval_crops
from search.suggest.eval_plan import choose_eval_plan


def open_search(
    job: SearchJob, materials: Materials, journal: Journal, connect_gpus: Callable[[], bool]
) -> Coordinator:
    """Record a new run and its data, or replay an earlier one.

    Args:
        job: The search.
        materials: Corpus and teacher.
        journal: The run's journal.
        connect_gpus: See `TeacherScorer`.

    Raises:
        RunError: The journal has values that are not in the space.
        DiskFullError: There is no room in the run folder.
    """
    if not job.records:
        open_run(job.settings, job.folder, journal, ())
    journal.follow(DecisionNotices(job.settings.decide_by, job.view.print_line).take)
    note_corpus(materials.facts, journal, job.records)
    keep_pairs(job.folder, materials.data)
    eval_crops = _choose_crops(job, materials, journal, connect_gpus)
    coordinator = make_coordinator(
        job.settings,
        job.space,
        journal,
        eval_crops=eval_crops,
        prior=_record_prior(job, materials, journal),
        appraisal=Appraisal(
            check=materials.checker.violations,
            measure=lambda config: materials.checker.goal_costs(config, job.settings.objective),
        ),
        ledger=FaultLedger(journal, job.settings.faults, job.view.print_line),
    )
    records = job.records
    coordinator.eval_plan = choose_eval_plan(
        materials.data,
        teacher_eval_crops(job.space, eval_crops),
        (halving_rungs(job.settings), job.settings.max_epochs),
        journal,
        records,
        job.view.print_line,
    )
    coordinator.replay(restart_failed(records, journal) if job.retry_failed else records)
    checkpoint_keeper(job).sweep(coordinator)  # no trial runs yet
    return coordinator


def record_resume(job: SearchJob, journal: Journal) -> None:
    """Record in the journal that an earlier search continues.

    It is called after all checks, so that refused settings are not recorded.
    """
    if job.records:
        for difference in open_run(job.settings, job.folder, journal, job.records):
            job.view.print_line(difference)


def checkpoint_keeper(job: SearchJob) -> CheckpointKeeper:
    """Return the keeper of the run's best checkpoints."""
    elsewhere = () if job.copy is None else (job.copy.delete_weights,)
    return CheckpointKeeper(
        RunFolder(job.folder), job.settings.keep_best, job.settings.finalists, *elsewhere
    )


def _record_prior(job: SearchJob, materials: Materials, journal: Journal) -> Prior:
    """Record what is known before the first trial, and return it."""
    records, print_line = job.records, job.view.print_line
    first = record_start_points(materials.points, journal, records, print_line)
    record_earlier_trials(materials.earlier, journal, records, print_line)
    return Prior(first=first, earlier=materials.earlier)


def _choose_crops(
    job: SearchJob, materials: Materials, journal: Journal, connect_gpus: Callable[[], bool]
) -> int | None:
    """Return the number of crops of a validation utterance; measure the teacher with as many."""
    data, records, view = materials.data, job.records, job.view
    eval_crops = choose_eval_crops(job.space, data, journal, records)
    if materials.teacher is not None:
        num_crops = teacher_eval_crops(job.space, eval_crops)
        scorer = TeacherScorer(
            settings=job.settings, connect_gpus=connect_gpus, print_line=view.print_line
        )
        veer_pct = measure_teacher(materials.teacher, data, scorer, num_crops, journal, records)
        known = "unknown" if veer_pct is None else f"{veer_pct:.2f} %"
        view.print_line(f"teacher VEER {known} ({materials.teacher})")
    return eval_crops
