import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from results.page.charts_page import write_charts_page
from search.cli.app import app
from search.prediction import prediction, scaling
from search.prediction.prediction import races_of
from search.prediction.scaling import run_races
from spaces.files.errors import RunError
from tests.worlds.simulated_run import write_simulated_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_simulated_run(tmp_path_factory.mktemp("run") / "run", num_trials=12).folder.path


def simulated(*words):
    return CliRunner().invoke(app, ["simulate", *map(str, words)], catch_exceptions=False)


def test_simulate_prints_basis_table_and_sentence_and_writes_a_page(run, tmp_path):
    page = tmp_path / "page.html"
    result = simulated(run, "--seeds", 2, "--vary", "num_trials=4", "--out", page)
    assert result.exit_code == 0
    parts = ("fitted to 12 trials of 12 configs", "rank correlation", "seeds 0 to 1", "as given",
             "num_trials 4", "what would save epochs", f"page: {page}")  # fmt: skip
    for part in parts:
        assert part in result.output.replace("\n", " ")
    assert "num_trials 4" in page.read_text()


def test_simulate_as_json(run):
    result = simulated(run, "--seeds", 2, "--vary", "num_trials=4", "--json", "--seed", 5)
    found = json.loads(result.output[result.output.index("{") :])
    assert (found["seeds"], found["quality"]["num_configs"]) == ([5, 6], 12)
    assert [each["name"] for each in found["results"]] == ["as given", "num_trials 4"]


def test_searches_up_to_a_veer_are_shown_kind_by_kind(run, tmp_path, monkeypatch):
    """An interruption loses neither the first table nor the kinds that have ended."""
    asked = []

    def short(setup, found):
        return [replace(each, most_trials=4) for each in races_of(setup, found)]

    def interrupted(races, settings, arms, *others):
        asked.extend(arms)
        if len(asked) > 1:
            raise KeyboardInterrupt
        return run_races(races, settings, arms, *others)

    monkeypatch.setattr(scaling, "WORKERS", (1, 4))
    monkeypatch.setattr(prediction, "races_of", short)
    monkeypatch.setattr(scaling, "run_races", interrupted)
    page = tmp_path / "page.html"
    result = simulated(
        run, "--seeds", 2, "--vary", "num_trials=4", "--scaling", "--out", page
    )
    assert result.exit_code == 130
    first, up_to = result.output.split("up to a VEER: 16 searches (2 seeds, 4 kinds, 2 numbers")
    assert "num_trials 4" in first
    assert "random: at least 80% of linear" in up_to
    assert "Time to a VEER" in page.read_text()


def test_a_page_that_cannot_be_written_is_one_line_with_the_remedy(tmp_path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "page.html"
    with pytest.raises(RunError, match=r"page.html: cannot write the page: .*; choose another"):
        write_charts_page(out, "title", (), (), {})


def test_too_few_trials_are_refused(tmp_path):
    run = write_simulated_run(tmp_path / "run", num_trials=3).folder.path
    with pytest.raises(RunError, match=r"at least 10 different configs.*got 3"):
        simulated(run)
