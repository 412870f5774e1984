"""The building of a store shard by shard, in this process or in any other that sees the files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from trainable.store.shard_writing import write_shard
from trainable.store.shards import ShardLocation, Vectors

ProgressCallback = Callable[[int, int], None]
"""Called with (pieces of work done, pieces in all)."""
Tick = Callable[[], None]
"""Called after every utterance."""


class ShardTask(Protocol):
    """One shard to build. A task is small and can be pickled, so that any process can build it."""

    @property
    def location(self) -> ShardLocation:
        """Where the shard goes."""

    @property
    def num_rows(self) -> int:
        """Number of utterances in the shard."""

    @property
    def uses_gpu(self) -> bool:
        """Whether the task computes on a GPU if there is one."""

    def rows(self) -> Iterator[tuple[str, Vectors] | str]:
        """Yield path and vectors (T, W) of each utterance in order, or its fault as a string."""

    def faults(self, tick: Tick) -> tuple[str, ...]:
        """Return the faults of the utterances without computing vectors; `tick` after each."""


Builder = Callable[[Sequence[ShardTask], int, ProgressCallback | None], tuple[str, ...]]
"""Builds the shards of tasks and returns the faults; `build_shards` is one."""


class _Faulty(Exception):  # noqa: N818 - stops the writing, and is caught here
    """An utterance cannot be used, so its shard cannot be written."""


def build_shard(task: ShardTask, tick: Tick) -> tuple[str, ...]:
    """Build a shard, unless an utterance has a fault.

    Args:
        task: The shard to build.
        tick: Called after every utterance.

    Returns:
        The faults of all utterances of the shard, one sentence each, beginning with `LIST:LINE`.
        The shard was written if there are none.
    """
    faults: list[str] = []

    def without_faults(rows: Iterable[tuple[str, Vectors] | str]) -> Iterator[tuple[str, Vectors]]:
        for row in rows:
            tick()
            if isinstance(row, str):
                faults.append(row)
            # After a fault the shard is not written, but the further faults are found in one go.
            elif not faults:
                yield row
        # Raised inside `write_shard`, before it writes anything under the name of the shard.
        if faults:
            raise _Faulty

    with suppress(_Faulty):
        write_shard(task.location, without_faults(task.rows()))
    return tuple(faults)


def build_shards(
    tasks: Sequence[ShardTask], num_all: int, progress: ProgressCallback | None
) -> tuple[str, ...]:
    """Build shards one after the other; after the first fault, only look for further faults.

    Args:
        tasks: The shards to build.
        num_all: Number of utterances of the whole store; those without a task count as done.
        progress: Called with (utterances done, utterances in all).

    Returns:
        The faults of all utterances.
    """
    # Shards of an earlier, interrupted build are done from the start.
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
    """Return a callback that reports one of several pieces of work as a part of the whole.

    Args:
        progress: Callback for the whole work.
        before: Number of utterances of the pieces before this one.
        num_all: Number of utterances of all pieces.
    """
    if progress is None:
        return None
    return lambda done, _: progress(before + done, num_all)
