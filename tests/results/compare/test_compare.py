"""Searches side by side."""

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from results.analysis.run_view import RunView
from results.compare.compare import compare_runs, run_names
from results.compare.parts import (
    anytime_rows,
    best_so_far,
    differing_rows,
    favoured_rows,
    flatten_settings,
    trials_of_one_run,
)
from results.compare.view import comparison_view, value_text
from results.figures.importance import importances
from results.journal.journal import Journal
from results.records.search_records import CorpusRecord, SearchEnded, SearchStarted, TeacherRecord
from results.records.trial_records import TrialEnded, TrialStarted
from spaces.files.errors import RunError
from tests.search.commands import veer
from tests.worlds.journal_writing import report

SETTINGS = {"sampler": "tpe", "max_epochs": 3, "scheduler": {"kind": "asha"}, "space": "a.yaml"}
SPACE = {
    "loss": {"distillation": {"choices": ["none", "mse"]}, "alpha": {"low": 0.1, "high": 0.9}}
}
Trial = tuple[dict[str, Any], list[float | None], str]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., RunView]:
    """A run by its trials: sampled values, VEER by epoch, state; `running` has no end."""

    def made(name: str, *trials: Trial, **more: Any) -> RunView:
        path = tmp_path / name
        with Journal(path / "journal.jsonl") as journal:
            settings = SETTINGS | more.get("settings", {})
            space = more.get("space", SPACE)
            journal.append(SearchStarted(settings=settings, provenance={}, space=space))
            if "val" in more:
                lists = {"train": {"sha256": "t"}, "val": {"sha256": more["val"]}}
                journal.append(CorpusRecord(lists=lists, stores={}))
            if "teacher" in more:
                facts = {"path": "t", "veer_pct": 7.5, "num_params": 9}
                journal.append(TeacherRecord(sha256=more["teacher"], **facts))
            for number, (params, veers, state) in enumerate(trials):
                put(journal, number, params, veers, state)
            journal.append(SearchEnded(reason="finished"))
        return RunView.read(path)

    return made


def put(
    journal: Journal, number: int, params: dict[str, Any], veers: list[float | None], state: str
) -> None:
    journal.append(
        TrialStarted(
            trial=number,
            params=params,
            config={"loss": {"distillation": "none"}, "own": params, "seed": 77 + number},
            config_hash=f"{number:012x}",
            seed=77 + number,
        )
    )
    for epoch, veer_pct in enumerate(veers, start=1):
        report(journal, number, epoch, math.nan if veer_pct is None else veer_pct)
    if state != "running":
        journal.append(TrialEnded(trial=number, state=state, reason=None))


def text_of(views: list[RunView], width: int = 120) -> str:
    console = Console(width=width, color_system=None, file=io.StringIO(), record=True)
    console.print(comparison_view(compare_runs(views), width))
    return console.export_text()


GOOD = ({"loss.distillation": "mse", "loss.alpha": 0.5}, [20.0, 12.0, 11.0], "complete")
STOPPED = ({"loss.distillation": "none"}, [25.0], "stopped_early")
DIVERGED = ({"loss.distillation": "none", "loss.alpha": 0.3}, [5.0, None], "diverged")
OTHER = ({"loss.distillation": "none", "loss.alpha": 0.2}, [18.0, 10.0], "complete")


def test_only_what_differs_is_named() -> None:
    rows = differing_rows(
        [{"a": 1, "b": {"c": [1, 2], "d": 3}}, {"a": 1, "b": {"c": [1], "d": 3}}]
    )
    assert [(row.name, row.values) for row in rows] == [("b.c", ([1, 2], [1]))]
    rows = differing_rows(
        [{"a": 1, "space": "x"}, {"a": True, "space": "y", "e": None}], ["space"]
    )
    assert [(row.name, row.values) for row in rows] == [("a", (1, True))]


def test_a_range_is_one_value() -> None:
    tree = {"model": {"dim": {"low": 1, "high": 8}, "kind": "x"}, "limits": {}}
    assert flatten_settings(tree) == {
        "model.dim": {"low": 1, "high": 8},
        "model.kind": "x",
        "limits": {},
    }


def test_the_best_so_far_counts_epochs_of_stopped_trials_and_no_veer_of_diverged_ones(
    make: Callable[..., RunView],
) -> None:
    view = make("a", STOPPED, DIVERGED, GOOD)
    assert best_so_far(view) == [25.0, 25.0, 25.0, 20.0, 12.0, 11.0]


def test_an_epoch_that_came_twice_counts_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        put(journal, 0, {}, [20.0], "running")
        report(journal, 0, 1, 19.0)
        report(journal, 0, 2, 18.0)
    assert best_so_far(RunView.read(tmp_path)) == [19.0, 18.0]


def test_runs_are_compared_after_parts_of_the_smaller_budget(
    make: Callable[..., RunView],
) -> None:
    long = make("a", GOOD, ({"loss.alpha": 0.1}, [9.0, 8.0, 7.0], "complete"))  # 6 epochs
    short = make("b", STOPPED, GOOD)  # 4 epochs
    rows = {row.name: row.values for row in anytime_rows([long, short])}
    assert rows == {
        "1 epoch": (20.0, 25.0),
        "2 epochs": (12.0, 20.0),
        "3 epochs": (11.0, 12.0),
        "4 epochs": (9.0, 11.0),
    }
    assert anytime_rows([long, make("c")]) == []


def test_the_best_quarter_is_counted_by_value(make: Callable[..., RunView]) -> None:
    trials = [
        ({"loss.distillation": kind, "loss.alpha": 0.1}, [veer], "complete")
        for kind, veer in zip(["mse", "mse", "none", *["none"] * 5], range(10, 18), strict=True)
    ]
    first, second = make("a", *trials), make("b", *reversed(trials[2:]))
    (row,) = favoured_rows([first, second])  # alpha is no category
    assert (row.name, row.values) == ("loss.distillation", ({"mse": 2}, {"none": 2}))


def test_configs_are_compared_without_their_seeds(make: Callable[..., RunView]) -> None:
    first, second = make("a", GOOD, OTHER), make("b", STOPPED, GOOD)
    assert [[trial.trial for trial in only] for only in trials_of_one_run([first, second])] == [
        [1],
        [0],
    ]


def test_differing_validation_lists_are_a_warning_in_bold(make: Callable[..., RunView]) -> None:
    views = [make("a", GOOD, val="x"), make("b", GOOD, val="y")]
    comparison = compare_runs(views)
    message = "the validation lists differ, so VEERs of different runs cannot be compared"
    assert message in comparison.warnings
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system="standard")
    console.print(comparison_view(comparison))
    assert f"\x1b[1;35m{message}" in out.getvalue()
    same = compare_runs([make("c", GOOD, val="x", teacher="s"), make("d", val="x", teacher="s")])
    assert same.warnings == ()
    assert same.same == (
        "the validation list is the same", "the training list is the same",
        "the teacher is the same",
    )  # fmt: skip


def test_unknown_lists_and_other_differences_are_warnings(make: Callable[..., RunView]) -> None:
    views = [make("a", GOOD, teacher="s"), make("b", GOOD, val="x", teacher="t")]
    warnings = compare_runs(views).warnings
    assert warnings[0].startswith("it is unknown whether the validation lists are the same")
    assert "the teachers differ" in warnings


def test_each_run_has_all_its_facts(make: Callable[..., RunView]) -> None:
    first = make("a", GOOD, STOPPED, val="x")
    second = make("b", OTHER, DIVERGED, val="x", settings={"sampler": "random", "seed": 3})
    comparison = compare_runs([first, second])
    assert {row.name: row.values for row in comparison.settings} == {
        "sampler": ("tpe", "random"),
        "seed": (None, 3),
    }
    one, two = comparison.runs
    assert (one.trials, one.epochs, two.epochs) == ({"complete": 1, "stopped_early": 1}, 4, 4)
    assert one.best is not None
    assert two.best is not None
    assert (one.best["veer_pct"], two.best["veer_pct"]) == (11.0, 10.0)
    assert one.best["median_veer_pct"] == 12.0
    assert one.costs["duration_s"] == 4 * 2.5
    assert [row.name for row in comparison.best_configs] == [
        "own.loss.distillation",
        "own.loss.alpha",
    ]
    assert two.only_here == [
        {"trial": 0, "veer_pct": 10.0, "param.loss.distillation": "none", "param.loss.alpha": 0.2}
    ]
    text = " ".join(text_of([first, second]).split())
    assert "trials 2 (1 complete, 1 stopped early) 2 (1 complete, 1 diverged)" in text
    assert "its VEER % (95 % interval) 11.00 10.00" in text
    assert "sampler tpe random" in text
    assert "a: no importance: fewer than 5 complete trials" in text


def test_a_short_search_has_hours_too(make: Callable[..., RunView]) -> None:
    comparison = compare_runs([make("a", GOOD), make("b", GOOD)])
    facts = [
        replace(run, costs={"duration_s": 7.2, "core_hours": hours, "gpu_hours": 0.0})
        for run, hours in zip(comparison.runs, (0.0123, 1234.5), strict=True)
    ]
    shown = io.StringIO()
    console = Console(width=120, color_system=None, file=shown)
    console.print(comparison_view(replace(comparison, runs=tuple(facts)), 120))
    text = " ".join(shown.getvalue().split())
    assert "training and validation, h 0.002 0.002 core-hours 0.012 1,234.50" in text
    assert "GPU-hours 0.00 0.00" in text


def test_spaces_are_compared_by_their_parts(make: Callable[..., RunView]) -> None:
    other = {"loss": {"distillation": {"choices": ["none"]}, "alpha": {"low": 0.1, "high": 0.9}}}
    comparison = compare_runs([make("a", GOOD), make("b", GOOD, space=other)])
    (row,) = comparison.space
    assert row.name == "loss.distillation"
    assert [value_text(value) for value in row.values] == ["choices none mse", "choices none"]


def test_importance_is_that_of_the_charts_with_its_seed(make: Callable[..., RunView]) -> None:
    trials = [
        ({"loss.distillation": "none", "loss.alpha": 0.1 * n, "model.num_blocks": n % 3},
         [10.0 + n], "complete")
        for n in range(1, 9)
    ]  # fmt: skip
    views = [make("a", *trials), make("b", GOOD)]
    comparison = compare_runs(views)
    found = comparison.runs[0].importance
    assert found is not None
    assert found == {each.name: (each.share, each.spread) for each in importances(views[0], 0)}
    assert found["loss.alpha"][0] > 0.5 > found["model.num_blocks"][0]
    assert comparison.runs[1].importance is None
    assert compare_runs(views).runs[0].importance == found
    assert "fANOVA, seed 0" in text_of(views)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_screen_and_cuts_nothing(make: Callable[..., RunView], width: int) -> None:
    long = "word " * 40 + "end"
    views = [
        make("a", GOOD, settings={"address": long}),
        make("b" * 20, OTHER, settings={"address": "\x1b[2J"}),
    ]
    text = text_of(views, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("word") == 40
    assert "\\x1b[2J" in text


def test_runs_of_one_name_are_called_by_their_paths(
    make: Callable[..., RunView], tmp_path: Path
) -> None:
    first, second = make("x/run", GOOD), make("y/run", GOOD)
    assert run_names([first, second]) == [str(tmp_path / "x/run"), str(tmp_path / "y/run")]
    assert run_names([first, make("z", GOOD)]) == ["run", "z"]


def test_a_single_run_is_refused(make: Callable[..., RunView]) -> None:
    with pytest.raises(RunError, match="at least two runs, got 1"):
        compare_runs([make("a", GOOD)])


def test_a_run_without_trials_or_space_is_compared_all_the_same(
    make: Callable[..., RunView],
) -> None:
    text = text_of([make("a", GOOD), make("empty", space={})])
    assert "best trial" in text


def test_the_command_prints_text_and_json(make: Callable[..., RunView]) -> None:
    paths = [make(name, GOOD, OTHER).folder.path for name in "ab"]
    assert "Costs and results" in veer("compare", *paths).output
    data = json.loads(veer("compare", *paths, "--json").output)
    assert [run["name"] for run in data["runs"]] == ["a", "b"]
    assert data["runs"][0]["best"]["veer_pct"] == 10.0
    assert data["importance_seed"] == 0
