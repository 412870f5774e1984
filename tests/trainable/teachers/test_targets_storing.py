"""When the teacher is run, and when its stored output is enough."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spaces.files.errors import CheckpointError
from tests.worlds.small_teacher import BANK, CROP_FRAMES, drawn, opened
from trainable.features.training_data import TrainingData
from trainable.store.tasks import ShardTask, build_shards
from trainable.teachers import target_builder
from trainable.teachers.network import load_teacher
from trainable.teachers.targets import StoredTargets, open_targets


@pytest.fixture(scope="module")
def data(data_with_copies: TrainingData) -> TrainingData:
    return data_with_copies


def test_the_teacher_is_run_once(
    corpus: Path, data: TrainingData, teacher_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    bank = replace(BANK, seed=77)
    first = opened(corpus, data, teacher_file, bank, calls)
    assert calls == list(range(1, data.copy_row.size + 1))
    monkeypatch.setattr("trainable.teachers.targets.load_teacher", None)
    monkeypatch.setattr("trainable.teachers.target_builder.load_teacher", None)
    calls.clear()
    again = opened(corpus, data, teacher_file, bank, calls)
    assert calls == []
    for kept, same in zip(first.table.vectors_NW, again.table.vectors_NW, strict=True):
        assert np.array_equal(kept, same)
        assert not same.flags.owndata


def test_targets_from_a_gpu_are_a_store_of_their_own_and_are_built_on_one(
    corpus: Path,
    data: TrainingData,
    teacher_file: Path,
    targets: StoredTargets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A GPU rounds in another way, so that trials with either would not be the same."""
    kinds: list[str] = []

    def choose(kind: str) -> torch.device:
        kinds.append(kind)
        return torch.device("cpu")

    monkeypatch.setattr("trainable.teachers.target_builder.choose_device", choose)
    target_builder._teacher.cache_clear()
    plan = opened(corpus, data, teacher_file, replace(BANK, device="cuda")).table.stores[0].plan
    target_builder._teacher.cache_clear()
    assert set(kinds) == {"cuda"}
    assert plan.settings["device"] == "cuda"
    assert plan.key != targets.table.stores[0].plan.key


def test_another_teacher_bank_or_length_is_another_store(
    corpus: Path, data: TrainingData, teacher_file: Path, targets: StoredTargets
) -> None:
    key = targets.table.stores[0].plan.key
    for bank in (
        replace(BANK, seed=5),
        replace(BANK, num_crops=2),
        replace(BANK, crop_frames=CROP_FRAMES + 1),
    ):
        other = opened(corpus, data, teacher_file, bank)
        assert other.table.stores[0].plan.key != key
    assert "device" not in targets.table.stores[0].plan.settings  # as in earlier versions
    state = torch.load(teacher_file, weights_only=True)
    name = next(iter(state["model_state_dict"]))
    state["model_state_dict"][name] += 0.01
    changed = teacher_file.with_name("changed.model")
    torch.save(state, changed)
    assert opened(corpus, data, changed).table.stores[0].plan.key != key


def test_a_teacher_that_is_overwritten_is_run_again_and_never_mixed(
    corpus: Path, data: TrainingData, teacher_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "overwritten.model"
    file.write_bytes(teacher_file.read_bytes())
    first = opened(corpus, data, file)
    state = torch.load(file, weights_only=True)
    weights = state["model_state_dict"]
    scale = next(name for name in weights if name.endswith("embedding_norm.weight"))
    weights[scale] *= 0.5
    torch.save(state, file)
    second = opened(corpus, data, file)
    crops = drawn(first, data)
    expected = load_teacher(file).output(crops, with_stages=False).embedding_BD
    kept = second.output(crops, with_stages=False).embedding_BD
    torch.testing.assert_close(kept, expected, rtol=2**-10, atol=1e-5)
    assert not torch.allclose(first.output(crops, with_stages=False).embedding_BD, expected)


def test_a_task_refuses_a_teacher_that_changed_after_it_was_made(
    corpus: Path, data: TrainingData, teacher_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "changing.model"
    file.write_bytes(teacher_file.read_bytes())

    def changing(tasks: Sequence[ShardTask], *more: Any) -> tuple[str, ...]:
        torch.save({**torch.load(file, weights_only=True), "changed": 1}, file)
        return build_shards(tasks, *more)

    with pytest.raises(CheckpointError, match=r"changing\.model: the teacher has changed while"):
        open_targets(
            file,
            data,
            replace(BANK, seed=123),
            cache_dir=corpus.parent / "cache",
            build=changing,
        )
