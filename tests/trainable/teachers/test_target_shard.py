"""Building targets keeps a GPU busy while it waits for the last ones."""

from collections.abc import Callable, Iterator

import numpy as np

from trainable.features.crop_bank import Index
from trainable.teachers.target_shard import one_ahead

Begun = tuple[slice, Index, Callable[[], np.ndarray]]


def test_the_next_crops_are_queued_before_the_last_targets_are_waited_for() -> None:
    log: list[str] = []

    def queue(number: int) -> Callable[[], np.ndarray]:
        log.append(f"teacher queues {number}")

        def wait() -> np.ndarray:
            log.append(f"wait for {number}")
            return np.full(1, number)

        return wait

    def begun() -> Iterator[Begun]:
        for number in range(3):
            yield slice(number, number + 1), np.ones(1, np.int64), queue(number)

    found = list(one_ahead(begun()))
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
    assert list(one_ahead(iter(()))) == []
