"""Where Ray's own OptunaSearch and Veer's adapter differ, both sides shown.

Ray's is called as the TuneController of Ray 2.60 calls it (`_process_trial_result`, `stop_trial`,
`_process_trial_failure`, `SearchGenerator.save_to_dir`); no cluster is started.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from results.journal.journal import Journal
from tests.search.two_sides import MAX_EPOCHS, RaysSide, VeersSide, define_by_run


@pytest.fixture
def veers_side(tmp_path: Path) -> Iterator[Callable[..., VeersSide]]:
    """A function that gives Veer's side on a journal, taking over what it holds."""
    with ExitStack() as journals:
        opened = lambda name: journals.enter_context(Journal(tmp_path / name))  # noqa: E731
        yield lambda grace=3, journal="journal": VeersSide(opened(journal), grace_epochs=grace)


@pytest.fixture
def rays_log() -> Iterator[list[str]]:
    """What OptunaSearch logs, `LEVEL message`, whatever Ray has done to its loggers."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    logger, handler = logging.getLogger(OptunaSearch.__module__), Lines()
    # A search of the same process, in another test, leaves `ray` at the level of errors.
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


# A good trial to the end, and one that the rung of epoch 3 stops after a VEER that had been lower.
GOOD = [30.0, 25.0, 20.0, 15.0, 14.0, 13.0, 12.0, 11.0, 10.0]
STOPPED = [40.0, 22.0, 24.0]


def test_an_early_stopped_trial_is_pruned_with_every_veer_and_not_complete_with_its_last(
    veers_side,
):
    rays, veers = RaysSide(grace_epochs=3), veers_side()
    for veers_pct in (GOOD, STOPPED):
        name = str(len(rays.trials))
        rays.start(name)
        number = veers.start()
        for epoch, veer_pct in enumerate(veers_pct, start=1):
            goes_on = epoch < len(veers_pct)
            assert rays.report(name, epoch, veer_pct) == goes_on
            assert veers.report(number, epoch, veer_pct) == goes_on
    ray, veer = rays.trials[1], veers.trials[1]
    assert (ray.state, ray.value) == (TrialState.COMPLETE, 24.0)
    assert ray.intermediate_values == {1: 40.0, 2: 22.0}
    assert veer.state is TrialState.PRUNED
    assert veer.intermediate_values == {1: 40.0, 2: 22.0, 3: 24.0}


def test_a_complete_trial_counts_with_its_best_veer_and_not_its_last(veers_side):
    rays, veers = RaysSide(grace_epochs=9), veers_side(9)
    rays.start("0")
    veers.start()
    for epoch in range(1, MAX_EPOCHS + 1):
        rays.report("0", epoch, 20.0 + abs(epoch - 5))
        veers.report(0, epoch, 20.0 + abs(epoch - 5))
    assert (rays.trials[0].value, veers.trials[0].value) == (24.0, 20.0)


def test_a_stopped_trial_is_not_the_best_of_the_study(veers_side):
    # At the rung of epoch 1 a trial is stopped at 12 %; the one that went on ends at 15 %.
    rays, veers = RaysSide(grace_epochs=1), veers_side(1)
    for name in ("0", "1"):
        rays.start(name)
        veers.start()
    curves = {0: [10.0, *[15.0] * 8], 1: [12.0]}
    for number, veers_pct in curves.items():
        for epoch, veer_pct in enumerate(veers_pct, start=1):
            rays.report(str(number), epoch, veer_pct)
            veers.report(number, epoch, veer_pct)
    assert rays.searcher._ot_study.best_trial.number == 1
    assert veers.suggestions.study.best_trial.number == 0


def test_a_trial_stopped_at_its_first_report_keeps_it(veers_side):
    rays, veers = RaysSide(grace_epochs=1), veers_side(1)
    for number, veer_pct in enumerate((20.0, 30.0)):
        rays.start(str(number))
        veers.start()
        assert rays.report(str(number), 1, veer_pct) == (number == 0)
        assert veers.report(number, 1, veer_pct) == (number == 0)
    assert rays.trials[1].intermediate_values == {}
    assert veers.trials[1].intermediate_values == {1: 30.0}


def test_an_error_of_the_study_is_raised_and_not_logged_and_dropped(veers_side, rays_log):
    rays, veers = RaysSide(grace_epochs=3), veers_side()
    rays.start("0")
    veers.start()
    # Another process has ended the trial in the study.
    rays.searcher._ot_study.tell(0, 50.0)
    veers.suggestions.study.tell(0, 50.0)
    rays.searcher.on_trial_complete("0", result={"training_iteration": 9, "veer_pct": 10.0})
    assert rays_log == ["WARNING Cannot tell a COMPLETE trial."]
    assert "0" in rays.searcher._completed_trials
    with pytest.raises(ValueError, match="Cannot tell a COMPLETE trial"):
        veers.suggestions.end(0, "complete", 10.0)


@pytest.mark.filterwarnings("ignore:.*nan.*:UserWarning")
def test_a_trial_whose_veer_is_no_number_is_ended_as_diverged_and_does_not_run_on(veers_side):
    rays, veers = RaysSide(grace_epochs=3), veers_side()
    rays.start("0")
    veers.start()
    # Ray: no comparison with NaN stops it, so it takes all its epochs.
    for epoch in range(1, MAX_EPOCHS):
        assert rays.report("0", epoch, math.nan)
    assert not rays.report("0", MAX_EPOCHS, math.nan)
    assert "0" in rays.searcher._completed_trials
    assert rays.trials[0].state is TrialState.RUNNING
    with pytest.raises(ValueError, match="No trials are completed yet"):
        _ = rays.searcher._ot_study.best_trial
    # Veer: the first one ends it.
    assert not veers.report(0, 1, math.nan)
    assert veers.coordinator.trials[0].state == "diverged"
    assert veers.trials[0].state.is_finished()
    assert veers.trials[0].state is not TrialState.COMPLETE


def test_an_errored_trial_teaches_nothing_on_either_side(veers_side):
    rays, veers = RaysSide(grace_epochs=3), veers_side()
    rays.start("0")
    veers.start()
    rays.report("0", 1, 20.0)
    veers.report(0, 1, 20.0)
    rays.searcher.on_trial_complete("0", error=True)
    veers.coordinator.end(0, "failed", "out of memory")
    assert rays.trials[0].state is veers.trials[0].state is TrialState.FAIL


def test_a_trial_that_errs_with_a_result_is_complete_only_for_ray(veers_side):
    # What OptunaSearch makes of `error` wherever a last value comes with it, as other callers of
    # the Searcher interface give it; the TuneController of 2.60 leaves the value out.
    rays, veers = RaysSide(grace_epochs=3), veers_side()
    rays.start("0")
    veers.start()
    result = {"training_iteration": 1, "veer_pct": 20.0}
    rays.searcher.on_trial_complete("0", result=result, error=True)
    veers.report(0, 1, 20.0)
    veers.coordinator.end(0, "failed", "out of memory")
    assert (rays.trials[0].state, rays.trials[0].value) == (TrialState.COMPLETE, 20.0)
    assert veers.trials[0].state is TrialState.FAIL


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_killed_after_its_last_snapshot_goes_on_where_ray_cannot(veers_side, tmp_path):
    # Ray: the study on disk has the end of trial 0, the snapshot taken before it does not.
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study")))
    rays = RaysSide(grace_epochs=3, storage=storage)
    rays.start("0")
    rays.report("0", 1, 30.0)
    rays.searcher.save(str(tmp_path / "snapshot"))
    for epoch, veer_pct in enumerate(GOOD[1:], start=2):
        rays.report("0", epoch, veer_pct)
    assert rays.trials[0].state is TrialState.COMPLETE
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "study")))
    again = RaysSide(grace_epochs=3, storage=storage)
    again.searcher.restore(str(tmp_path / "snapshot"))
    again.scheduler.on_trial_add(None, SimpleNamespace(trial_id="0"))
    with pytest.raises(UpdateFinishedTrialError, match="can not be updated"):
        again.report("0", 2, 25.0)

    # Veer: the journal is all there is, and the search goes on from it as if never killed. By
    # then TPE has seen enough trials not to draw at random.
    whole = veers_side()
    for number in range(13):
        assert whole.start() == number
        for epoch, veer_pct in enumerate(GOOD, start=1):
            if not whole.report(number, epoch, veer_pct + number % 4):
                break
    assert whole.start() == 13
    whole.report(13, 1, 30.0)
    (tmp_path / "killed").write_bytes((tmp_path / "journal").read_bytes())
    killed = veers_side(journal="killed")
    assert killed.start() == 13
    for side in (whole, killed):
        for epoch, veer_pct in enumerate(GOOD, start=1):
            side.report(13, epoch, veer_pct)
        assert side.coordinator.trials[13].state == "complete"
        assert side.start() == 14
    assert [t.state for t in killed.trials] == [t.state for t in whole.trials]
    assert killed.coordinator.trials[14].suggestion == whole.coordinator.trials[14].suggestion


def test_points_to_evaluate_come_first_in_spaces_with_conditions_too():
    # They were dropped at times (ray#35319); not by 2.60.
    point = {"loss.distillation": "mse", "loss.temperature": 2.0, "training.lr": 1e-3}
    searcher = OptunaSearch(
        define_by_run, metric="veer_pct", mode="min", seed=1, points_to_evaluate=[point]
    )
    assert searcher.suggest("0") == point
    assert searcher.suggest("1") != point
