"""A full training on workers of Ray Train: one is killed, and another number goes on."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from search.cluster.resources import Node
from search.full_training.plan import Workers
from search.full_training.workers import require_free_places, run_on_workers, threads_each
from spaces.files.errors import ConfigError, TrainingError
from tests.chaos.processes import family
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import LSTM
from trainable.checkpoints.folder import CheckpointFolder
from trainable.checkpoints.model_file import read_checkpoint
from trainable.config.trial_config import TrainRunConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.cache_dir import CACHE_VARIABLE, cache_dir
from trainable.report.epoch_report import EpochReport
from trainable.training.full import run_training
from trainable.training.trainer import Trainer

NUM_EPOCHS = 4
TRAINING = {
    "batch_size": 6, "crop_frames": 40, "max_epochs": NUM_EPOCHS, "full_eval_every_epochs": 2,
    "eval_frames": 60,
}  # fmt: skip


def nodes(*cpus: float, gpus: float = 0) -> list[Node]:
    return [Node(address=f"10.0.0.{i}", num_cpus=n, num_gpus=gpus) for i, n in enumerate(cpus)]


@pytest.mark.parametrize(
    ("number", "cpus", "expected"),
    [(2, (16,), 8), (3, (16,), 5), (2, (3, 3, 3), 3), (3, (8, 4), 4), (4, (2,), 1)],
)
def test_every_worker_has_the_most_cpus_that_all_can_have(
    number: int, cpus: tuple[float, ...], expected: int
) -> None:
    assert threads_each(Workers(number=number), nodes(*cpus)) == expected


def test_workers_without_room_are_refused_with_what_the_nodes_have() -> None:
    require_free_places(Workers(number=2), 2, nodes(4))
    message = r"--workers 3 with 2 CPU each must fit .*\(10.0.0.0: 4 CPU, 0 GPU\), .* for 2"
    with pytest.raises(ConfigError, match=message):
        require_free_places(Workers(number=3), 2, nodes(4))
    with pytest.raises(ConfigError, match=r"2 CPU and 1 GPU each .* room for 1; lower"):
        require_free_places(Workers(number=2, use_gpu=True), 2, nodes(8, gpus=1))
    with pytest.raises(ConfigError, match=r"--gpu needs a GPU .* this machine has none .*leave"):
        require_free_places(Workers(number=2, use_gpu=True), 2, nodes(8))


@pytest.mark.parametrize("asked", [{"use_gpu": True}, {"address": "10.0.0.1:6379"}])
def test_one_worker_has_neither_a_gpu_of_its_own_nor_a_cluster(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"--(gpu|address) needs --workers of 2 or more, got 1"):
        Workers(number=1, **asked)


class KillsAWorker:
    """A watcher that kills a worker after the first epoch, and keeps what it sees."""

    def __init__(self) -> None:
        self.epochs: list[int] = []
        self.lines: list[str] = []

    def epoch(self, report: EpochReport) -> None:
        if not self.epochs:
            workers = [pid for pid in family(os.getpid()) if "RayTrainWorker" in name_of(pid)]
            assert len(workers) == 2
            os.kill(workers[-1], signal.SIGKILL)
        self.epochs.append(report.epoch)

    def evaluation(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def teacher(self, done: int, total: int) -> None:
        assert 0 <= done <= total

    def print_line(self, text: str) -> None:
        self.lines.append(text)


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TrainRunConfig, TrainingData]:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    corpus = read_corpus_config(write_corpus(tmp_path / "corpus"))
    loss = {"distillation": "none", "beta": 0.1}
    trial = {"model": LSTM, "loss": loss, "training": TRAINING}
    config = TrainRunConfig.model_validate({"corpus": corpus, "trial": trial})
    return config, load_training_data(corpus, cache_dir=cache_dir())


@pytest.mark.cluster
@pytest.mark.usefixtures("ray_here")
def test_a_killed_worker_costs_no_epoch_and_one_process_goes_on(
    run: tuple[TrainRunConfig, TrainingData], tmp_path: Path
) -> None:
    config, data = run
    # From the weights of another training, which are read once, whatever dies.
    other = Trainer(config.trial, data, device=torch.device("cpu"))
    other.run_epoch()
    start = CheckpointFolder(tmp_path / "start").save(other)
    config = config.model_copy(update={"init_from": start})
    out, seen = tmp_path / "out", KillsAWorker()
    result = run_on_workers(config, data, out, Workers(number=2), seen)
    assert [line for line in seen.lines if "a worker died" in line]
    assert sorted(set(seen.epochs)) == list(range(1, NUM_EPOCHS + 1))
    assert (result.last.epoch, result.num_params > 0) == (NUM_EPOCHS, True)
    history = read_checkpoint(out / "model" / f"model{NUM_EPOCHS:09d}.model")["veer"]["history"]
    assert [each["epoch"] for each in history] == [1, 2, 3, 4]
    log = (out / "result" / "scores.txt").read_text()
    assert [log.count(f"Epoch {epoch}, VEER") for epoch in (2, 4)] == [1, 1]
    assert [each.name for each in out.glob(".*")] == [".lock"]
    assert (out / "result" / "start.txt").read_text().count(f"weights from {start} (epoch 1") == 1

    alone = run_training(config, data, tmp_path / "alone", device=torch.device("cpu"))
    for ours, theirs in zip(history, alone_history(tmp_path / "alone"), strict=True):
        # Adam enlarges rounding; the exact comparison is in test_ranks.
        assert ours["loss_total"] == pytest.approx(theirs["loss_total"], rel=0.02)
    assert alone.last.epoch == NUM_EPOCHS

    training = config.trial.training.model_copy(update={"max_epochs": NUM_EPOCHS + 1})
    trial = config.trial.model_copy(update={"training": training})
    longer = config.model_copy(update={"trial": trial})
    more = run_training(longer, data, out, device=torch.device("cpu"))
    assert (more.resumed_from, more.last.epoch) == (NUM_EPOCHS, NUM_EPOCHS + 1)


def alone_history(out: Path) -> list[dict[str, Any]]:
    file = out / "model" / f"model{NUM_EPOCHS:09d}.model"
    return read_checkpoint(file)["veer"]["history"]


def test_a_batch_that_the_workers_cannot_share_is_refused_before_they_start(
    run: tuple[TrainRunConfig, TrainingData], tmp_path: Path
) -> None:
    config, data = run
    with pytest.raises(TrainingError, match=r"multiple of the 4 workers, got 6; set it to 4 or 8"):
        run_on_workers(config, data, tmp_path / "out", Workers(number=4), KillsAWorker())
