"""`veer export --at-latency` and its like: which trial is chosen, and what is printed."""

import re

import pytest
from typer.testing import CliRunner

from results.export.within import better_in_words, choose_within, chosen_in_words
from search.cli.app import app
from spaces.files.errors import RunError
from tests.worlds.goals_run import latency_of, write_goals_run


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """A run in which the first in rank and all trials of the front but one have a checkpoint."""
    view = write_goals_run(tmp_path_factory.mktemp("run") / "run")
    for trial in (view.ranked[0], *view.front[:1], *view.front[2:]):
        model = view.folder.trial(trial.trial) / "model"
        model.mkdir(parents=True, exist_ok=True)
        (model / "model000000001.model").write_bytes(b"weights")
    return view


def test_the_lowest_veer_within_the_cost_is_chosen(view):
    first, last = view.front[0], view.front[-1]
    assert choose_within(view, {"cpu_latency": latency_of(first.trial)}).trial is first
    assert choose_within(view, {"cpu_latency": 99}).trial is first
    cheapest = choose_within(view, {"cpu_latency": latency_of(last.trial)})
    assert (cheapest.trial, list(cheapest.better)) == (last, [])
    assert better_in_words(cheapest) is None


def test_a_better_trial_without_a_checkpoint_is_named(view):
    lacking = view.front[1]
    found = choose_within(view, {"cpu_latency": latency_of(lacking.trial)})
    assert found.better[0] is lacking
    assert found.trial.trial != lacking.trial
    assert latency_of(found.trial.trial) <= latency_of(lacking.trial)
    words = better_in_words(found)
    assert words.startswith(f"trial {lacking.trial} ({lacking.best_veer_pct:.2f} %)")
    assert f"better than trial {found.trial.trial} " in words


def test_several_costs_must_all_hold(view):
    trial = view.front[-1]
    params = trial.last.num_params
    found = choose_within(view, {"cpu_latency": latency_of(trial.trial), "params": params})
    assert found.trial.last.num_params <= params


def test_where_none_is_cheap_enough_the_lowest_cost_is_named(view):
    lowest = min(latency_of(trial.trial) for trial in view.ranked)
    message = rf"no trial has CPU time / teacher of at most 0.01; the lowest is {lowest:.4g} \(tri"
    with pytest.raises(RunError, match=message):
        choose_within(view, {"cpu_latency": 0.01})


def test_the_lowest_count_that_is_named_can_be_given(view):
    lowest = min(trial.last.num_params for trial in view.ranked)
    with pytest.raises(RunError, match=rf"at most 1; the lowest is {lowest} \(trial"):
        choose_within(view, {"params": 1})
    with pytest.raises(RunError, match="within, but none of them has a checkpoint"):
        choose_within(view, {"params": lowest})


def test_the_choice_is_named_with_its_veer_cost_and_epochs(view):
    first = view.front[0]
    words = chosen_in_words(choose_within(view, {"cpu_latency": 99}), {"cpu_latency": 99})
    latency = latency_of(first.trial)
    assert words.startswith(
        f"trial {first.trial}: VEER {first.best_veer_pct:.2f} %, CPU time / teacher {latency:.4g} "
        "(at most 99); "
    )
    assert words.endswith(f"{first.state}, {len(first.epochs)} epochs")


def test_a_cost_that_is_no_goal_is_refused(view):
    message = r"--at-macs needs a search with the goal macs, this run has the objective veer, cpu_"
    with pytest.raises(RunError, match=message):
        choose_within(view, {"macs": 1e9})


def test_where_no_checkpoint_is_left_the_best_is_named(tmp_path):
    view = write_goals_run(tmp_path / "run", 6)
    best = min(view.ranked, key=lambda trial: (trial.best_veer_pct, trial.trial)).trial
    with pytest.raises(RunError, match=rf"trial {best} has the lowest VEER of the \d+ within"):
        choose_within(view, {"cpu_latency": 99})


def test_the_command_refuses_a_trial_and_a_cost(view):
    command = ["export", str(view.folder.path), "--trial", "1", "--at-latency", "0.5"]
    result = CliRunner().invoke(app, command)
    assert "--trial names the trial, so omit it or --at-latency" in str(result.exception)


@pytest.mark.parametrize("option", ["--at-latency", "--at-params", "--at-macs"])
@pytest.mark.parametrize("cost", ["0", "nan", "-1", "inf", "fast"])
def test_a_cost_is_a_number_above_0(view, option, cost):
    result = CliRunner().invoke(app, ["export", str(view.folder.path), option, cost])
    assert re.fullmatch(
        rf"{option} must be a number above 0, such as \S+, got '{cost}'", str(result.exception)
    )


def test_a_count_may_have_an_exponent(view):
    result = CliRunner().invoke(app, ["export", str(view.folder.path), "--at-macs", "1e7"])
    assert "--at-macs needs a search with the goal macs" in str(result.exception)
