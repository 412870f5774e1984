import json

import pytest

from results.analysis.front import by_goals, cost_of, front_of, goal_point, kept_first
from results.analysis.front_volume import CHANCE_PCT, front_volume
from results.analysis.nondominated import hypervolume
from results.analysis.ranking import ranked
from results.analysis.run_view import RunView
from results.tables.trials import trials_table, write_tables
from results.terminal.front import front_remarks, front_view
from results.terminal.trials import trials_view
from tests.results.terminal.test_trials import text_of as shown
from tests.worlds.goals_run import latency_of, write_goals_run
from tests.worlds.made_up_run import write_made_up_run


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return write_goals_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def one_goal(tmp_path_factory):
    return RunView.read(write_made_up_run(tmp_path_factory.mktemp("one") / "run", 12))


def beaten(trial, trials):
    own = goal_point(trial)
    return any(
        goal_point(other) != own
        and all(x <= y for x, y in zip(goal_point(other), own, strict=True))
        for other in trials
    )


def test_the_front_is_what_no_ranked_trial_beats(view):
    expected = [trial for trial in view.ranked if not beaten(trial, view.ranked)]
    assert {t.trial for t in view.front} == {t.trial for t in expected}
    assert 1 < len(view.front) < len(view.ranked)
    points = [goal_point(trial) for trial in view.front]
    assert points == sorted(points)
    assert [cost for _, cost in points] == sorted((c for _, c in points), reverse=True)


def test_trials_are_kept_by_the_front_and_the_first_in_rank_always(view):
    order, front = list(by_goals(view.histories)), {t.trial for t in view.front}
    assert {t.trial for t in order[: len(front)]} == front
    assert sorted(t.trial for t in order) == sorted(t.trial for t in view.ranked)
    kept = list(kept_first(view.histories))
    assert kept[0] is view.ranked[0]
    assert sorted(t.trial for t in kept) == sorted(t.trial for t in order)


def test_with_one_goal_there_is_no_front_and_the_order_is_that_of_the_ranks(one_goal):
    assert front_of(one_goal.histories) == []
    assert list(kept_first(one_goal.histories)) == ranked(one_goal.histories)
    assert front_volume(one_goal.own, one_goal.records, one_goal.goals) is None
    assert front_view(one_goal) is None
    table = trials_table(one_goal)
    assert table["on_front"].null_count == table["cpu_latency"].null_count == table.num_rows


def test_the_volume_rises_to_that_of_the_front(view):
    found = front_volume(view.own, view.records, view.goals)
    highest = max(latency_of(trial.trial) for trial in view.own)
    assert found.reference == {"veer": CHANCE_PCT, "cpu_latency": highest}
    assert list(found.shares) == sorted(found.shares)
    # Also of trials that diverged later, which have no place on the front.
    best = [(t.best_veer_pct, latency_of(t.trial)) for t in view.own if t.best_veer_pct]
    known = hypervolume(best, (CHANCE_PCT, highest)) / (CHANCE_PCT * highest)
    assert found.shares[-1] == pytest.approx(known)
    assert found.epochs[-1] == sum(len(trial.epochs) for trial in view.own)


def test_table_and_terminal_show_costs_and_front(view):
    rows = {row["trial"]: row for row in trials_table(view).to_pylist()}
    front = {trial.trial for trial in view.front}
    assert {number for number, row in rows.items() if row["on_front"]} == front
    assert {row["on_front"] for row in rows.values() if row["rank"] is None} == {None}
    assert all(row["cpu_latency"] == latency_of(number) for number, row in rows.items())
    text = shown(front_view(view), 100)
    assert f"the front: {len(front)} of {len(view.ranked)} trials" in text
    assert "CPU time" in text
    assert all(f"{latency_of(number):.3f}" in text for number in front)
    assert "front" in shown(trials_view(view, width=160), 160)
    assert "up to" not in " ".join(front_remarks(view)[:1])


def test_the_front_is_written_beside_the_tables_only_where_there_is_one(view, one_goal):
    write_tables(view)
    write_tables(one_goal)
    assert not one_goal.folder.front.exists()
    found = json.loads(view.folder.front.read_text())
    assert found["goals"] == ["veer", "cpu_latency"]
    assert [each["trial"] for each in found["front"]] == [trial.trial for trial in view.front]
    for each, trial in zip(found["front"], view.front, strict=True):
        assert each["cpu_latency"] == latency_of(trial.trial)
        assert each["interval_pct"] == [trial.best.veer_low_pct, trial.best.veer_high_pct]
    assert found["volume"]["reference"]["veer"] == CHANCE_PCT
    assert len(found["volume"]["shares"]) == len(found["volume"]["epochs"]) == 100


def test_parameters_are_known_without_being_a_goal(one_goal):
    trial = next(trial for trial in one_goal.ranked if trial.last.num_params)
    assert cost_of(trial, "params") == trial.last.num_params
    assert cost_of(trial, "macs") is None
