"""The histories of trials and repetitions, from the records of a journal."""

from pathlib import Path

import pytest

from results.analysis.ranking import best_ended, ranked
from results.journal.history import latest, trial_histories
from results.journal.journal import Journal
from results.journal.repetitions import repetitions
from results.journal.run_folder import RunFolder
from results.records.search_records import ModelsBenchmarked, TeacherRecord
from results.records.trial_records import EpochEnded, TrialEnded, TrialStarted
from spaces.files.errors import RunError
from tests.worlds.journals import made_record


def test_failed_and_diverged_trials_have_no_rank(journal_run: RunFolder) -> None:
    trials = trial_histories(journal_run.read())
    assert [trial.trial for trial in ranked(trials)] == [5, 0, 6, 1, 4]


def test_the_best_that_ended_leave_out_a_running_trial(journal_run: RunFolder) -> None:
    trials = trial_histories(journal_run.read())
    assert [trial.trial for trial in best_ended(trials, 10)] == [5, 0, 6, 1]
    assert [trial.trial for trial in best_ended(trials, 1)] == [5]


def test_the_first_of_equal_epochs_is_best(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        records = [
            journal.append(TrialStarted(trial=0, params={}, config={}, config_hash="", seed=0)),
            *(
                journal.append(EpochEnded(trial=0, epoch=epoch, veer_pct=veer_pct))
                for epoch, veer_pct in ((1, 9.0), (2, 8.0), (3, 8.0), (4, None))
            ),
        ]
    (trial,) = trial_histories(records)
    assert trial.best is not None
    assert trial.best.epoch == 2
    assert trial.last is not None
    assert trial.last.veer_pct is None


def test_a_trial_started_again_is_unfinished_and_keeps_its_epochs(tmp_path: Path) -> None:
    started = {"trial": 0, "params": {}, "config": {}, "config_hash": "", "seed": 0}
    with Journal(tmp_path / "j") as journal:
        records = [
            journal.append(TrialStarted(**started)),
            journal.append(EpochEnded(trial=0, epoch=1, veer_pct=9.0)),
            journal.append(TrialEnded(trial=0, state="failed", reason="node lost")),
            journal.append(TrialStarted(**started)),
        ]
    (trial,) = trial_histories(records)
    assert trial.state == "running"
    assert list(trial.epochs) == [1]
    assert trial.start_s == records[0].time_s


def test_a_repetition_counts_once_and_only_with_values_of_its_own(shared_run: RunFolder) -> None:
    found = repetitions(shared_run.read())
    assert [(each.same_as, each.params) for each in found] == [
        (0, {"preset": "p4c_wide_shallow"}),
        (1, {"preset": "alpha_0"}),
    ]


def test_a_suggestion_with_the_trials_own_values_is_no_repetition_of_note() -> None:
    started = made_record("trial_started", trial=4, params={"x": 1})
    again = made_record("repeated", same_as=4, params={"x": 1}, config_hash="")
    assert repetitions([started, again]) == []
    (other,) = repetitions([started, again, again.model_copy(update={"params": {}})])
    assert (other.same_as, other.params) == (4, {})


def test_no_ended_trial_is_an_error() -> None:
    with pytest.raises(RunError, match="no trial of this run has ended"):
        best_ended([], 1)
    with pytest.raises(RunError, match="at least 1, got 0"):
        best_ended([], 0)


def test_the_latest_of_an_event_counts() -> None:
    records = [made_record("benchmark", time_s=float(number)) for number in (1, 2)]
    assert latest(records, ModelsBenchmarked) == records[1]
    assert latest(records, TeacherRecord) is None


@pytest.mark.parametrize("config", [{}, {"loss": "x"}, {"loss": {"distillation": 1}}])
def test_a_config_without_a_loss_is_refused(config: dict[str, object]) -> None:
    started = made_record("trial_started", time_s=1.0, trial=3, config=config)
    with pytest.raises(RunError, match=r"config of trial 3 must have loss\.distillation"):
        _ = trial_histories([started])[0].loss
