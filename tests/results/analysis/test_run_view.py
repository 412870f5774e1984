"""Snapshots of a run."""

from pathlib import Path

import pytest

from results.analysis.run_view import RunView, interval_of, shortened
from results.analysis.speed import trial_of
from results.figures.style import trial_lines
from results.journal.run_folder import RunFolder
from results.records.benchmark_row import BenchmarkRow
from results.records.trial_records import TrialStarted
from results.tables.query import where
from results.tables.trials import epochs_table, trials_table
from spaces.dimensions import Choice, Float, Integer
from spaces.files.errors import RunError
from tests.worlds.journals import PLAIN_ROW, changed, made_record
from tests.worlds.made_up_run import SPACE, TEACHER_PCT, keep_made_up_scores, write_made_up_run


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return RunView.read(write_made_up_run(tmp_path_factory.mktemp("made") / "run"))


def test_tables_histories_and_records_agree(view: RunView) -> None:
    trials = trials_table(view)
    assert trials.num_rows == len(view.histories) == 30
    assert epochs_table(view).num_rows == sum(len(trial.epochs) for trial in view.histories)
    assert view.best is not None
    first = trials.to_pylist()[0]
    assert (first["rank"], first["trial"]) == (1, view.best.trial)


def test_rungs_teacher_and_settings_come_from_the_journal(view: RunView) -> None:
    assert view.rungs == [3, 9]
    assert view.teacher_veer_pct == TEACHER_PCT
    assert view.settings["max_epochs"] == 27


def test_only_what_differs_between_trials_counts_as_varied(tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run", 6)
    records = [
        changed(record, params=record.params | {"model.groups": 4})
        if isinstance(record, TrialStarted)
        else record
        for record in run.read()
    ]
    view = RunView(run, tuple(records))
    assert "model.groups" not in view.varied
    assert set(view.varied) == {
        "loss.distillation", "loss.alpha", "model.hidden_dim", "model.num_blocks", "training.lr",
    }  # fmt: skip


def test_names_are_cut_to_their_end_where_that_is_unambiguous() -> None:
    names = ["model.dim", "loss.alpha", "teacher.dim", "seed", "loss.alpha"]
    assert shortened(names) == {
        "model.dim": "model.dim",
        "teacher.dim": "teacher.dim",
        "loss.alpha": "alpha",
        "seed": "seed",
    }


def test_dimensions_are_those_of_the_space(view: RunView) -> None:
    by_name = {each.name: each for each in view.dimensions}
    assert isinstance(lr := by_name["training.lr"], Float)
    assert (lr.low, lr.high, lr.log) == (1e-4, 1e-2, True)


@pytest.mark.parametrize(
    "space", [None, "model: [", SPACE.replace("high: 64", "high: 9"), "loss:\n  alpha: {low: 0.1}"]
)
def test_without_a_fitting_space_dimensions_span_the_values(
    tmp_path: Path, space: str | None
) -> None:
    run = write_made_up_run(tmp_path / "run", 12)
    if space is None:
        run.space.unlink()
    else:
        run.space.write_text(space)
    view = RunView.read(run)
    by_name = {each.name: each for each in view.dimensions}
    rates = [trial.params["training.lr"] for trial in view.histories]
    assert isinstance(lr := by_name["training.lr"], Float)
    assert (lr.low, lr.high) == (min(rates), max(rates))
    assert isinstance(by_name["model.num_blocks"], Integer)
    assert isinstance(by_name["loss.distillation"], Choice)


def test_speeds_are_of_one_utterance_on_the_fewest_threads(view: RunView) -> None:
    assert view.benchmark is not None
    rows = {
        row.model: row
        for row in view.benchmark.rows
        if (row.batch_size, row.num_threads) == (1, 1)
    }
    assert {f"trial {trial}" for trial in view.speeds} | {"teacher"} == set(rows)
    assert all(rows[f"trial {trial}"] == row for trial, row in view.speeds.items())
    assert view.teacher_speed == rows["teacher"]


@pytest.mark.parametrize(
    ("model", "trial"),
    [("trial 12", 12), ("teacher", None), ("front end", None), ("trial", None), ("trial x", None)],
)
def test_a_row_names_the_trial_that_it_measured(model: str, trial: int | None) -> None:
    assert trial_of(BenchmarkRow(**PLAIN_ROW, model=model)) == trial


def test_a_run_without_an_end_is_running(view: RunView) -> None:
    assert not view.is_running
    turns = [
        index for index, record in enumerate(view.records)
        if record.event in ("search_started", "search_ended", "search_resumed")
    ]  # fmt: skip
    shown = [
        RunView(view.folder, view.records[: turn + 1]).is_running for turn in turns
    ]
    assert shown == [True, False, True, False]
    assert not RunView(view.folder, ()).is_running


def test_intervals_are_those_of_the_best_epoch(view: RunView) -> None:
    assert view.best is not None
    assert view.best.best is not None
    veer_pct = view.best.best.veer_pct
    assert interval_of(view.best) == (veer_pct - 1.5, veer_pct + 1.7)


def test_scores_are_those_that_the_run_kept(tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run", 6)
    assert RunView.read(run).teacher_scores is None
    keep_made_up_scores(run)
    view = RunView.read(run)
    kept = [view.scores(trial) for trial in view.histories]
    assert [found is not None for found in kept] == [True, True, False, False, False, False]
    assert kept[0] is not None
    assert kept[0].epoch == where(trials_table(view), "trial=0")["best_epoch"][0].as_py()
    assert view.teacher_scores is not None
    assert len(view.teacher_scores.scores) == len(view.teacher_scores.is_target) == 300


def test_repeats_belong_to_the_trial_that_they_follow(tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run", 4)
    records = list(run.read())
    first = next(each for each in records if each.event == "trial_started")
    again = {"trial": 4, "seed": 99, "follow_up": "repeat", "follows": 0}
    epoch = next(each for each in records if each.event == "epoch")
    records += [
        changed(first, **again),
        changed(epoch, trial=4, epoch=1, veer_pct=11.0),
        made_record("trial_ended", time_s=2e9, trial=4, state="complete", reason=None),
    ]
    view = RunView(run, tuple(records))
    assert [trial.trial for trial in view.own] == [0, 1, 2, 3]
    assert view.repeats[0].veer_pct == (11.0,)
    assert view.best is not None
    assert view.best.trial == 0
    assert "with other seeds: 11.00 %, 1 repeat" in trial_lines(view, view.best)


def test_a_journal_of_before_intervals_and_places_is_read(
    journal_run: RunFolder,
) -> None:
    view = RunView.read(journal_run)
    assert view.best is not None
    assert view.best.trial == 5
    assert interval_of(view.best) is None
    assert view.speeds == {}
    assert view.teacher_speed is None
    assert view.rungs == []


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    run = write_made_up_run(tmp_path / "run", 4)
    whole = RunView.read(run).records
    with run.journal.open("ab") as file:
        file.write(b'{"event": "epoch", "time_s": 1')
    assert RunView.read(run.path).records == whole


def test_a_folder_without_a_journal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder \(it has no journal\.jsonl\)"):
        RunView.read(tmp_path)
