"""Networks and their ONNX forms, timed beside each other."""

import json
import sys

import pytest

from results.analysis.run_view import RunView
from results.export.form_run import benchmark_run_forms
from results.export.forms import benchmark_forms, fastest_teacher, make_forms
from results.export.measured import measured_models
from results.journal.run_folder import RunFolder
from spaces.files.errors import ConversionError
from tests.results.export.test_benchmark import QUICK
from tests.search.commands import veer
from trainable.cost.quiet_rounds import TimedCall, TimedRounds
from trainable.deployment.compiled import CompiledNetwork, compile_network
from trainable.deployment.running import LOWEST_COSINE


@pytest.mark.slow
def test_forms_are_compared_with_the_teachers_fastest(trained_run: RunFolder) -> None:
    made, lines = make_forms(measured_models(RunView.read(trained_run), 1), ["onnx"])
    assert lines == []
    wanted = [(name, form) for name in ("teacher", "trial 0") for form in ("torch", "onnx")]
    rows = benchmark_forms(made, QUICK)
    settings = [(1, batch) for batch in QUICK.batch_sizes]
    assert [(row.model, row.form) for row in rows] == wanted * len(settings)
    for row in rows:
        assert row.teacher_form in ("torch", "onnx")
        is_reference = (row.model, row.form) == ("teacher", row.teacher_form)
        assert (row.speed_ratio == 1.0) == is_reference
        assert row.chunk_real_time_factor is not None
        assert row.chunk_real_time_factor > 0
        if row.form == "onnx":
            assert row.form_cosine is not None
            assert row.form_cosine >= LOWEST_COSINE["onnx"]
            assert row.file_mb is not None
            assert row.file_mb > 0.8  # the front end alone
    slowest = TimedRounds({each.key: [TimedCall(float(n), True)] for n, each in enumerate(made)})
    assert fastest_teacher(made, slowest) is made[0]
    assert fastest_teacher(made[2:], slowest) is None


def test_a_form_that_cannot_be_made_is_a_line(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    made, lines = make_forms(measured_models(RunView.read(trained_run), 1), ["onnx"])
    assert [each.form for each in made] == ["torch", "torch"]
    assert lines[1].startswith("trial 0 has no onnx: a form of ONNX needs an extra (onnxscript")


@pytest.mark.slow
def test_a_compiled_network_is_a_form_without_a_file(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "results.export.forms.compile_network", lambda *given: compile_network(*given, "eager")
    )
    made, lines = make_forms(measured_models(RunView.read(trained_run), 1), ["torch-compile"])
    assert lines == []
    rows = {(row.model, row.form): row for row in benchmark_forms(made, QUICK)}
    own, network = rows["trial 0", "torch-compile"], rows["trial 0", "torch"]
    assert own.form_cosine == pytest.approx(1.0, abs=1e-5)
    assert own.load_ms is None
    assert own.file_mb == network.file_mb


@pytest.mark.slow
def test_where_nothing_can_be_compiled_the_reason_is_kept(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> CompiledNetwork:
        raise ConversionError("torch.compile failed (no compiler)")

    monkeypatch.setattr("results.export.forms.compile_network", fail)
    view = RunView.read(trained_run)
    measured = benchmark_run_forms(view, 1, ["torch-compile"], None, QUICK)
    assert {row.form for row in measured.rows} == {"torch"}
    saved = json.loads((trained_run.path / "forms.json").read_text())
    assert saved["missing"][:2] == [
        f"{name} has no torch-compile: torch.compile failed (no compiler)"
        for name in ("teacher", "trial 0")
    ]


@pytest.mark.slow
def test_without_the_extra_the_command_measures_torch_and_writes_its_file(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("results.export.benchmark.BenchmarkConfig", lambda **_: QUICK)
    monkeypatch.setattr("results.records.benchmark_row.TIMED_FORMS", ("onnx",))
    result = veer("benchmark", trained_run.path, "--forms", "--top", "1", "--rounds", "1")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "only PyTorch is measured: a form of ONNX needs an extra (onnxruntime" in shown
    saved = json.loads((trained_run.path / "forms.json").read_text())
    assert {row["form"] for row in saved["rows"]} == {"torch"}
    assert float(saved["hardware"]["load_at_start"]) >= 0
