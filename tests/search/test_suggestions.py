import subprocess
import sys
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.suggestions import Suggestion, Suggestions
from spaces.dimensions import Integer
from spaces.space import Space

SCRIPT = """
from spaces.reading import read_space
from search.suggestions import Suggestions
from trainable.config import TrialConfig
suggestions = Suggestions(read_space("mixer", TrialConfig), kind="{kind}", seed=7)
for n in range(14):
    print(suggestions.suggest())
    suggestions.end(n, "complete", 10.0 + n % 3)
"""


def objective(suggestion: Suggestion) -> float:
    """A VEER with its optimum inside the space."""
    lr = suggestion.params["training.lr"]
    kind = {"mse": 3.0, "cosine": 0.0, "none": 1.0}[suggestion.params["loss.kind"]]
    return 10 + kind + abs(lr - 2e-3) * 1000 + suggestion.params["model.width"] / 96


def search(suggestions: Suggestions, num_trials: int) -> list[Suggestion]:
    asked = []
    for number in range(num_trials):
        asked.append(suggestions.suggest())
        veer_pct = objective(asked[-1])
        suggestions.report(number, 1, veer_pct + 1)
        suggestions.report(number, 2, veer_pct)
        state = ("complete", "stopped_early", "complete", "failed")[number % 4]
        suggestions.end(number, state, veer_pct if state == "complete" else None)
    return asked


@pytest.mark.parametrize("kind", ["tpe", "random"])
class TestEverySampler:
    def test_same_seed_gives_the_same_search(self, space, kind):
        one, other = (search(Suggestions(space, kind=kind, seed=3), 25) for _ in range(2))
        assert one == other

    def test_other_seed_gives_another_search(self, space, kind):
        one, other = (search(Suggestions(space, kind=kind, seed=s), 5) for s in (3, 4))
        for a, b in zip(one, other, strict=True):
            assert a.params != b.params
            assert a.seed != b.seed

    def test_same_seed_in_another_process_gives_the_same_search(self, kind):
        command = [sys.executable, "-c", SCRIPT.format(kind=kind)]
        outs = {
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
            for _ in range(2)
        }
        assert len(outs) == 1
        assert outs.pop().count("Suggestion(") == 14

    def test_restored_search_goes_on_as_if_undisturbed(self, space, kind):
        whole = search(Suggestions(space, kind=kind, seed=3), 20)
        again = Suggestions(space, kind=kind, seed=3)
        for number, earlier in enumerate(whole[:15]):
            assert again.restore(earlier.params) == earlier
            veer_pct = objective(earlier)
            again.report(number, 1, veer_pct + 1)
            again.report(number, 2, veer_pct)
            state = ("complete", "stopped_early", "complete", "failed")[number % 4]
            again.end(number, state, veer_pct if state == "complete" else None)
        assert again.suggest() == whole[15]

    def test_every_suggestion_is_in_the_space(self, space, kind):
        for suggestion in search(Suggestions(space, kind=kind, seed=0), 30):
            assert space.contains(suggestion.params)
            assert space.params_of(suggestion.tree) == suggestion.params

    def test_inactive_parameter_is_not_sampled(self, space, kind):
        asked = search(Suggestions(space, kind=kind, seed=0), 30)
        kinds = {s.params["loss.kind"]: "loss.temperature" in s.params for s in asked}
        assert kinds == {"mse": True, "cosine": False, "none": False}


def test_both_bounds_of_a_whole_number_are_reached():
    space = Space(name="s", fixed={}, dimensions=(Integer(name="n", low=2, high=4),))
    suggestions = Suggestions(space, kind="random", seed=0)
    assert {suggestions.suggest().params["n"] for _ in range(40)} == {2, 3, 4}


def test_trials_are_numbered_and_seeded_apart(space):
    suggestions = Suggestions(space, kind="tpe", seed=0)
    asked = [suggestions.suggest() for _ in range(12)]
    assert [s.trial for s in asked] == list(range(12))
    assert len({s.seed for s in asked}) == 12


def test_tpe_learns_from_what_it_is_told(space):
    asked = search(Suggestions(space, kind="tpe", seed=1), 60)
    early, late = (sum(map(objective, part)) / 20 for part in (asked[:20], asked[-20:]))
    assert late < early - 0.5


def test_outcomes_reach_the_study_apart(space):
    suggestions = Suggestions(space, kind="tpe", seed=0)
    for number, state in enumerate(("complete", "stopped_early", "failed", "diverged")):
        suggestions.suggest()
        suggestions.report(number, 1, 30.0)
        suggestions.report(number, 2, 20.0)
        suggestions.report(number, 3, 25.0)
        suggestions.end(number, state, 20.0 if state == "complete" else None)
    complete, stopped, failed, diverged = suggestions.study.trials
    assert (complete.state, complete.value) == (TrialState.COMPLETE, 20.0)
    assert stopped.state is TrialState.PRUNED
    assert stopped.intermediate_values == {1: 30.0, 2: 20.0, 3: 25.0}
    assert failed.state is diverged.state is TrialState.FAIL
    assert suggestions.study.best_trial.number == 0


def test_error_of_the_study_is_raised(space):
    suggestions = Suggestions(space, kind="random", seed=0)
    suggestions.suggest()
    suggestions.end(0, "complete", 10.0)
    with pytest.raises(ValueError, match=r"Cannot tell a COMPLETE trial"):
        suggestions.end(0, "complete", 10.0)


def test_complete_trial_without_a_veer_is_refused(space):
    suggestions = Suggestions(space, kind="random", seed=0)
    suggestions.suggest()
    with pytest.raises(ValueError, match=r"No values were told"):
        suggestions.end(0, "complete", None)


def test_values_outside_the_space_are_not_restored(space):
    earlier = {"loss.kind": "none", "model.width": 64, "training.lr": 1e-3, "loss.temperature": 2}
    with pytest.raises(ValueError, match=r"trial 0 had .*'loss.temperature': 2"):
        Suggestions(space, kind="tpe", seed=0).restore(earlier)


def test_search_needs_no_ray():
    code = "import sys; import search.suggestions, search.early_stopping, search.conductor; " \
        "assert not any(name.split('.')[0] == 'ray' for name in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
