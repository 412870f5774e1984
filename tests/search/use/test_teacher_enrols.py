"""The VEER where the teacher enrols and a student verifies, in the benchmark of a run."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from results.analysis.run_view import RunView
from results.export.benchmark import benchmark_run
from results.export.measured import measured_models
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.search_records import TeacherRecord
from search.use.teacher_enrols import enrolment_columns
from tests.results.export.test_benchmark import QUICK
from tests.search.commands import done
from tests.worlds.trained_run import Trained, train_both, write_trained_run
from trainable.corpus.corpus import read_corpus_config, read_trial_list
from trainable.embedding.embedder import CropPlan, NetworkEmbedder, embed_utterances
from trainable.verification.metrics import equal_error_rate


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train_both(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def run(tmp_path: Path, trained: Trained) -> RunFolder:
    return write_trained_run(tmp_path, trained)


def collected() -> tuple[list[str], Callable[[str], None]]:
    lines: list[str] = []
    return lines, lines.append


def test_it_is_the_eer_of_the_teachers_first_and_the_students_second_side(
    run: RunFolder, tmp_path: Path
) -> None:
    view, (lines, print_line) = RunView.read(run), collected()
    models = measured_models(view, 1)
    seen: list[tuple[int, int]] = []
    columns = enrolment_columns(view, models, print_line, lambda *counts: seen.append(counts))
    assert lines == []
    assert set(columns) == {"trial 0"}
    assert seen[-1][0] == seen[-1][1]
    # A second computation, pair by pair.
    corpus = read_corpus_config(tmp_path / "corpus" / "corpus.yaml")
    pairs = read_trial_list(corpus.val_list, corpus.val_dir)
    plan = CropPlan(num_crops=models["trial 0"].config.training.eval_crops, num_frames=200)
    scores = []
    for pair in pairs:
        sides = []
        for name, path in (("teacher", pair.path_a), ("trial 0", pair.path_b)):
            embedder = NetworkEmbedder(models[name].model, torch.device("cpu"))
            [mean_D] = embed_utterances(embedder, corpus.val_dir, [path], plan).mean_UD
            sides.append(mean_D / np.linalg.norm(mean_D))
        scores.append(float(sides[0] @ sides[1]))
    expected = equal_error_rate(np.array(scores), np.array([p.is_target for p in pairs]))
    assert columns["trial 0"]["enrolled_veer_pct"] == pytest.approx(expected)


def test_the_benchmark_records_and_prints_it(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.export.benchmark.BenchmarkConfig", lambda **_: QUICK)
    monkeypatch.setenv("COLUMNS", "200")
    shown = done("benchmark", run.path, "--top", "1", "--rounds", "1")
    assert "enrols" in shown
    benchmark = RunView.read(run).benchmark
    assert benchmark is not None
    by_model = {row.model: row.enrolled_veer_pct for row in benchmark.rows}
    assert by_model["trial 0"] is not None
    assert by_model["teacher"] is by_model["front end"] is None


def test_nothing_is_embedded_for_a_student_without_a_direction(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.use.teacher_enrols.read_trial_list", pytest.fail)
    view, (lines, print_line) = RunView.read(run), collected()
    models = measured_models(view, 1)
    student = models["trial 0"]
    loss = student.config.loss.model_copy(update={"distillation": "rkd"})
    config = student.config.model_copy(update={"loss": loss})
    models["trial 0"] = replace(student, config=config)
    assert enrolment_columns(view, models, print_line) == {}
    assert lines == []


def test_where_the_teacher_cannot_be_asked_the_reason_is_a_line(run: RunFolder) -> None:
    view = RunView.read(run)
    models = measured_models(view, 1)
    with Journal(run.journal) as journal:
        journal.append(
            TeacherRecord(path="gone.parquet", veer_pct=1.0, num_params=None, sha256="0" * 64)
        )
    lines, print_line = collected()
    assert enrolment_columns(RunView.read(run), models, print_line) == {}
    assert lines == [
        "no VEER against the teacher's enrolments: gone.parquet: there is no such file of "
        "embeddings"
    ]
    # The benchmark is as good without.
    record = benchmark_run(
        view, 1, QUICK, more=lambda view, models: enrolment_columns(view, models, print_line)
    )
    assert record.rows
