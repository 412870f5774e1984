"""The rebuilt study has the states of the trials, and opens from its file."""

from collections.abc import Sequence

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.records.record import Record
from results.trackers.study import OBJECTIVE, STUDY_NAME, write_study
from spaces.dimensions import Choice, Dimension, Float
from spaces.files.errors import RunError
from tests.worlds.journals import made_record
from tests.worlds.views import rebuild_study

# That of `shared_run`.
SHARED_DIMENSIONS = (
    Choice(
        name="preset",
        choices=(
            "v2_large", "p4c_wide_shallow", "no_distillation", "alpha_0", "v1_mse", "v2_cosine",
        ),
    ),
)  # fmt: skip
Dimensions = tuple[Dimension, ...]


def test_outcomes_become_optunas_states(journal_run: RunFolder, dimensions: Dimensions) -> None:
    study = rebuild_study(journal_run.read(), dimensions)
    assert [trial.state for trial in study.trials] == [
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.PRUNED,
        TrialState.FAIL,
        TrialState.RUNNING,
        TrialState.COMPLETE,
        TrialState.COMPLETE,
    ]
    assert study.best_trial.number == 5
    assert study.best_value == 10.0
    assert study.metric_names == [OBJECTIVE]


def test_a_complete_trial_counts_with_its_best_veer(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    trial = rebuild_study(journal_run.read(), dimensions).trials[0]
    assert trial.value == 12.0
    assert trial.intermediate_values == {1: 20.0, 2: 12.0, 3: 13.0}
    assert trial.params["loss.alpha"] == 0.7
    assert trial.distributions["training.lr"] == FloatDistribution(1e-4, 1e-2, log=True)
    assert trial.user_attrs == {
        "trial": 0,
        "config": "trials/0000/config.yaml",
        "seed": 0,
        "config hash": "000000000000",
        "parameters": 1000,
        "best VEER, %": 12.0,
        "best epoch": 2,
        "how it ended": "complete",
        "last VEER, %": 13.0,
        "median VEER of the last epochs, %": 13.0,
    }
    assert trial.duration is not None
    assert trial.duration.total_seconds() >= 0


def test_a_stopped_trial_keeps_every_veer_that_it_reported(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    trial = rebuild_study(journal_run.read(), dimensions).trials[1]
    assert trial.intermediate_values == {1: 25.0, 2: 24.0}
    assert trial.user_attrs["why"] == "rung 2"
    assert trial.value is None


def test_a_diverged_trial_keeps_its_epochs_and_breaks_a_constraint(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    trial = rebuild_study(journal_run.read(), dimensions).trials[2]
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: 5.0}
    assert trial.constraints == {"diverged": 1.0}
    assert trial.value is None
    assert trial.user_attrs["how it ended"] == "diverged"
    assert trial.user_attrs["why"] == "loss is nan"


def test_a_trial_that_diverged_at_once_breaks_a_constraint(dimensions: Dimensions) -> None:
    records = [
        made_record("trial_started", time_s=1.0, trial=0),
        made_record("epoch", time_s=1.5, trial=0, epoch=1, veer_pct=None),
        made_record("trial_ended", time_s=2.0, trial=0, state="diverged", reason=""),
    ]
    (trial,) = rebuild_study(records, dimensions).trials
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {})
    assert trial.constraints == {"diverged": 1.0}


def test_every_suggestion_is_a_trial_in_its_order(shared_run: RunFolder) -> None:
    study = rebuild_study(shared_run.read(), SHARED_DIMENSIONS)
    attributes = [trial.user_attrs for trial in study.trials]
    assert [each.get("trial", each.get("same as trial")) for each in attributes] == [
        0, 1, None, 0, 2, 1, 0, None, 3
    ]  # fmt: skip
    assert ["same as trial" in each for each in attributes] == [
        False, False, False, True, False, True, True, False, False,
    ]  # fmt: skip
    assert [trial.params["preset"] for trial in study.trials][:4] == [
        "v2_large", "no_distillation", "v1_mse", "p4c_wide_shallow",
    ]  # fmt: skip


def test_a_repetition_is_recorded_as_the_trial_that_it_repeats(shared_run: RunFolder) -> None:
    trials = rebuild_study(shared_run.read(), SHARED_DIMENSIONS).trials
    first, again = trials[0], trials[3]
    assert (again.state, again.value) == (TrialState.COMPLETE, 11.0)
    assert again.intermediate_values == first.intermediate_values
    attributes = dict(first.user_attrs)
    assert attributes.pop("trial") == 0
    assert again.user_attrs == {"same as trial": 0, **attributes}
    assert again.params == {"preset": "p4c_wide_shallow"}
    assert again.datetime_complete == again.datetime_start


def test_an_infeasible_suggestion_has_optunas_constraints(shared_run: RunFolder) -> None:
    study = rebuild_study(shared_run.read(), SHARED_DIMENSIONS)
    trial = study.trials[2]
    assert trial.state is TrialState.PRUNED
    assert trial.constraints == {"max_params": 0.25, "max_macs": 1.0}
    assert trial.user_attrs["infeasible"] == (
        "max_params is 2,000,000, the config has 2,500,000; max_macs is 100, the config has 200"
    )
    assert trial.intermediate_values == {}
    kept = [each for each in study.trials if each.user_attrs.get("how it ended") == "complete"]
    assert [each.constraints for each in kept] == [{}] * 5
    assert study.best_trial.user_attrs["trial"] == 1


def test_optunas_sampler_puts_the_infeasible_and_diverged_last(shared_run: RunFolder) -> None:
    study = rebuild_study(shared_run.read(), SHARED_DIMENSIONS)
    finished = [trial for trial in study.trials if trial.state.is_finished()]
    good, bad = _split_trials(study, finished, n_below=len(finished) - 3)
    assert all(trial.constraints == {} for trial in good)
    # 2 broke limits, and 1 diverged after an epoch with the best VEER of all.
    assert sorted(trial.user_attrs.get("trial", -1) for trial in bad) == [-1, -1, 2]


def test_a_complete_trial_that_was_never_measured_fails(dimensions: Dimensions) -> None:
    records = [
        made_record("trial_started", time_s=1.0, trial=0),
        made_record("trial_ended", time_s=2.0, trial=0, state="complete", reason=None),
    ]
    (trial,) = rebuild_study(records, dimensions).trials
    assert trial.state is TrialState.FAIL
    assert trial.duration is not None
    assert trial.duration.total_seconds() == 1.0


def test_the_written_study_is_the_rebuilt_one(
    journal_run: RunFolder, dimensions: Dimensions
) -> None:
    records = journal_run.read()
    for _ in range(2):
        write_study(RunView.read(journal_run), dimensions)
    storage = JournalStorage(JournalFileBackend(str(journal_run.study)))
    loaded = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    rebuilt = rebuild_study(records, dimensions, "run")
    assert loaded.user_attrs == rebuilt.user_attrs
    assert [without_id(trial) for trial in loaded.trials] == [
        without_id(trial) for trial in rebuilt.trials
    ]
    assert sorted(file.name for file in journal_run.path.iterdir()) == [
        "journal.jsonl",
        "optuna-journal.log",
    ]


def test_the_written_study_keeps_repetitions_and_constraints(shared_run: RunFolder) -> None:
    records = shared_run.read()
    write_study(RunView.read(shared_run), SHARED_DIMENSIONS)
    storage = JournalStorage(JournalFileBackend(str(shared_run.study)))
    loaded = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    rebuilt = rebuild_study(records, SHARED_DIMENSIONS)
    assert [without_id(trial) for trial in loaded.trials] == [
        without_id(trial) for trial in rebuilt.trials
    ]


def without_id(trial: optuna.trial.FrozenTrial) -> dict[str, object]:
    return {name: value for name, value in vars(trial).items() if name != "_trial_id"}


def made_up(event: str, time_s: float, **fields: object) -> Record:
    own = {} if event == "repeated" else {"trial": 0}
    return made_record(event, time_s=time_s, **own | fields)


def test_follow_ups_are_no_suggestions() -> None:
    again = {"trial": 1, "follow_up": "repeat", "follows": 0}
    records = [
        made_up("trial_started", 1.0),
        made_up("epoch", 2.0, epoch=1, veer_pct=9.0),
        made_up("trial_ended", 3.0, state="complete", reason=None),
        made_up("trial_started", 4.0, **again),
        made_up("epoch", 5.0, trial=1, epoch=1, veer_pct=8.0),
        made_up("trial_ended", 6.0, trial=1, state="complete", reason=None),
    ]
    (trial,) = rebuild_study(records, ()).trials
    assert (trial.value, trial.user_attrs["trial"]) == (9.0, 0)
    wrong = made_up("repeated", 7.0, same_as=1, params={})
    with pytest.raises(RunError, match="trial 1 is repeated, but the search did not suggest it"):
        rebuild_study([*records, wrong], ())


def test_a_failed_trial_that_is_begun_again_has_one_more_with_its_epochs() -> None:
    records = [
        made_up("trial_started", 1.0),
        made_up("epoch", 2.0, epoch=1, veer_pct=9.0),
        made_up("trial_ended", 3.0, state="failed", reason="worker died"),
        made_up("trial_started", 4.0),
        made_up("epoch", 5.0, epoch=2, veer_pct=8.0),
        made_up("trial_ended", 6.0, state="complete", reason=None),
    ]
    first, second = rebuild_study(records, ()).trials
    assert (first.state, first.intermediate_values) == (TrialState.FAIL, {1: 9.0})
    assert first.user_attrs["why"] == "worker died"
    assert (second.state, second.value) == (TrialState.COMPLETE, 8.0)
    assert second.intermediate_values == {1: 9.0, 2: 8.0}
    assert [each.user_attrs["trial"] for each in (first, second)] == [0, 0]
    assert second.duration is not None
    assert second.duration.total_seconds() == 2.0


def test_a_repetition_of_a_running_trial_goes_on_with_it() -> None:
    records = [
        made_up("trial_started", 1.0),
        made_up("epoch", 2.0, epoch=1, veer_pct=9.0),
        made_up("repeated", 2.5, same_as=0, params={}),
        made_up("epoch", 3.0, epoch=2, veer_pct=8.0, veer_low_pct=6.5, veer_high_pct=9.75),
    ]
    trial, same = rebuild_study(records, ()).trials
    assert {trial.state, same.state} == {TrialState.RUNNING}
    assert same.intermediate_values == {1: 9.0, 2: 8.0}
    assert same.user_attrs["VEER interval, %"] == "6.50 to 9.75"
    records.append(made_up("trial_ended", 4.0, state="stopped_early", reason="rung 2"))
    trial, same = rebuild_study(records, ()).trials
    assert {trial.state, same.state} == {TrialState.PRUNED}
    assert trial.datetime_complete == same.datetime_complete


def test_an_epoch_that_is_reported_twice_counts_once_the_last_time() -> None:
    records = [
        made_up("trial_started", 1.0),
        made_up("epoch", 2.0, epoch=1, veer_pct=9.0),
        made_up("epoch", 3.0, epoch=1, veer_pct=9.5),
        made_up("epoch", 4.0, epoch=2, veer_pct=9.25),
        made_up("trial_ended", 5.0, state="complete", reason=None),
    ]
    (trial,) = rebuild_study(records, ()).trials
    assert trial.intermediate_values == {1: 9.5, 2: 9.25}
    assert (trial.value, trial.user_attrs["best epoch"]) == (9.25, 2)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (None, r"trial 0 has \['loss.alpha'\], which the space lacks"),
        (Float(name="loss.alpha", low=0.8, high=0.9), "trial 0 does not fit the space: .*0.7"),
    ],
)
def test_another_space_is_an_error_and_leaves_the_file(
    journal_run: RunFolder, dimensions: Dimensions, replaced: Dimension | None, message: str
) -> None:
    write_study(RunView.read(journal_run), dimensions)
    before = journal_run.study.read_bytes()
    others = [each for each in dimensions if each.name != "loss.alpha"]
    space: Sequence[Dimension] = others if replaced is None else [*others, replaced]
    with pytest.raises(RunError, match=message):
        write_study(RunView.read(journal_run), space)
    assert journal_run.study.read_bytes() == before


