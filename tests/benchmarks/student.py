"""The 2.66M student against the 3.87M teacher: how many times faster at batch 8, all cores.

`make bench NAME=student`, or `python -m tests.benchmarks.student`. The target is the notes'
number, which was measured on another machine.
"""

import torch

from models import LSTMAutoencoderConfig, MLPMixerConfig, build_model
from results.export.benchmark import BenchmarkConfig, benchmark_models
from tests.benchmarks.report import finish
from trainable.machine.cores import available_cores
from trainable.machine.hardware import describe_hardware

TARGET = 2.04


def main() -> None:
    torch.manual_seed(0)
    models = {
        "teacher": build_model(LSTMAutoencoderConfig()).eval(),
        "student": build_model(MLPMixerConfig()).eval(),
    }
    config = BenchmarkConfig(batch_sizes=(8,), num_threads=(available_cores(),), rounds=60)
    rows = {row.model: row for row in benchmark_models(models, "teacher", config)}
    print(", ".join(f"{name} {value}" for name, value in describe_hardware().items()))
    for row in rows.values():
        print(
            f"{row.model:9s}  {row.num_params:9,d} parameters  {row.macs / 1e6:5.0f} MMACs  "
            f"median {row.latency_median_ms:7.2f} ms  p95 {row.latency_p95_ms:7.2f} ms  "
            f"{row.samples_per_s:5.0f} samples/s"
        )
    ratio = rows["student"].speed_ratio
    assert ratio is not None
    finish("student", ratio=ratio, target=TARGET)


if __name__ == "__main__":
    main()
