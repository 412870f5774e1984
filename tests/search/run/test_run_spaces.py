"""Whole searches over spaces with limits, starting points and criteria."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from models import build_model, count_parameters
from results.analysis.nondominated import nondominated
from results.analysis.run_view import RunView
from results.export.benchmark import benchmark_run
from results.export.form_run import benchmark_run_forms
from results.export.within import choose_within
from results.journal.goals import cost_values
from results.records.record import Record
from results.tables.trials import trials_table
from results.terminal.front import front_remarks
from search.cli import outcome
from search.run import run_search as run_search_module
from search.run.progress import SearchView
from search.run.run_search import SearchResult, run_search
from spaces.files.yaml_file import read_yaml, write_yaml
from tests.worlds.finished_search import QUICK
from tests.worlds.views import counted_reads
from trainable.config.trial_config import TrialConfig

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("ray_here")]


@pytest.fixture
def search(make_settings, tiny_world, tmp_path) -> Callable[..., tuple[SearchResult, str]]:
    """A function that searches the tiny space with other top-level keys; result and screen."""

    def go(space: dict, folder: str = "run", **overrides) -> tuple[SearchResult, str]:
        tree = deepcopy(read_yaml(tiny_world / "space.yaml").data) | space
        write_yaml(tmp_path / "space.yaml", tree)
        with (tmp_path / "out").open("w") as out:
            view = SearchView(Console(file=out, width=200))
            settings = make_settings(space=tmp_path / "space.yaml", **overrides)
            result = run_search(settings, tmp_path / folder, view)
        return result, (tmp_path / "out").read_text()

    return go


def records_of(result: SearchResult, event: str) -> list[Record]:
    return [record for record in result.run.records if record.event == event]


def num_params(space: dict, hidden_dim: int) -> int:
    model = space["model"] | {"hidden_dim": hidden_dim}
    return count_parameters(build_model(TrialConfig.model_validate({
        "model": model, "training": {"crop_frames": 80}
    }).model))  # fmt: skip


def require_front(view: RunView) -> None:
    """Check costs and front of a search with the goals VEER, CPU time and parameters."""
    costs = {trial.trial: trial.costs for trial in view.own}
    for trial in view.own:
        config = TrialConfig.model_validate(trial.started.config)
        assert set(costs[trial.trial]) == {"cpu_latency", "params"}
        assert costs[trial.trial]["params"] == count_parameters(build_model(config.model))
        assert costs[trial.trial]["cpu_latency"] > 0
    points = [(t.best_veer_pct, *cost_values(costs[t.trial])) for t in view.own]
    front = {view.own[place].trial for place in nondominated(points)}
    assert {trial.trial for trial in view.front} == front
    rows = trials_table(view).to_pylist()
    assert {row["trial"] for row in rows if row["on_front"]} == front
    written = json.loads((view.folder.path / "front.json").read_text())
    assert {each["trial"] for each in written["front"]} == front
    assert written["volume"]["epochs"][-1] == sum(len(trial.epochs) for trial in view.own)
    # Its checkpoints were kept.
    smallest = min(each["params"] for each in costs.values())
    assert choose_within(view, {"params": smallest}).trial.trial in front
    assert f"the front: {len(front)} of 3 trials" in front_remarks(view)[0]


def test_search_with_limits_and_starting_points(search, tiny_world, tmp_path):
    tiny = read_yaml(tiny_world / "space.yaml").data
    small, large = num_params(tiny, 8), num_params(tiny, 16)
    start = tmp_path / "start.yaml"
    write_yaml(start, {"model": tiny["model"] | {"hidden_dim": 16}, "loss": {"alpha": 0.95},
                       "training": {"crop_frames": 80, "batch_size": 8}})  # fmt: skip
    result, screen = search({"limits": {"max_params": small}, "start_from": [str(start)]})
    assert result.reason == "finished"
    trials = records_of(result, "trial_started")
    assert [record.trial for record in trials] == [0, 1, 2, 3]
    assert {record.config["model"]["hidden_dim"] for record in trials} == {8}
    rejected = records_of(result, "infeasible")[0]
    assert rejected.params["model.hidden_dim"] == 16
    assert rejected.params["loss.alpha"] == 0.9
    [violation] = rejected.violations
    assert (violation.limit, violation.value) == ("max_params", large)
    assert "loss.alpha 0.95 -> 0.9, the nearest here" in screen
    assert "forecast: about " in screen
    assert "rung 1: 4 trials reach it" in screen
    assert "ceiling: with rungs at epochs 1 of 3 even perfect stopping saves at most" in screen


def test_search_learns_from_an_earlier_one_which_had_several_goals(search, tmp_path):
    goals = ["veer", "cpu_latency", "params"]
    first, _ = search({}, "first", num_trials=3, benchmark_top=0, objective=goals)
    require_front(first.run)
    settings = {"num_trials": 2, "benchmark_top": 0, "learn_from": [tmp_path / "first"]}
    result, screen = search({}, "second", **settings)
    assert f"learns from {tmp_path / 'first'}: the order of 3 trials" in screen
    [read] = records_of(result, "earlier_trials")
    params = {each.trial: each.params for each in records_of(first, "trial_started")}
    assert {each.trial: each.params for each in read.trials} == params
    assert sorted(each.place for each in read.trials) == [0, 0.5, 1]
    assert {each.drawn_by for each in records_of(result, "trial_started")} <= {
        "tpe", "local", "random"
    }  # fmt: skip
    # The earlier run is needed no more.
    (tmp_path / "first" / "journal.jsonl").unlink()
    again, _ = search({}, "second", **settings)
    assert again.was_finished


def test_search_ends_when_its_target_is_met(search, tmp_path, capsys, monkeypatch):
    criteria = {"easy": 99.0, "hard": 0.001}
    settings = {"success": criteria, "benchmark_top": 1, "num_trials": 2}
    settings["benchmark_forms"] = ["onnx"]
    for measure in (benchmark_run, benchmark_run_forms):
        quick = partial(measure, config=QUICK)
        monkeypatch.setattr(f"search.run.ending.{measure.__name__}", quick)
    with counted_reads(tmp_path / "run") as reads:
        result, screen = search({}, **settings, stop_at="easy")
        monkeypatch.setattr(run_search_module, "run_search", lambda *_, **__: result)
        outcome.run_and_print(None, tmp_path / "run")
    # For the files that grow with it, and for all that is written and printed at its end.
    assert len(reads) == 2
    printed = capsys.readouterr().out
    assert "exported to " in printed
    assert "measuring forms: onnx" in screen
    assert "the front of forms: no other form" in printed
    assert "trial 0, onnx: VEER " in printed
    table = pq.read_table(result.run.folder.forms_table)
    assert set(table.column("form").to_pylist()) == {"torch", "onnx"}
    assert set(table.column("model").to_pylist()) == {"teacher", "trial 0"}
    assert 'id="chart-veer_by_form"' in result.run.folder.report.read_text()
    assert [r.event for r in result.run.records[-2:]] == ["benchmark", "search_ended"]
    assert result.run.records == result.run.folder.read()
    assert result.reason == "target_met"
    assert "trial 0 met the target: the search ends" in screen
    [trial] = records_of(result, "trial_started")
    [ended] = records_of(result, "trial_ended")
    assert (ended.state, ended.reason) == ("stopped_early", "trial 0 met the target of 99 %")
    assert trials_table(result.run).to_pylist()[0]["meets"] == "easy"
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    again, _ = search({}, **settings, stop_at="easy")
    assert again.was_finished
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before
    harder, _ = search({}, **settings, stop_at="hard")
    assert harder.reason == "finished"
    assert len(records_of(harder, "trial_started")) == 2
    assert trial.trial == 0
