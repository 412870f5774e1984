"""Time to read a journal, compared with what any reader of it must do.

`make bench NAME=journal`, or `python -m tests.benchmarks.journal`. The journal of a made-up search
has 100,000 records: starts, places, epochs with all metrics, and ends of trials. `read_journal` is
compared with parsing each line by `json.loads` and computing the chain of checks, in the same run;
each is the fastest of several rounds, which take turns.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results.journal.hash_chain import chained, split_check
from results.journal.journal import read_journal
from trainable.machine.hardware import cpu_name

EPOCHS_OF_TRIAL = (27, 3, 9, 3)
CONFIG = {
    "model": {"family": "mlp_mixer", "hidden_dim": 96, "num_blocks": 4, "dropout": 0.1},
    "loss": {"distillation": "cosine", "alpha": 0.7, "stages": "none", "margin": 0.2},
    "training": {"lr": 0.001, "batch_size": 64, "max_epochs": 27, "crop_frames": 200},
}
HARDWARE = {"cpu": "a CPU", "num_cores": 2, "machine": "x86_64", "python": "3.11.7"}


def records(number: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a search, by ascending time."""
    yield {"event": "search_started", "settings": {"max_epochs": 27}, "provenance": {}}
    left, trial = number - 2, 0
    while left > 3:
        own = list(_trial(trial, min(EPOCHS_OF_TRIAL[trial % len(EPOCHS_OF_TRIAL)], left - 3)))
        yield from own
        left, trial = left - len(own), trial + 1
    for _ in range(left):
        yield {"event": "search_resumed"}
    yield {"event": "search_ended", "reason": "finished"}


def _trial(trial: int, num_epochs: int) -> Iterator[dict[str, Any]]:
    params = {"model.hidden_dim": 96, "training.lr": 0.001 + trial / 1e6, "loss.alpha": 0.7}
    yield {
        "event": "trial_started", "trial": trial, "params": params, "config": CONFIG,
        "config_hash": f"{trial:012x}", "seed": trial,
    }  # fmt: skip
    yield {
        "event": "placed", "trial": trial, "epoch": 0, "host": "node", "pid": 7, "device": "cpu",
        "num_threads": 1, "hardware": HARDWARE, "config_hash": f"{trial:012x}",
        "model_hash": f"{trial:016x}", "had_s": 12.345,
    }  # fmt: skip
    for epoch in range(1, num_epochs + 1):
        yield {"event": "epoch", "trial": trial, "epoch": epoch, **_metrics(trial, epoch)}
    yield {"event": "trial_ended", "trial": trial, "state": "complete", "reason": None}


def _metrics(trial: int, epoch: int) -> dict[str, Any]:
    veer_pct = 10.123456789 + trial % 7 + 20 / epoch
    return {
        "veer_pct": veer_pct, "loss_total": 4.0123 / epoch, "loss_classification": 5.1 / epoch,
        "loss_distillation": 0.5 / epoch, "loss_reconstruction": None, "distill_share": 0.123456,
        "teacher_cosine": 0.0234 * epoch, "train_accuracy_pct": 3.21 * epoch, "lr": 0.00123,
        "samples_per_s": 412.3456, "train_s": 9.87654, "eval_s": 1.23456,
        "classification_share": 0.876544, "reconstruction_share": None,
        "loss_stages": [0.1 / epoch, 0.2, 0.3], "stage_shares": [0.01, 0.02, 0.03],
        "peak_memory_mib": 712.34, "overhead_share": 0.0234, "num_samples": 4000,
        "veer_low_pct": veer_pct - 1.5, "veer_high_pct": veer_pct + 1.7, "num_params": 1234567,
    }  # fmt: skip


def write_journal(path: Path, number: int) -> None:
    """Write a journal of so many records."""
    check, lines = b"", []
    for position, record in enumerate(records(number)):
        fields = {"event": record["event"], "time_s": 1.75e9 + 0.1234567 * position} | record
        line, check = chained(json.dumps(fields, separators=(",", ":")).encode(), check)
        lines.append(line + b"\n")
    path.write_bytes(b"".join(lines))


def parse_and_chain(path: Path) -> list[Any]:
    """Parse each line and compute its check, without any test."""
    found, before = [], b""
    for line in path.read_bytes().splitlines():
        text, _ = split_check(line)
        before = hashlib.sha256(before + text).hexdigest()[:16].encode()
        found.append(json.loads(text))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench NAME=journal")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"CPU: {cpu_name()}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write_journal(path, given.records)
        num_mib = path.stat().st_size / 2**20
        assert len(read_journal(path)) == len(parse_and_chain(path)) == given.records
        plain_s, read_s = _least_s(given.rounds, parse_and_chain, read_journal, path)
    print(f"{given.records:,} records, {num_mib:.0f} MiB")
    print(f"json.loads and chain: {plain_s:.2f} s of CPU")
    print(f"read_journal: {read_s:.2f} s of CPU, ratio {read_s / plain_s:.2f}")


def _least_s(rounds: int, one: Callable[[Path], Any], other: Callable[[Path], Any],
             path: Path) -> tuple[float, float]:  # fmt: skip
    """Return the least CPU seconds of two functions over rounds in which they take turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for function, taken in zip((one, other), times, strict=True):
            before = time.process_time()
            function(path)
            taken.append(time.process_time() - before)
    return min(times[0]), min(times[1])


if __name__ == "__main__":
    main()
