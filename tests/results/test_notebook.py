"""A run in a notebook."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

import results
from results.figures import FIGURES
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.notebook import Run
from results.records.search_records import SearchStarted
from results.tables.schema import EPOCH_COLUMNS, TRIAL_COLUMNS
from spaces.files.errors import RunError
from tests.worlds.journal_writing import report, start
from tests.worlds.made_up_run import keep_made_up_scores, write_made_up_run

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "notebook.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return results.load(write_made_up_run(tmp_path_factory.mktemp("made") / "run").path)


def test_tables_have_the_documented_columns(run: Run) -> None:
    fixed = [name for name in run.trials.columns if not name.startswith("param.")]
    assert fixed == [column.name for column in TRIAL_COLUMNS]
    assert list(run.epochs.columns) == [column.name for column in EPOCH_COLUMNS]
    assert len(run.trials) == 30


def test_what_is_done_to_a_table_stays_there(run: Run) -> None:
    trials, epochs = run.trials, run.epochs
    del trials["trial"]
    epochs["veer_pct"] = 0.0
    assert "trial" in run.trials
    assert run.epochs["veer_pct"].min() > 0


def test_the_best_agrees_with_the_table(run: Run) -> None:
    first = run.trials.iloc[0]
    assert run.best is not None
    assert (run.best.trial, run.best.veer_pct) == (first["trial"], first["veer_pct"])
    assert run.best.interval_pct == (first["veer_pct"] - 1.5, first["veer_pct"] + 1.7)
    assert run.best.config["training"]["lr"] == first["param.training.lr"]
    assert run.best.as_series()["epoch"] == first["best_epoch"]


def test_the_front_is_of_latency_where_trials_were_measured(run: Run) -> None:
    front = run.pareto
    assert front.attrs["cost"] == "latency_median_ms"
    assert front["latency_median_ms"].is_monotonic_increasing
    assert front["veer_pct"].is_monotonic_decreasing
    measured = run.view.speeds
    assert set(front["trial"]) <= set(measured)
    trials = run.trials
    rest = trials[trials["trial"].isin(measured) & ~trials["trial"].isin(front["trial"])]
    for row in rest.itertuples():
        latency_ms = measured[row.trial].latency_median_ms
        beats = front[(front["latency_median_ms"] <= latency_ms)]
        assert (beats["veer_pct"] <= row.veer_pct).any()


def test_the_front_is_of_parameters_without_a_benchmark(journal_run: RunFolder) -> None:
    front = results.load(journal_run.path).pareto
    assert front.attrs["cost"] == "num_params"
    assert front["trial"].tolist() == [0, 5]  # 1000 and 1005 parameters, 12 and 10 %


# The others need scores, or several goals.
DRAWN = {*FIGURES} - {
    "det_curves", "score_histograms", "veer_by_cpu_time", "veer_by_macs", "volume_by_epoch",
    "veer_by_form",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_every_figure_has_a_method(run: Run, name: str) -> None:
    figure = getattr(run, name)()
    assert isinstance(figure, go.Figure)
    assert figure == run.plot(name)


def test_the_figure_of_forms_needs_them(run: Run) -> None:
    with pytest.raises(RunError, match="has no data for the chart veer_by_form yet"):
        run.veer_by_form()


def test_an_unknown_figure_is_an_error_with_the_nearest_name(run: Run) -> None:
    with pytest.raises(RunError, match=r"got 'importances'; did you mean 'importance'\?"):
        run.plot("importances")


def test_a_figure_without_data_is_an_error(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
    run = results.load(tmp_path)
    with pytest.raises(RunError, match="has no data for the chart learning_curves yet"):
        run.learning_curves()
    assert run.best is None
    assert run.pareto.empty
    assert run.trials.empty
    assert "trials: none yet" in repr(run)


def test_a_running_search_is_read_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
        start(journal, 0, loss__distillation="none", training__lr=0.1)
        report(journal, 0, 1, 30.0)
        run = results.load(str(tmp_path))
        report(journal, 0, 2, 20.0)
        with (tmp_path / "journal.jsonl").open("ab") as file:
            file.write(b'{"event": "epo')  # what a reader may see of a line being written
        assert run.is_running
        assert run.best is not None
        assert run.best.veer_pct == 30.0
        assert run.refresh() is run
        assert run.best.veer_pct == 20.0


def test_two_trials_are_compared_on_the_same_replicates(tmp_path: Path) -> None:
    folder = write_made_up_run(tmp_path / "run", 6)
    keep_made_up_scores(folder)
    run = results.load(folder.path)
    found, back = run.compare_pair(0, 1), run.compare_pair(1, 0)
    best = run.trials.set_index("trial")["veer_pct"]
    assert found.behind_pct == pytest.approx(best[0] - best[1])
    assert back.behind_pct == pytest.approx(best[1] - best[0])
    assert found.is_tied is False  # the replicates of both have one noise
    with pytest.raises(RunError, match="no scores of the best epochs of trials 0 and 2"):
        run.compare_pair(0, 2)
    with pytest.raises(RunError, match="the run has no trial 77; its trials are 0 to 5"):
        run.compare_pair(0, 77)


@pytest.mark.parametrize("name", ["det_curves", "score_histograms"])
def test_kept_scores_are_drawn(tmp_path: Path, name: str) -> None:
    folder = write_made_up_run(tmp_path / "run", 4)
    keep_made_up_scores(folder)
    assert getattr(results.load(folder.path), name)().data


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        results.load(tmp_path)


def test_its_text_is_short_and_its_html_escapes(tmp_path: Path) -> None:
    folder = tmp_path / "<b>run"
    folder.mkdir()
    with Journal(folder / "journal.jsonl") as journal:
        journal.append(SearchStarted(settings={}, provenance={}))
        start(journal, 0, loss__distillation="<script>\x1b[2J", training__lr=0.1)
        report(journal, 0, 1, 30.0)
    run = results.load(folder)
    assert "best: trial 0, VEER 30.00 %" in repr(run)
    assert "\x1b" not in repr(run)
    shown = run._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;\\x1b[2J" in shown


@pytest.mark.parametrize(
    "module", ["results", "results.journal.journal", "results.journal.history"]
)
def test_what_only_reads_a_journal_imports_neither_pandas_nor_plotly(module: str) -> None:
    heavy = "{'pandas', 'plotly', 'optuna'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_made_up_run(tmp_path / "runs" / "first")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, object] = {}
    exec(compile("".join(blocks), str(PAGE), "exec"), names)
    assert isinstance(names["run"], Run)
    assert isinstance(names["run"].pareto, pd.DataFrame)
    assert (tmp_path / "importance.html").stat().st_size > 1_000


def test_the_page_names_every_figure() -> None:
    assert [name for name in FIGURES if f"`{name}`" not in PAGE.read_text()] == []
