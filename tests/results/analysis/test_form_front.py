"""The front of forms by VEER, latency and size."""

import json
from pathlib import Path

import pytest

from results.analysis.form_front import FORMS_FILE, form_points, front_lines, read_form_rows
from results.analysis.run_view import RunView
from results.journal.run_folder import RunFolder
from results.page.sections import search_sections
from results.records.benchmark_row import BenchmarkRow
from spaces.files.errors import RunError
from tests.results.analysis.test_run_view import PLAIN_ROW
from tests.search.commands import veer
from tests.worlds.made_up_run import write_made_up_run


def form_row(model: str, form: str, **values: float | None) -> BenchmarkRow:
    return BenchmarkRow.model_validate(
        {**PLAIN_ROW, "batch_size": 1, "num_threads": 1, "model": model, "form": form, **values}
    )


def measured(model: str, form: str, veer: float | None, ms: float, mb: float) -> BenchmarkRow:
    return form_row(model, form, form_veer_pct=veer, latency_median_ms=ms, file_mb=mb)


def test_the_front_is_of_students_at_batch_1_on_one_thread() -> None:
    best = measured("trial 1", "onnx", 4.0, 9.0, 8.0)
    small = measured("trial 1", "onnx-int8", 4.2, 6.0, 3.0)
    beaten = measured("trial 2", "onnx", 4.2, 9.5, 8.0)
    teacher = measured("teacher", "onnx", 3.0, 1.0, 1.0)
    unmeasured = measured("trial 3", "onnx", None, 1.0, 1.0)
    batched = small.model_copy(update={"batch_size": 8, "form_veer_pct": 1.0})
    threaded = small.model_copy(update={"num_threads": 2, "form_veer_pct": 1.0})
    points = form_points([beaten, batched, threaded, small, teacher, unmeasured, best])
    assert [(each.row, each.is_on_front) for each in points] == [
        (teacher, False), (best, True), (small, True), (beaten, False),
    ]  # fmt: skip
    assert front_lines(points)[1:] == [
        "trial 1, onnx: VEER 4.00 %, 9.00 ms, 8.00 MB",
        "trial 1, onnx-int8: VEER 4.20 %, 6.00 ms, 3.00 MB",
    ]
    assert front_lines(form_points([unmeasured])) == []


def test_rows_are_read_from_the_run_folder(tmp_path: Path) -> None:
    assert read_form_rows(tmp_path) == []
    row = measured("trial 1", "onnx", 4.0, 9.0, 8.0)
    (tmp_path / FORMS_FILE).write_text(json.dumps({"rows": [row.recorded()]}))
    assert read_form_rows(tmp_path) == [row]
    (tmp_path / FORMS_FILE).write_text('{"rows": [{"model": 1}]}')
    with pytest.raises(RunError, match=r"forms\.json: cannot be read .*--forms"):
        read_form_rows(tmp_path)


def test_veer_trials_and_the_page_have_the_front_and_bear_a_damaged_file(tmp_path: Path) -> None:
    folder = write_made_up_run(tmp_path / "run").path
    row = measured("trial 1", "onnx", 4.0, 9.0, 8.0)
    (folder / FORMS_FILE).write_text(json.dumps({"rows": [row.recorded()]}))
    result = veer("trials", folder)
    assert result.exit_code == 0, result.output
    assert "trial 1, onnx: VEER 4.00 %, 9.00 ms, 8.00 MB" in result.output
    sections = {each.id: each for each in search_sections(RunView.read(RunFolder(folder)), None)}
    assert sections["forms"].table is not None
    assert "4.00" in str(sections["forms"].table)
    assert "yes" in str(sections["forms"].table)
    (folder / FORMS_FILE).write_text("[")
    sections = {each.id: each for each in search_sections(RunView.read(RunFolder(folder)), None)}
    assert "cannot be read" in sections["forms"].lines[0]
    result = veer("trials", folder)
    assert result.exit_code == 0, result.output
    assert "forms.json: cannot be read (JSONDecodeError)" in result.output
