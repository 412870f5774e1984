"""The results of a search that did not evaluate every epoch."""

from io import StringIO
from pathlib import Path

import optuna
import pyarrow.parquet as pq
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console

from results.analysis.run_view import RunView
from results.audit.audit import audit_rungs
from results.figures.learning_curves import points_of
from results.journal.run_folder import RunFolder
from results.page.trials import curve_points
from results.records.record import Record
from results.records.trial_records import EpochEnded
from results.terminal.trial import find_trial, trial_view
from results.terminal.trials import trials_view
from search.run.ending import rebuild_results
from search.suggest.eval_plan import recorded_eval_plan
from tests.worlds.journals import made_record, write_journal
from tests.worlds.made_up_run import MAX_EPOCHS, RUNGS, SPACE, made_up_records
from trainable.config.eval_plan import EvalPlan
from trainable.config.reading import read_trial_space

PLAN = EvalPlan(every_epochs=8, anyway=RUNGS, all_from=MAX_EPOCHS - 4)
EVALUATED = [3, 8, 9, 16, 23, 24, 25, 26, 27]
MEASURED = ("veer_pct", "veer_low_pct", "veer_high_pct", "eval_s")


def unevaluated(record: Record) -> Record:
    """The record as it would be if the plan had left out the epoch's evaluation."""
    if not isinstance(record, EpochEnded) or PLAN.is_due(record.epoch):
        return record
    fields = record.as_dict() | dict.fromkeys(MEASURED) | {"is_unevaluated": True}
    return EpochEnded(**fields)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    first, *rest = map(unevaluated, made_up_records(16, seed=0))
    plan = made_record("eval_plan", time_s=first.time_s, **PLAN.model_dump(mode="json"))
    write_journal(tmp_path / "journal.jsonl", [first, plan, *rest])
    (tmp_path / "space.yaml").write_text(SPACE)
    return RunFolder(tmp_path)


def test_everything_is_made_of_the_epochs_with_a_veer(run: RunFolder) -> None:
    view = RunView.read(run)
    assert recorded_eval_plan(view.records) == PLAN
    rebuild_results(view, read_trial_space(run.path / "space.yaml"))
    best = view.best
    assert best is not None
    assert best.state == "complete"
    assert list(best.measured) == EVALUATED
    assert best.best_veer_pct == min(best.measured.values())
    assert best.median_veer_pct == sorted(list(best.measured.values())[-5:])[2]
    rows = pq.read_table(run.epochs_table).to_pylist()
    assert all((row["veer_pct"] is None) == bool(row["is_unevaluated"]) for row in rows)
    (events,) = run.tensorboard.glob(f"trial-{best.trial:04d}*/*")
    assert b"is_unevaluated" not in events.read_bytes()
    assert {row["epoch"] for row in rows if row["veer_pct"] is not None} == set(EVALUATED)
    # Without a gap, so that a chart draws a line.
    assert [epoch for epoch, _ in points_of(best)] == EVALUATED
    assert curve_points(best) == list(best.measured.items())
    storage = JournalStorage(JournalFileBackend(str(run.path / "optuna-journal.log")))
    (study,) = optuna.get_all_study_summaries(storage)
    trials = optuna.load_study(study_name=study.study_name, storage=storage).trials
    assert {epoch for trial in trials for epoch in trial.intermediate_values} == set(EVALUATED)
    (rung, later) = audit_rungs(view.histories, RUNGS, {})
    assert rung.complete.num == later.complete.num > 2


def test_the_terminal_shows_them_with_a_curve(run: RunFolder) -> None:
    view = RunView.read(run)
    assert view.best is not None
    out = StringIO()
    console = Console(file=out, width=200)
    console.print(trials_view(view, width=200))
    console.print(trial_view(view, find_trial(view.histories, view.best.trial), 200))
    assert f"{view.best.best_veer_pct:.2f}" in out.getvalue()
