import pytest

from results.journal.decision import eer_of_dprime
from search.students.recorded_curve import recorded_curves
from spaces.files.errors import RunError
from tests.worlds.simulated_run import MAX_EPOCHS, write_simulated_run


def test_a_curve_has_the_epochs_of_its_trial(view, space):
    curves = recorded_curves([view], space)
    assert len(curves) == len(view.histories) == 27
    trial, curve = view.histories[5], curves[5]
    assert curve.params == trial.params
    assert curve.veer_pct.tolist() == [trial.epochs[e].veer_pct for e in range(1, MAX_EPOCHS + 1)]
    assert curve.dprime_pct[0] == eer_of_dprime(trial.epochs[1].dprime)
    assert curve.epoch_s == 10.0 * trial.params["model.num_blocks"]
    assert (curve.diverged, curve.num_epochs) == (None, MAX_EPOCHS)


def test_repeats_have_the_recipe_of_their_finalist(view, space):
    recipes = [each.recipe for each in recorded_curves([view], space)]
    assert [recipes[:24].count(each) for each in recipes[24:]] == [1, 1, 1]


def test_a_control_takes_the_place_of_its_trial(tmp_path, space):
    stops = {"kind": "asha", "grace_epochs": 1}
    found = write_simulated_run(tmp_path / "run", scheduler=stops, control=2)
    controls = [each for each in found.histories if each.follow_up == "control"]
    curves = recorded_curves([found], space)
    assert len(controls) == 2
    assert len(curves) == len(found.histories) - 2
    for control in controls:
        [own] = [each for each in curves if each.recipe == control.recipe]
        assert own.num_epochs == MAX_EPOCHS


def test_params_of_another_space_are_mapped_or_left_out(tmp_path, space):
    other = tmp_path / "other.yaml"
    other.write_text("model: {family: mlp_mixer, num_blocks: 4}\n"
                     "training: {lr: {low: 0.0002, high: 0.02, log: true}}\n")  # fmt: skip
    found = write_simulated_run(tmp_path / "run", space=str(other), num_trials=12)
    curves = recorded_curves([found], space)
    assert curves
    assert {each.params["model.num_blocks"] for each in curves} == {4}
    highest = max(trial.params["training.lr"] for trial in found.histories)
    assert highest > 0.01 == max(each.params["training.lr"] for each in curves)


def test_runs_on_different_lists_are_refused(tmp_path, view, space, monkeypatch):
    class Corpus:
        def __init__(self, name):
            self.lists = {"val": name}

    other = write_simulated_run(tmp_path / "run", num_trials=1)
    monkeypatch.setattr(type(view), "latest", lambda self, _: Corpus(str(self.folder.path)))
    with pytest.raises(RunError, match=r"one validation list.*leave one of them out"):
        recorded_curves([view, other], space)
