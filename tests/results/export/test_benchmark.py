"""The benchmark's figures fit together, and a run's are recorded."""

import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models import LSTMAutoencoderConfig, MLPMixerConfig, SpeakerModel, build_model
from models.base import ModelOutput
from results.analysis.run_view import RunView
from results.export.benchmark import (
    FRONT_END,
    BenchmarkConfig,
    benchmark_models,
    benchmark_run,
    paired_ratio,
)
from results.journal.history import latest
from results.journal.journal import Journal
from results.journal.run_folder import RunFolder
from results.records.benchmark_row import BENCHMARK_COLUMNS, BenchmarkRow
from results.records.search_records import ModelsBenchmarked, TeacherRecord
from spaces.files.errors import RunError
from trainable.cost.macs import count_macs
from trainable.machine.cores import available_cores
from trainable.machine.hardware import cpu_name, describe_hardware

# What waits for a CPU counts too, since tests run beside each other.
QUICK = BenchmarkConfig(num_threads=(1,), rounds=3, warmup_rounds=1, most_waiting=math.inf)


class Sleeper(SpeakerModel):
    """A model that takes a known time."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.embedding_dim = 1
        self.seconds = seconds
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, norm_BTF: torch.Tensor, *, with_stages: bool) -> ModelOutput:
        assert not with_stages
        self.shapes.append(tuple(norm_BTF.shape))
        time.sleep(self.seconds)
        return ModelOutput(norm_BTF[:, 0, :1], (), None)


def by_setting(rows: list[BenchmarkRow]) -> dict[tuple[str, int, int], BenchmarkRow]:
    return {(row.model, row.num_threads, row.batch_size): row for row in rows}


def test_numbers_agree_with_a_known_time() -> None:
    fast, slow = Sleeper(0.01).eval(), Sleeper(0.3).eval()
    config = replace(QUICK, batch_sizes=(8,))
    rows = {r.model: r for r in benchmark_models({"fast": fast, "slow": slow}, "slow", config)}
    assert list(rows) == ["fast", "slow", FRONT_END]
    row = rows["slow"]
    assert row.latency_median_ms >= 300
    assert row.latency_p95_ms >= row.latency_median_ms
    assert row.samples_per_s == pytest.approx(8 / (row.latency_median_ms / 1000))
    # 200 centred frames span 199 hops of 10 ms.
    assert row.real_time_factor == pytest.approx(row.latency_median_ms / 1000 / (8 * 1.99))
    assert row.speed_ratio == 1.0
    assert rows["fast"].speed_ratio is not None
    assert rows["fast"].speed_ratio > 1.2
    assert rows[FRONT_END].speed_ratio is None
    assert slow.shapes == [(8, 200, 80)] * (1 + 3)


@pytest.mark.slow
def test_every_setting_has_every_model() -> None:
    models = {
        "teacher": build_model(LSTMAutoencoderConfig(hidden_dim=8, num_layers=1)).eval(),
        "student": build_model(MLPMixerConfig(hidden_dim=8, num_blocks=1)).eval(),
    }
    config = replace(
        QUICK, batch_sizes=(1, 3), num_threads=(1, 2), rounds=1, warmup_rounds=0
    )
    threads = torch.get_num_threads()
    rows = by_setting(benchmark_models(models, "teacher", config))
    assert torch.get_num_threads() == threads
    names = ("teacher", "student", FRONT_END)
    assert set(rows) == {(name, t, b) for name in names for t in (1, 2) for b in (1, 3)}
    student = rows["student", 1, 3]
    assert student.macs == count_macs(models["student"], (1, 200, 80))
    assert student.num_params == sum(p.numel() for p in models["student"].parameters())
    assert tuple(student.as_dict()) == BENCHMARK_COLUMNS


def test_settings_are_batch_1_and_8_with_one_thread_and_all_cores() -> None:
    config = BenchmarkConfig()
    assert config.batch_sizes == (1, 8)
    assert config.num_threads == tuple(sorted({1, available_cores()}))
    assert config.num_samples == 199 * 160


def test_the_ratio_pairs_times_of_the_same_round() -> None:
    # Twice as fast in every round, though noise makes one round ten times slower.
    assert paired_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.1]) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"batch_sizes": (0, 8)}, r"batch_sizes must be .* got \(0, 8\)"),
        ({"num_threads": ()}, r"num_threads must be .* got \(\)"),
    ],
)
def test_impossible_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchmarkConfig(**arguments)


def test_an_unknown_teacher_and_a_model_in_training_are_refused() -> None:
    with pytest.raises(ValueError, match=r"teacher must be one of \['a'\], got 'b'"):
        benchmark_models({"a": Sleeper(0).eval()}, "b", QUICK)
    with pytest.raises(ValueError, match=r"got \['a'\] in training mode"):
        benchmark_models({"a": Sleeper(0)}, None, QUICK)


def test_a_runs_benchmark_goes_to_its_file_and_journal(trained_run: RunFolder) -> None:
    record = benchmark_run(RunView.read(trained_run), 1, QUICK)
    assert {row.model for row in record.rows} == {"teacher", "trial 0", FRONT_END}
    saved = json.loads(trained_run.benchmark.read_text())
    assert saved["hardware"].items() >= describe_hardware().items()
    assert float(saved["hardware"]["load_at_start"]) >= 0
    assert latest(trained_run.read(), ModelsBenchmarked) == record
    assert {name: record.as_dict()[name] for name in saved} == saved


def test_a_teacher_without_a_network_is_left_out(trained_run: RunFolder, tmp_path: Path) -> None:
    teacher = tmp_path / "teacher.parquet"
    with Journal(trained_run.journal) as journal:
        journal.append(TeacherRecord(path=teacher, veer_pct=None, num_params=None, sha256="ab"))
    rows = benchmark_run(RunView.read(trained_run), 1, QUICK).rows
    assert {row.model for row in rows} == {"trial 0", FRONT_END}
    assert {row.speed_ratio for row in rows} == {None}


def test_a_trial_whose_checkpoint_was_not_kept_is_an_error(trained_run: RunFolder) -> None:
    with pytest.raises(RunError, match="trial 1 has no checkpoint any more"):
        benchmark_run(RunView.read(trained_run), 2, QUICK)
    assert not trained_run.benchmark.exists()


def test_the_cpu_has_its_name(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Fast CPU 9000\nprocessor\t: 1\n")
    assert cpu_name(file) == "Fast CPU 9000"
    assert cpu_name(tmp_path / "none")
    assert describe_hardware()["torch"] == torch.__version__
