"""Log-mels in one tensor give the same crops as the mapped files."""

import numpy as np
import pytest
import torch

from tests.worlds.corpus import write_corpus
from tests.worlds.made_up_gpu import MadeUpGpu
from tests.worlds.tiny_models import MIXER
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.feature_table import FeatureTable, open_features
from trainable.features.request import FRAME_BYTES
from trainable.features.resident import (
    ResidentFeatures,
    crop_source,
    log_mel_room,
    resident_budget,
)
from trainable.features.training_data import TrainingData, load_training_data
from trainable.machine.memory_share import cap_memory
from trainable.training.trainer import Trainer

CPU = torch.device("cpu")
MIB = 2**20


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> FeatureTable:
    """Utterances over several shards."""
    folder = tmp_path_factory.mktemp("sharded")
    corpus = read_corpus(read_corpus_config(write_corpus(folder)))
    table = open_features(
        corpus.audio, min_duration_s=0.1, cache_dir=folder / "cache", shard_bytes=100_000
    )
    assert len(table.vectors_NW) > 2
    return table


@pytest.mark.parametrize("num_frames", [1, 40, 250])
@pytest.mark.parametrize("chunk", [400_000, 30])
def test_crops_are_those_of_the_files(
    table: FeatureTable, num_frames: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainable.features.resident.CHUNK_FRAMES", chunk)
    rng = np.random.default_rng(0)
    # Gaps within shards and across them.
    row = np.sort(rng.choice(len(table.length), len(table.length) * 2 // 3, replace=False))
    resident = ResidentFeatures(table, row, CPU)
    assert resident.num_bytes == table.length[row].sum() * FRAME_BYTES
    asked_B = rng.choice(row, 64)
    start_B = rng.integers(0, table.length[asked_B])
    found_BTF = resident.crops(asked_B, start_B, num_frames)
    assert found_BTF.shape == (64, num_frames, 80)
    assert torch.equal(found_BTF, table.crops(asked_B, start_B, num_frames))


def test_what_does_not_fit_stays_in_the_files(data: TrainingData) -> None:
    num_bytes = int(data.features.length.sum()) * FRAME_BYTES
    assert isinstance(crop_source(data, CPU, num_bytes), ResidentFeatures)
    assert crop_source(data, CPU, num_bytes - 1) is data.features
    assert crop_source(data, CPU) is data.features


@pytest.mark.parametrize(
    ("free_mib", "budget_mib"),
    [(8000, 0.4 * 2000), (1000, 0.4 * 1000)],  # of the share, and of what is left of the GPU
)
def test_log_mels_take_a_part_of_the_current_gpus_share(
    monkeypatch: pytest.MonkeyPatch, free_mib: int, budget_mib: float
) -> None:
    gpu = MadeUpGpu(monkeypatch, 8000 * MIB, free_mib * MIB)
    gpu.fractions[1] = 0.25
    assert resident_budget(torch.device("cuda")) == pytest.approx(budget_mib * MIB)


@pytest.mark.parametrize(
    ("room_mib", "step_mib", "left_mib"),
    [
        (2000, 1500, 500),
        (2000, 2000, 0),
        (2000, 90_000, 0),  # not even a whole GPU holds the step
        (2000, 0, 800),  # the step was not measured: 40 % of the room
    ],
)
def test_log_mels_take_no_room_that_steps_need(
    room_mib: int, step_mib: int, left_mib: int
) -> None:
    left_bytes = log_mel_room(room_mib * MIB, step_mib * MIB)
    assert left_bytes == pytest.approx(left_mib * MIB)


def test_room_for_log_mels_is_the_share_less_context_and_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = torch.device("cuda")
    MadeUpGpu(monkeypatch, 8000 * MIB, 7000 * MIB)
    cap_memory(device, 0.25, 300 * MIB)
    # 2000 MiB less 300 of the context and 1500 of the steps.
    assert resident_budget(device, 1500 * MIB) == pytest.approx(200 * MIB)
    cap_memory(device, 1, 300 * MIB)
    # A whole GPU is not capped: what is free of it counts.
    assert resident_budget(device, 1500 * MIB) == pytest.approx(5500 * MIB)


def test_no_log_mels_are_copied_on_a_cpu() -> None:
    assert resident_budget(CPU) == resident_budget(CPU, 10) == 0


def test_training_is_the_same_from_memory(data: TrainingData) -> None:
    trial = TrialConfig.model_validate(
        {
            "model": MIXER,
            "loss": {"distillation": "none"},
            "training": {"batch_size": 8, "crop_frames": 40, "num_masks": 1},
        }
    )
    mapped = Trainer(trial, data, device=CPU).run_epoch()
    trainer = Trainer(trial, data, device=CPU, resident_bytes=2**30)
    assert isinstance(trainer._features, ResidentFeatures)
    resident = trainer.run_epoch()
    assert (resident.loss_total, resident.veer_pct) == (mapped.loss_total, mapped.veer_pct)


def test_two_trials_data_of_other_utterances_are_apart(tmp_path) -> None:
    for seed in (0, 1):
        folder = tmp_path / str(seed)
        config = read_corpus_config(write_corpus(folder, seed=seed, num_train_speakers=2))
        data = load_training_data(config, cache_dir=folder / "cache")
        source = crop_source(data, CPU, 2**30)
        row_B, start_B = data.val_row[:3], np.zeros(3, np.int64)
        assert torch.equal(
            source.crops(row_B, start_B, 20), data.features.crops(row_B, start_B, 20)
        )


@pytest.mark.gpu
def test_a_gpu_gathers_the_same_crops(table: FeatureTable) -> None:
    row = np.arange(len(table.length))
    resident = ResidentFeatures(table, row, torch.device("cuda"))
    start = np.zeros(len(row), np.int64)
    found_BTF = resident.crops(row, start, 40)
    assert found_BTF.is_cuda
    assert torch.equal(found_BTF.cpu(), table.crops(row, start, 40))
