"""Building a store in pieces: one shard a task, here or in any process that sees the files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from trainable.store.shard_writing import write_shard
from trainable.store.shards import ShardLocation, Vectors

ProgressCallback = Callable[[int, int], None]
Tick = Callable[[], None]


class ShardTask(Protocol):
    """One shard to build: small and picklable."""

    @property
    def location(self) -> ShardLocation:
        """Where it goes."""

    @property
    def num_rows(self) -> int:
        """Its utterances."""

    @property
    def uses_gpu(self) -> bool:
        """Whether it computes on a GPU where there is one."""

    def rows(self) -> Iterator[tuple[str, Vectors] | str]:
        """Path and vectors (T, W) of each utterance, or what is wrong with it, in their order."""

    def faults(self, tick: Tick) -> tuple[str, ...]:
        """What is wrong with the utterances; nothing is computed. `tick` after each."""


Builder = Callable[[Sequence[ShardTask], int, ProgressCallback | None], tuple[str, ...]]
"""Builds tasks; see `build_shards`, which is one."""


class _Faulty(Exception):  # noqa: N818 - stops the writing, and is caught here
    """An utterance cannot be used, so that its shard cannot be written."""


def build_shard(task: ShardTask, tick: Tick) -> tuple[str, ...]:
    """Build a shard, unless an utterance has a fault.

    Args:
        task: What to build.
        tick: Called after every utterance.

    Returns:
        All faults of the shard's utterances, one sentence each, opened by `LIST:LINE`; the shard
        was written if there is none.
    """
    faults: list[str] = []

    def sound(rows: Iterable[tuple[str, Vectors] | str]) -> Iterator[tuple[str, Vectors]]:
        for row in rows:
            tick()
            if isinstance(row, str):
                faults.append(row)
            elif not faults:
                yield row
        if faults:
            raise _Faulty

    with suppress(_Faulty):
        write_shard(task.location, sound(task.rows()))
    return tuple(faults)


def build_shards(
    tasks: Sequence[ShardTask], num_all: int, progress: ProgressCallback | None
) -> tuple[str, ...]:
    """Build shards one after the other; after the first fault only look for further ones.

    Args:
        tasks: What to build.
        num_all: Utterances of the whole store; those without a task count as done.
        progress: Told (utterances done, utterances in all).

    Returns:
        The faults of all utterances.
    """
    done = num_all - sum(task.num_rows for task in tasks)
    faults: list[str] = []

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, num_all)

    for task in tasks:
        faults += task.faults(tick) if faults else build_shard(task, tick)
    return tuple(faults)


def offset_progress(
    progress: ProgressCallback | None, before: int, num_all: int
) -> ProgressCallback | None:
    """Tells of one of several pieces of work as a part of the whole.

    Args:
        progress: Told of the whole.
        before: Utterances of the pieces before this one.
        num_all: Utterances of all pieces.
    """
    if progress is None:
        return None
    return lambda done, _: progress(before + done, num_all)
