"""Importance, where the truth is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from results.analysis.run_view import RunView
from results.figures.importance import MIN_TRIALS, importance, importances
from results.records.record import Record
from tests.results.figures.drawing import STARTED, trial_records

ViewOf = Callable[[list[Record]], RunView]


def searched(num_trials: int, state: str = "complete", seed: int = 0) -> list[Record]:
    """VEER is 20 + 3 a + b, a and b even on 0 to 1, so that a makes 90 % of its variance."""
    rng = np.random.default_rng(seed)
    records: list[Record] = [STARTED]
    for trial in range(num_trials):
        a, b = rng.random(2)
        params: dict[str, Any] = {"x.a": float(a), "x.b": float(b), "x.same": 1}
        if trial % 2:
            params["x.c"] = float(rng.random())
        records += trial_records(trial, [20 + 3 * a + b], state, params)
    return records


def test_shares_are_those_of_the_variance(view_of: ViewOf) -> None:
    found = {each.name: each for each in importances(view_of(searched(120)))}
    assert found["x.a"].share == pytest.approx(0.9, abs=0.08)
    assert found["x.b"].share == pytest.approx(0.1, abs=0.08)
    assert found["x.a"].share + found["x.b"].share == pytest.approx(1)
    assert 0 < found["x.a"].spread < 0.1


def test_what_only_some_trials_had_rests_on_those(view_of: ViewOf) -> None:
    found = {each.name: each for each in importances(view_of(searched(40)))}
    assert set(found) == {"x.a", "x.b", "x.c"}
    assert (found["x.c"].num_trials, found["x.c"].is_conditional) == (20, True)
    assert (found["x.a"].num_trials, found["x.a"].is_conditional) == (40, False)


def test_the_same_run_has_the_same_bars_and_another_seed_nearly(view_of: ViewOf) -> None:
    view = view_of(searched(30))
    first = importances(view)
    assert first == importances(view)
    other = {each.name: each.share for each in importances(view, seed=1)}
    assert other != {each.name: each.share for each in first}
    assert all(other[each.name] == pytest.approx(each.share, abs=0.2) for each in first)


@pytest.mark.parametrize(
    ("num_trials", "state", "is_drawn"),
    [
        (MIN_TRIALS - 1, "complete", False),
        (MIN_TRIALS, "complete", True),
        (40, "stopped_early", False),
        (40, "diverged", False),
    ],
)
def test_it_takes_enough_complete_trials(
    view_of: ViewOf, num_trials: int, state: str, is_drawn: bool
) -> None:
    assert (importance(view_of(searched(num_trials, state))) is not None) == is_drawn


def test_follow_ups_do_not_count(view_of: ViewOf) -> None:
    records = searched(MIN_TRIALS - 1)
    for trial in range(MIN_TRIALS - 1, 12):
        params = {"x.a": trial / 12, "x.b": 0.5, "x.same": 1}
        records += trial_records(trial, [9.0], params=params, follow_up="repeat", follows=0)
    assert importance(view_of(records)) is None


def test_a_single_parameter_has_nothing_to_share_with(view_of: ViewOf) -> None:
    records: list[Record] = [STARTED]
    for trial in range(10):
        records += trial_records(trial, [float(trial)], params={"preset": f"p{trial}"})
    assert importance(view_of(records)) is None


def test_equal_veers_give_no_share(view_of: ViewOf) -> None:
    records: list[Record] = [STARTED]
    for trial in range(8):
        records += trial_records(trial, [5.0], params={"a": trial, "b": -trial})
    assert [each.share for each in importances(view_of(records))] == [0.0, 0.0]


def test_the_chart_states_the_trials_behind_each_bar(view_of: ViewOf) -> None:
    figure = importance(view_of(searched(9)))
    assert figure is not None
    (bars,) = figure.data
    assert bars.name == "all 9 complete trials"
    assert set(bars.y) == {"a", "b"}
    title = figure.layout.xaxis.title.text.replace("<br>", " ")
    assert title.endswith("no bar, since too few complete trials differ in it: c")
    assert all(low <= share for low, share in zip(bars.error_x.arrayminus, bars.x, strict=True))
