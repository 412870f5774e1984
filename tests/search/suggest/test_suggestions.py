import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from optuna.samplers._tpe.sampler import _split_trials
from optuna.trial import TrialState

from search.suggest.samplers import SamplerKind, refuse_unfit
from search.suggest.suggestions import Suggestion, Suggestions
from spaces.dimensions import Choice, Float, Integer
from spaces.files.errors import ConfigError
from spaces.limits import Limits
from spaces.space import Space

ROOT = Path(__file__).parents[3]
SCRIPT = """
import json, torch
from tests.search.suggest.test_suggestions import SPACES, search
torch.set_num_threads(1)
print(json.dumps({kind: repr(search(kind, seed=3)) for kind in SPACES}))
"""
# gp learns from the eleventh trial on, and takes a second for each.
NUM_TRIALS = {"guided": 25, "tpe": 25, "random": 25, "gp": 13, "grid": 25}
KIND = Choice(name="loss.kind", choices=("mse", "cosine", "none"))
TEMPERATURE = Float(
    name="loss.temperature", low=1.0, high=8.0, log=True, when={"loss.kind": "mse"}
)
WIDTH = Integer(name="model.width", low=32, high=96, step=32)
LR = Float(name="training.lr", low=1e-4, high=1e-2, log=True)
EVERY_KIND = Space(
    name="every-kind",
    fixed={"family": "mixer"},
    dimensions=(KIND, TEMPERATURE, WIDTH, LR),
)
# What each sampler can draw from: gp knows no conditions, a grid no continuous ranges.
SPACES = {
    "guided": EVERY_KIND,
    "tpe": EVERY_KIND,
    "random": EVERY_KIND,
    "gp": Space(name="flat", fixed={}, dimensions=(KIND, WIDTH, LR)),
    "grid": Space(
        name="points",
        fixed={},
        dimensions=(
            KIND,
            Float(
                name="loss.temperature", low=1.0, high=8.0, step=1.0, when={"loss.kind": "mse"}
            ),
            WIDTH,
            Float(name="training.lr", low=1e-3, high=1e-2, step=1e-3),
        ),
    ),
}


def limited(space: Space) -> Space:
    return replace(space, limits=Limits(max_params=1000))


def started(space: Space) -> Space:
    return replace(space, start_from=("v2_cosine",))


def objective(suggestion: Suggestion) -> float:
    """A VEER with its optimum inside the space."""
    lr = suggestion.params["training.lr"]
    kind = {"mse": 3.0, "cosine": 0.0, "none": 1.0}[suggestion.params["loss.kind"]]
    return 10 + kind + abs(lr - 2e-3) * 1000 + suggestion.params["model.width"] / 96


def finish(suggestions: Suggestions, number: int, suggestion: Suggestion, kind: str) -> None:
    """Report two epochs of a trial and its end; gp is used only where all trials are complete."""
    veer_pct = objective(suggestion)
    suggestions.report(number, 1, veer_pct + 1)
    suggestions.report(number, 2, veer_pct)
    states = ("complete", "stopped_early", "complete", "failed")
    state = "complete" if kind == "gp" else states[number % 4]
    suggestions.end(number, state, veer_pct if state == "complete" else None)


def search(
    kind: SamplerKind, seed: int, num_trials: int | None = None, space: Space | None = None
) -> list[Suggestion]:
    suggestions = Suggestions(space or SPACES[kind], kind=kind, seed=seed)
    asked = []
    for number in range(num_trials or NUM_TRIALS[kind]):
        asked.append(suggestions.suggest())
        finish(suggestions, number, asked[-1], kind)
    return asked


@cache
def searched(kind: SamplerKind) -> list[Suggestion]:
    """The suggestions of one search, which tests only look at."""
    return search(kind, seed=3)


@pytest.fixture(scope="module")
def elsewhere() -> dict[SamplerKind, str]:
    """The same searches in another process."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[SamplerKind, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", get_args(SamplerKind))
class TestEverySampler:
    def test_same_seed_gives_the_same_search(self, kind):
        assert search(kind, seed=3) == searched(kind)

    def test_other_seed_gives_another_search(self, kind):
        other = search(kind, seed=4, num_trials=5)
        for a, b in zip(searched(kind)[:5], other, strict=True):
            # A grid has one order.
            assert (a.params == b.params) == (kind == "grid")
            assert a.seed != b.seed

    def test_same_seed_in_another_process_gives_the_same_search(self, kind, elsewhere):
        assert elsewhere[kind] == repr(searched(kind))

    def test_restored_search_goes_on_as_if_undisturbed(self, kind):
        whole, again = searched(kind), Suggestions(SPACES[kind], kind=kind, seed=3)
        for number, earlier in enumerate(whole[:-1]):
            assert again.restore(earlier.params, earlier.drawn_by) == earlier
            finish(again, number, earlier, kind)
        assert again.suggest() == whole[-1]

    def test_every_suggestion_is_in_the_space(self, kind):
        for suggestion in searched(kind):
            assert SPACES[kind].contains(suggestion.params)
            assert SPACES[kind].params_of(suggestion.tree) == suggestion.params

    def test_inactive_parameter_is_not_sampled(self, kind):
        if kind == "gp":
            pytest.skip("gp refuses conditions")
        asked = search(kind, seed=0, num_trials=30)
        assert {"loss.temperature" in s.params for s in asked if s.params["loss.kind"] == "mse"}
        for suggestion in asked:
            is_mse = suggestion.params["loss.kind"] == "mse"
            assert ("loss.temperature" in suggestion.params) == is_mse

    def test_values_round_trip_between_space_and_config(self, kind):
        for suggestion in searched(kind):
            again = Suggestions(SPACES[kind], kind=kind, seed=0)
            params = SPACES[kind].params_of(suggestion.tree)
            assert again.restore(params).tree == suggestion.tree

    def test_a_config_that_breaks_a_limit_is_recorded_as_infeasible(self, kind):
        if kind == "gp":
            pytest.skip("gp refuses limits")
        suggestions = Suggestions(SPACES[kind], kind=kind, seed=0)
        suggestions.suggest()
        suggestions.reject(0, {"max_params": 0.5, "max_macs": 2.0})
        (trial,) = suggestions.study.trials
        assert (trial.state, trial.constraints) == (
            TrialState.PRUNED,
            {"max_params": 0.5, "max_macs": 2.0},
        )

    def test_bounds_are_reached_and_restored(self, kind):
        space = Space(
            name="bounds", fixed={}, dimensions=(Integer(name="n", low=2, high=4),)
        )
        suggestions = Suggestions(space, kind=kind, seed=0)
        drawn = set()
        for number in range({"grid": 3, "gp": 13}.get(kind, 40)):
            drawn.add(suggestions.suggest().params["n"])
            suggestions.end(number, "complete", 10.0)
        # A sampler that learns may settle; both ends must still be within reach.
        assert drawn <= {2, 3, 4}
        assert {2, 4} <= drawn
        assert [Suggestions(space, kind=kind, seed=0).restore({"n": n}).params["n"]
                for n in (2, 4)] == [2, 4]  # fmt: skip


def test_grid_walks_every_point_in_order_and_ends():
    space = SPACES["grid"]
    suggestions = Suggestions(space, kind="grid", seed=0, passes=2)
    asked = []
    while (suggestion := suggestions.suggest()) is not None:
        asked.append(suggestion)
    points = [s.params for s in asked]
    # 8 temperatures with mse, else none; 3 widths, 10 learning rates.
    assert len(points) == 2 * (8 + 1 + 1) * 3 * 10
    assert points[:300] == points[300:] == list(space.grid_points())
    assert len({s.seed for s in asked[:300]}) == 1
    assert asked[0].seed != asked[300].seed


@pytest.mark.parametrize(
    ("kind", "space", "stops_early", "message"),
    [
        ("gp", SPACES["gp"], True, r"honour early stopping: .* set scheduler.kind to none"),
        ("gp", EVERY_KIND, False, r"conditions: loss.temperature depends on loss.kind"),
        ("grid", EVERY_KIND, False, r"loss.temperature: a grid needs values .* give it a step"),
        ("gp", limited(SPACES["gp"]), False, r"limits \(max_params\): it learns nothing"),
        ("grid", started(SPACES["grid"]), True, r"start_from: a grid runs every point anyway"),
    ],
)
def test_sampler_that_cannot_honour_a_setting_is_refused(kind, space, stops_early, message):
    with pytest.raises(ConfigError, match=message):
        refuse_unfit(kind, space, stops_early=stops_early)


@pytest.mark.parametrize("kind", get_args(SamplerKind))
def test_sampler_that_can_is_not_refused(kind):
    refuse_unfit(kind, SPACES[kind], stops_early=kind != "gp")


def test_suggestions_are_numbered_and_seeded_apart(space):
    suggestions = Suggestions(space, kind="tpe", seed=0)
    asked = [suggestions.suggest() for _ in range(12)]
    assert [s.number for s in asked] == list(range(12))
    assert len({s.seed for s in asked}) == 12


def test_tpe_learns_from_recorded_values(space):
    asked = search("tpe", seed=1, num_trials=60, space=space)
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
    assert failed.state is TrialState.FAIL
    assert diverged.state is TrialState.PRUNED
    assert diverged.intermediate_values == {1: 50.0}
    assert suggestions.study.best_trial.number == 0


def test_diverged_trial_ranks_behind_those_that_were_stopped_before_it(space):
    suggestions = Suggestions(space, kind="tpe", seed=0)
    for number in range(12):
        suggestions.suggest()
        is_late = number < 3
        for epoch in range(1, 21 if is_late else 10):
            suggestions.report(number, epoch, 12.0)
        suggestions.end(number, "diverged" if is_late else "stopped_early")
    below, above = _split_trials(suggestions.study, suggestions.study.trials, 3)
    assert {trial.number for trial in below}.isdisjoint({0, 1, 2})
    assert {0, 1, 2} <= {trial.number for trial in above}


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
    with pytest.raises(ValueError, match=r"suggestion 0 had .*'loss.temperature': 2"):
        Suggestions(space, kind="tpe", seed=0).restore(earlier)
