"""VEER and peak memory of forms."""

from pathlib import Path

import pytest

from results.analysis.run_view import RunView
from results.export.form_measures import form_eer, measured_forms, with_values
from results.export.forms import benchmark_forms, make_forms
from results.export.measured import measured_models
from results.journal.run_folder import RunFolder
from search.review.model_source import corpus_of_search
from spaces.files.errors import ConversionError
from tests.results.export.test_benchmark import QUICK
from trainable.deployment.memory import network_peak_mb, onnx_peak_mb


@pytest.mark.slow
def test_forms_have_a_veer_and_the_network_that_of_its_training(trained_run: RunFolder) -> None:
    view = RunView.read(trained_run)
    corpus = corpus_of_search(view)
    assert corpus is not None
    made, lines = make_forms(measured_models(view, 1), ["onnx"])
    student, graph = (each for each in made if each.model == "trial 0")
    seen: list[tuple[int, int]] = []
    values, missing = measured_forms(made, corpus, lambda *counts: seen.append(counts))
    assert lines == []
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    report = student.network.history[-1]
    assert values[student.key]["form_veer_pct"] == pytest.approx(report["veer_pct"])
    assert values[graph.key]["form_veer_pct"] == form_eer(graph, corpus).eer_pct
    # An interval needs more speakers than the tiny list has, and the reason is given.
    assert values[graph.key]["form_veer_low_pct"] is None
    assert f"{graph.key}: EER" in " ".join(missing)
    rows = with_values(benchmark_forms(made, QUICK), values)
    peaks = {row.form: row.peak_mb for row in rows if row.model == "trial 0"}
    assert peaks["torch"] is not None
    assert peaks["onnx"] is not None
    # PyTorch alone takes more than ONNX Runtime and NumPy.
    assert peaks["torch"] > peaks["onnx"] > 20


def test_each_missing_value_has_a_line_with_the_reason(
    trained_run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: Path, compiled: str | None) -> float:
        assert compiled is None
        raise ConversionError(f"no {file.suffix}")

    monkeypatch.setattr("results.export.form_measures.network_peak_mb", fail)
    made, _ = make_forms(measured_models(RunView.read(trained_run), 1), [])
    values, missing = measured_forms(made, None, lambda *_: None)
    assert missing[:2] == [
        f"{each.key}: no peak memory: no {each.network.file.suffix}" for each in made
    ]
    assert missing[2:] == ["no VEER of the forms: the run has no record of its corpus"]
    assert values == {each.key: {} for each in made}


def test_a_process_that_fails_names_the_reason(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"status 1: .*INVALID_PROTOBUF"):
        onnx_peak_mb(b"no graph")
    with pytest.raises(ConversionError, match=r"status 1: .*none\.model"):
        network_peak_mb(tmp_path / "none.model")
