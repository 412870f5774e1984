"""The Optuna study of a run with several goals."""

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from results.trackers.study import STUDY_NAME, StudyLog, write_study
from tests.worlds.goals_run import latency_of, write_goals_run


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return write_goals_run(tmp_path_factory.mktemp("run") / "run")


def test_trials_have_a_value_for_each_goal_and_the_fronts_agree(view):
    write_study(view, view.dimensions)
    storage = JournalStorage(JournalFileBackend(str(view.folder.study)))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    assert study.metric_names == ["validation EER in percent", "CPU time / teacher"]
    assert [direction.name for direction in study.directions] == ["MINIMIZE", "MINIMIZE"]
    by_state = {"complete": TrialState.COMPLETE, "stopped_early": TrialState.COMPLETE,
                "diverged": TrialState.PRUNED, "failed": TrialState.FAIL}  # fmt: skip
    trials = {trial.user_attrs["trial"]: trial for trial in study.trials}
    for history in view.own:
        trial = trials[history.trial]
        assert trial.state is by_state[history.state]
        assert trial.intermediate_values == {}
        if trial.state is TrialState.COMPLETE:
            assert trial.values == [history.best_veer_pct, latency_of(history.trial)]
    best = {trial.user_attrs["trial"] for trial in study.best_trials}
    assert best == {trial.trial for trial in view.front}


def test_a_study_that_grows_is_the_one_that_is_written(view):
    write_study(view, view.dimensions)
    log = StudyLog(view.dimensions, view.folder.path.resolve().name, view.goals)
    lines = b""
    for record in view.records:
        log.take(record)
        lines += log.new_lines()
    assert lines == view.folder.study.read_bytes()
