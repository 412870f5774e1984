"""A figure is never shown beside another epoch's, or another run's, weights."""

from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.export.benchmark import BenchmarkConfig, benchmark_run
from results.export.best_model import load_best
from results.export.export import export_trial
from results.journal.history import trial_histories
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.trial_records import TrialStarted
from spaces.files.errors import CheckpointError, DamagedError
from tests.damage import DAMAGES, flip_bit
from tests.worlds.journals import changed
from trainable.checkpoints.folder import CheckpointFolder


def best_file(run: RunFolder) -> Path:
    return CheckpointFolder(run.trial(0)).file_of(1)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_trial_whose_best_file_is_damaged_is_not_exported(
    trained_run: RunFolder, name: str
) -> None:
    DAMAGES[name](best_file(trained_run))
    with pytest.raises(
        DamagedError, match=r"best epoch of trial 0 cannot be used: .*000001\.model: .* restore it"
    ):
        export_trial(RunView.read(trained_run), 0)
    assert not (trained_run.exports / "trial-0000").exists()


def test_nor_is_it_benchmarked(trained_run: RunFolder) -> None:
    flip_bit(best_file(trained_run))
    with pytest.raises(DamagedError, match="best epoch of trial 0 cannot be used"):
        benchmark_run(RunView.read(trained_run), 1, BenchmarkConfig(rounds=1))
    assert not trained_run.benchmark.exists()


def test_the_last_epoch_does_not_stand_in_for_a_missing_best_one(trained_run: RunFolder) -> None:
    checkpoints = CheckpointFolder(trained_run.trial(0))
    checkpoints.file_of(1).rename(checkpoints.file_of(2))
    fault = r"000001\.model: the file of the best epoch of trial 0 is missing; restore it"
    with pytest.raises(CheckpointError, match=fault):
        export_trial(RunView.read(trained_run), 0)


def test_weights_with_another_veer_than_the_journals_are_refused(trained_run: RunFolder) -> None:
    (trial, _) = trial_histories(trained_run.read())
    veer_pct = trial.epochs[1].veer_pct
    assert veer_pct is not None
    trial.add_epoch(changed(trial.epochs[1], veer_pct=veer_pct - 1))
    with pytest.raises(CheckpointError, match=r"the journal has .* from different runs"):
        load_best(trained_run, trial)


def test_weights_of_another_config_are_refused(trained_run: RunFolder) -> None:
    (trial, _) = trial_histories(trained_run.read())
    with Journal(trained_run.journal) as journal:
        other = trial.started.as_dict() | {"config": trial.started.config | {"seed": 99}}
        journal.append(TrialStarted(**other))
    with pytest.raises(CheckpointError, match="its config differs from the one in the journal"):
        export_trial(RunView.read(trained_run), 0)
