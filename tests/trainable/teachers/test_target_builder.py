"""Building targets keeps a GPU busy while it waits for the last ones."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from trainable.features.crop_bank import Index
from trainable.teachers import target_builder


def test_the_next_crops_are_queued_before_the_last_targets_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[str] = []

    def queue(teacher: str, feat_BTF: torch.Tensor) -> Callable[[], np.ndarray]:
        number = int(feat_BTF[0])
        log.append(f"{teacher} queues {number}")

        def wait() -> np.ndarray:
            log.append(f"wait for {number}")
            return np.full(1, number)

        return wait

    def crops() -> Iterator[tuple[slice, Index, torch.Tensor]]:
        for number in range(3):
            yield slice(number, number + 1), np.ones(1, np.int64), torch.full((1,), number)

    monkeypatch.setattr(target_builder, "teacher_vectors", queue)
    found = list(target_builder._one_ahead("teacher", crops()))
    assert [(chosen.start, vectors.item()) for chosen, _, vectors in found] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]
    assert log == [
        "teacher queues 0",
        "teacher queues 1",
        "wait for 0",
        "teacher queues 2",
        "wait for 1",
        "wait for 2",
    ]
    assert list(target_builder._one_ahead("teacher", iter(()))) == []
