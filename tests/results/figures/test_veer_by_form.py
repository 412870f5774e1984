"""The chart of VEER against latency of the forms."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from results.analysis.form_front import FORMS_FILE
from results.analysis.run_view import RunView
from results.figures import FIGURES
from results.records.benchmark_row import BenchmarkRow
from results.tables.trials import write_tables
from tests.results.analysis.test_form_front import form_row, measured
from tests.results.figures.drawing import all_values
from tests.worlds.made_up_run import write_made_up_run


def run_with(folder: Path, *rows: BenchmarkRow) -> RunView:
    run = write_made_up_run(folder / "run", 4)
    recorded = [row.recorded() for row in rows]
    (run.path / FORMS_FILE).write_text(json.dumps({"rows": recorded}))
    return RunView.read(run)


def interval(row: BenchmarkRow, low: float, high: float) -> BenchmarkRow:
    return row.model_copy(update={"form_veer_low_pct": low, "form_veer_high_pct": high})


def test_forms_are_marks_by_kind_and_the_front_is_ringed(tmp_path: Path) -> None:
    best = interval(measured("trial 1", "onnx", 4.0, 9.0, 8.0), 3.0, 6.0)
    view = run_with(
        tmp_path,
        best,
        measured("trial 1", "torch-compile", 4.0, 8.0, 7.5),
        measured("trial 2", "onnx", 4.2, 9.5, 8.0),
        measured("teacher", "onnx", 3.0, 18.0, 40.0),
    )
    figure = FIGURES["veer_by_form"](view)
    assert figure is not None
    front, *marks = figure.data
    assert list(zip(front.x, front.y, strict=True)) == [(8.0, 4.0)]
    by_name = {trace.name: trace for trace in marks}
    assert set(by_name) == {"onnx", "torch-compile"}
    assert sorted(by_name["onnx"].x) == [9.0, 9.5, 18.0]
    trials = [entry[0] for entry in by_name["onnx"].customdata]
    symbols = dict(zip(trials, by_name["onnx"].marker.symbol, strict=True))
    assert symbols == {None: "star", 1: "circle", 2: "circle"}
    sizes = dict(zip(trials, by_name["onnx"].marker.size, strict=True))
    assert sizes[None] > sizes[1]
    up = dict(zip(trials, by_name["onnx"].error_y.array, strict=True))
    assert up == {None: None, 1: 2.0, 2: None}
    caption = FIGURES["veer_by_form"].caption(view)
    assert caption == (
        "VEER and latency of each form of the best students and of the teacher (stars); a larger "
        "mark is a larger file. Vertical bars are 95 % intervals."
    )


def test_it_leaves_the_colours_of_text_and_ground_to_the_page(tmp_path: Path) -> None:
    view = run_with(tmp_path, measured("trial 1", "onnx", 4.0, 9.0, 8.0))
    figure = FIGURES["veer_by_form"](view)
    assert figure is not None
    plain = figure.to_dict()
    layout = plain["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert [path for path, _ in all_values(plain) if path.endswith("font.color")] == []


def test_text_of_elsewhere_is_no_markup(tmp_path: Path) -> None:
    bad = "trial 1<a href='javascript:1'>%{x}\x1b[2J"
    figure = FIGURES["veer_by_form"](run_with(tmp_path, measured(bad, bad, 4.0, 9.0, 8.0)))
    assert figure is not None
    texts = [str(value) for _, value in all_values(figure.to_dict()) if isinstance(value, str)]
    assert not [text for text in texts if "<a" in text or "\x1b" in text]
    hover = figure.data[-1].customdata[0][1]
    assert "%{x}" not in hover


@pytest.mark.parametrize("content", ["[", json.dumps({"rows": []})])
def test_without_forms_there_is_no_chart(tmp_path: Path, content: str) -> None:
    run = write_made_up_run(tmp_path / "run", 2)
    (run.path / FORMS_FILE).write_text(content)
    assert FIGURES["veer_by_form"](RunView.read(run)) is None
    write_tables(RunView.read(run))
    assert not run.forms_table.exists()


def test_the_table_of_forms_says_which_are_on_the_front(tmp_path: Path) -> None:
    batched = form_row("trial 1", "onnx", form_veer_pct=1.0, file_mb=1.0).model_copy(
        update={"batch_size": 8}
    )
    view = run_with(
        tmp_path,
        measured("trial 1", "onnx", 4.0, 9.0, 8.0),
        measured("trial 2", "onnx", 4.2, 9.5, 8.0),
        measured("teacher", "onnx", 3.0, 18.0, 40.0),
        batched,
    )
    write_tables(view)
    table = pq.read_table(view.folder.forms_table)
    assert table.column("on_front").to_pylist() == [True, False, None, None]
    assert table.column("form_veer_pct").to_pylist() == [4.0, 4.2, 3.0, 1.0]
    metadata = table.schema.field("latency_median_ms").metadata
    assert metadata[b"unit"] == b"ms"
