"""Two processes that train together do what one does: weights, losses, VEER, to float rounding."""

import multiprocessing
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from models import LSTMAutoencoderConfig, build_model
from spaces.files.errors import TrainingError
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import LSTM, MIXER
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus_config
from trainable.features.training_data import load_training_data
from trainable.machine.ranks import Ranks, current_ranks
from trainable.machine.synced_norm import sync_batch_norms
from trainable.teachers.network import Teacher
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
TRAINING = {"batch_size": 6, "crop_frames": 40, "lr": 0.02}
ECAPA = {"family": "ecapa_tdnn", "channels": 16, "embedding_dim": 24}
# Batch norms, relations in the batch, masks, averages, a decoder without its loss.
RUNS: dict[str, dict[str, Any]] = {
    "cosine": {"model": ECAPA, "loss": {"distillation": "cosine"}},
    "infonce": {"model": MIXER, "loss": {"distillation": "infonce", "stages": "cosine"}},
    "rkd": {"model": MIXER, "loss": {"distillation": "rkd"}},
    "masks and average": {
        "model": MIXER,
        "loss": {"distillation": "none"},
        "training": TRAINING | {"num_masks": 2, "mask_bins": 20, "ema_epochs": 0.5},
    },
    "idle decoder": {"model": LSTM, "loss": {"distillation": "none", "beta": 0}},
    # Without statistics of a batch, which are those of a part of it.
    "parts": {
        "model": LSTM,
        "loss": {"distillation": "cosine", "stages": "cosine"},
        "training": TRAINING
        | {"accumulate_steps": 3, "max_epochs": 2, "last_phase_epochs": 1, "last_phase_lr": 0.02},
    },
    # From the second epoch on the projections of the stages have no gradient any more.
    "last phase": {
        "model": MIXER,
        "loss": {"distillation": "cosine", "stages": "cosine"},
        "training": TRAINING
        | {"max_epochs": 2, "last_phase_epochs": 1, "last_phase_lr": 0.02, "average_last": 2},
    },
}
NUM_EPOCHS = 2  # of five steps


def train_all(corpus: Path) -> dict[str, Any]:
    """Train each run; return its curve, its VEERs, its weights and how far they moved."""
    data = load_training_data(read_corpus_config(corpus), cache_dir=corpus.parent / "cache")
    torch.manual_seed(0)
    config = LSTMAutoencoderConfig(
        hidden_dim=16, num_layers=2, bottleneck_dim=12, embedding_dim=24
    )
    teacher = Teacher(model=build_model(config))
    found = {}
    for name, parts in RUNS.items():
        trial = TrialConfig.model_validate({"training": TRAINING} | parts)
        trainer = Trainer(trial, data, teacher=teacher, device=CPU)
        if name == "parts":
            use_stored_statistics(trainer.step.student)
        # With its own, Adam makes a full step of any gradient, also of one that is only rounding.
        trainer.step.optimizer.param_groups[0]["eps"] = 1.0
        before = [each.clone() for each in trainer.step.all_tensors()]
        reports = [trainer.run_epoch() for _ in range(NUM_EPOCHS)]
        after = trainer.step.all_tensors()
        curve = [report.loss_total for report in reports]
        veers = [report.veer_pct for report in reports]
        moved = [a - b for a, b in zip(after, before, strict=True) if a.is_floating_point()]
        found[name] = (curve, veers, flat(after).numpy(), flat(moved).norm().item())
    return found


def use_stored_statistics(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.train = lambda _mode=True, module=module: module


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten().double() for each in tensors])


def take_part(rank: int, port: int, corpus: Path, results: Any) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2,
        timeout=timedelta(seconds=120),
    )  # fmt: skip
    assert current_ranks() == Ranks(rank=rank, size=2)
    results.put((rank, train_all(corpus), norm_of_parts(rank), refused_in_first(rank)))
    dist.destroy_process_group()


def refused_in_first(rank: int) -> str:
    try:
        with current_ranks().first_before_others():
            raise TrainingError("no room" if rank == 0 else "the block has run")
    except TrainingError as error:
        return str(error)


def norm_of_parts(rank: int) -> dict[str, list[float]]:
    """A batch norm on a part of a batch: its output, gradients and statistics."""
    torch.manual_seed(1)
    whole_BCFT = torch.randn(6, 3, 4, 5) * 2 + 1
    weights_BCFT = torch.randn(6, 3, 4, 5)
    norm = nn.BatchNorm2d(3)
    ranks = current_ranks()
    sync_batch_norms(norm, ranks)
    part = slice(3 * rank, 3 * rank + 3) if not ranks.is_alone else slice(None)
    own_BCFT = whole_BCFT[part].clone().requires_grad_()
    output_BCFT = norm(own_BCFT)
    (output_BCFT * weights_BCFT[part]).sum().backward()
    norm.eval()
    tensors = {
        "output": output_BCFT, "gradient": own_BCFT.grad, "mean": norm.running_mean,
        "variance": norm.running_var, "later": norm(whole_BCFT),
    }  # fmt: skip
    return {name: each.detach().flatten().tolist() for name, each in tensors.items()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("ranks"))


@pytest.fixture(scope="module")
def alone(corpus: Path) -> dict[str, Any]:
    return train_all(corpus)


@pytest.fixture(scope="module")
def together(corpus: Path, alone: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The results of both processes, by rank."""
    assert alone  # the log-mels are there already
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [
        context.Process(target=take_part, args=(rank, port, corpus, results)) for rank in range(2)
    ]
    for process in processes:
        process.start()
    found = sorted((results.get(timeout=300) for _ in processes), key=lambda each: each[0])
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [refused for *_, refused in found] == [
        "no room", "the first process ended with an error: see its message"
    ]  # fmt: skip
    return [(runs, norm) for _, runs, norm, _ in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_two_processes_train_as_one(
    name: str, alone: dict[str, Any], together: list[tuple[Any, Any]]
) -> None:
    curve, veers, weights, moved = alone[name]
    for runs, _ in together:
        curve_2, veers_2, weights_2, _ = runs[name]
        assert curve_2 == pytest.approx(curve, rel=1e-4)
        assert veers_2 == pytest.approx(veers, abs=1e-6)
        assert np.linalg.norm(weights_2 - weights) < 1e-4 * moved
    np.testing.assert_array_equal(together[0][0][name][2], together[1][0][name][2])


@pytest.mark.slow
def test_a_batch_norm_uses_the_whole_batch(together: list[tuple[Any, Any]]) -> None:
    whole = norm_of_parts(0)
    (_, first), (_, second) = together
    for name in ("output", "gradient"):
        assert first[name] + second[name] == pytest.approx(whole[name], abs=1e-5)
    for name in ("mean", "variance", "later"):
        assert first[name] == second[name] == pytest.approx(whole[name], abs=1e-6)


@pytest.mark.parametrize("count", [1, 5, 7, 64])
def test_parts_cover_all_items_once(count: int) -> None:
    parts = [Ranks(rank=rank, size=3).part(10, count) for rank in range(3)]
    covered = [number for part in parts for number in range(part.start, part.stop)]
    assert covered == list(range(10, 10 + count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_batch_that_cannot_be_divided_equally_names_the_nearest_sizes() -> None:
    with pytest.raises(TrainingError, match=r"multiple of the 3 workers, got 64; set it to 63 or"):
        Ranks(size=3).require_batch(64)
    with pytest.raises(TrainingError, match=r"got 2; set it to 3, or"):
        Ranks(size=3).require_batch(2)
    Ranks(size=3).require_batch(66)
