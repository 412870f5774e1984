"""The stores of a corpus: one of each list and of each copy, each with a key of its own."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from spaces.files.errors import CorpusError
from tests.worlds.corpus import write_corpus
from tests.worlds.tiny_models import LSTM
from trainable.checkpoints.folder import CheckpointFolder
from trainable.config.trial_config import TrialConfig
from trainable.corpus.corpus import read_corpus, read_corpus_config
from trainable.features.crop_bank import CropBank
from trainable.features.feature_table import open_features
from trainable.features.training_data import TrainingData, feature_requests, load_training_data
from trainable.teachers.targets import open_targets
from trainable.training.trainer import Trainer

BANK = CropBank(num_crops=2, crop_frames=40, seed=4)
TEACHER = {
    "model": LSTM,
    "loss": {"distillation": "none"},
    "training": {"max_epochs": 1, "batch_size": 8, "crop_frames": 40},
}


def with_copies(corpus: Path, num_copies: int) -> Path:
    corpus.write_text(corpus.read_text() + f"augmentation: {{copies: {num_copies}}}\n")
    return corpus


def opened(corpus: Path, calls: list[tuple[int, int]] | None = None) -> TrainingData:
    return load_training_data(
        read_corpus_config(corpus),
        cache_dir=corpus.parent / "cache",
        progress=None if calls is None else lambda *numbers: calls.append(numbers),
    )


def third_of_training(folder: Path) -> Path:
    line = (folder / "train_list.txt").read_text().splitlines()[2]
    return folder / "train" / line.split()[1]


def first_of_validation(folder: Path) -> Path:
    line = (folder / "veri_val.txt").read_text().splitlines()[0]
    return folder / "val" / line.split()[1]


def written(corpus: Path, pattern: str) -> dict[str, int]:
    """When each shard was written, nanoseconds."""
    files = sorted((corpus.parent / "cache").glob(pattern))
    return {f"{file.parent.name}/{file.name}": file.stat().st_mtime_ns for file in files}


def test_rows_are_the_originals_each_copy_and_then_the_validation(tmp_path: Path) -> None:
    corpus = with_copies(write_corpus(tmp_path, num_utterances=2), 2)
    calls: list[tuple[int, int]] = []
    data = opened(corpus, calls)
    # 12 training utterances, 8 for validation.
    assert data.copy_row.tolist() == [[n, n + 12, n + 24] for n in range(12)]
    assert data.train_row.tolist() == list(range(12))
    assert data.val_row.tolist() == list(range(36, 44))
    assert calls == [(n + 1, 44) for n in range(44)]
    entries = read_corpus(read_corpus_config(corpus)).audio
    alone = open_features(entries, min_duration_s=0.5, cache_dir=tmp_path / "alone")
    rows = np.concatenate((data.train_row, data.val_row))
    starts = np.zeros(20, np.int64)
    feat = data.features.crops(rows, starts, 100)
    assert torch.equal(feat, alone.crops(np.arange(20), starts, 100))
    for copy_row in data.copy_row.T[1:]:
        assert not torch.equal(data.features.crops(copy_row, starts[:12], 100), feat[:12])


def test_another_validation_list_leaves_what_is_kept_of_training(tmp_path: Path) -> None:
    corpus = with_copies(write_corpus(tmp_path, num_utterances=2), 1)
    data = opened(corpus)
    trainer = Trainer(TrialConfig.model_validate(TEACHER), data, device=torch.device("cpu"))
    trainer.run_epoch()
    teacher = CheckpointFolder(tmp_path / "teacher").save(trainer)
    open_targets(teacher, data, BANK, cache_dir=tmp_path / "cache")
    features, targets = written(corpus, "features-*/*.arrow"), written(corpus, "targets-*/*.arrow")
    assert (len(features), len(targets)) == (3, 2)
    val_list = tmp_path / "veri_val.txt"
    pairs = val_list.read_text().splitlines()
    left_out = pairs[0].split()[1]
    val_list.write_text("\n".join(pair for pair in pairs if left_out not in pair) + "\n")
    calls: list[tuple[int, int]] = []
    again = opened(corpus, calls)
    assert len(again.val_row) == len(data.val_row) - 1
    assert calls == [(24 + n, 31) for n in range(1, 8)]
    calls.clear()
    open_targets(
        teacher,
        again,
        BANK,
        cache_dir=tmp_path / "cache",
        progress=lambda *numbers: calls.append(numbers),
    )
    assert calls == []
    after = written(corpus, "features-*/*.arrow")
    assert {name: after[name] for name in features} == features
    assert len(after) == 4
    assert written(corpus, "targets-*/*.arrow") == targets


def test_faults_of_training_and_validation_are_named_together_and_once(tmp_path: Path) -> None:
    corpus = with_copies(write_corpus(tmp_path, num_utterances=2), 2)
    train, val = third_of_training(tmp_path), first_of_validation(tmp_path)
    for file in (train, val):
        soundfile.write(file, np.zeros(16_000), 16_000)
    calls: list[tuple[int, int]] = []
    with pytest.raises(CorpusError) as raised:
        opened(corpus, calls)
    first, second = raised.value.faults
    assert re.search(rf"train_list\.txt:3: {train}: must be louder .* digital silence", first)
    assert re.search(rf"veri_val\.txt:1: {val}: must be louder .* digital silence", second)
    # The copies, files 13 to 36, are not begun.
    assert calls == [(n, 44) for n in (*range(1, 13), *range(37, 45))]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_fault_of_training_keeps_validation_from_nothing(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path, num_utterances=2)
    soundfile.write(third_of_training(tmp_path), np.zeros(16_000), 16_000)
    with pytest.raises(CorpusError, match=r"train_list\.txt:3: "):
        opened(corpus)
    (plan,) = (tmp_path / "cache").glob("*/plan.json")
    assert "veri_val.txt" in plan.read_text()
    assert (plan.parent / "manifest.json").exists()


def test_files_that_went_missing_from_both_lists_are_named_together(tmp_path: Path) -> None:
    corpus = read_corpus(read_corpus_config(write_corpus(tmp_path, num_utterances=2)))
    train, val = third_of_training(tmp_path), first_of_validation(tmp_path)
    train.unlink()
    val.unlink()
    with pytest.raises(CorpusError) as raised:
        feature_requests(corpus, tmp_path / "cache")
    lists = (tmp_path / "train_list.txt", tmp_path / "veri_val.txt")
    assert raised.value.faults == (
        f"{lists[0]}:3: {train}: No such file or directory",
        f"{lists[1]}:1: {val}: No such file or directory",
    )
