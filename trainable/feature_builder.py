"""Log-mels computed from audio, shard by shard, in constant memory.

A `ShardTask` says all that a shard needs, so that any process of any machine that sees the audio
and the store can build it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models import LogMel
from trainable.audio import AudioEntry, AudioError, check_wave, load_wave, scan_audio
from trainable.feature_shards import Frames, write_shard

Progress = Callable[[int, int], None]

NUM_READERS = 4
READ_AHEAD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """One shard to build.

    Attributes:
        folder: The store.
        key: Its key.
        number: Of the shard, from 0.
        entries: Audio files; row i of the shard is file i.
        min_duration_s: Shorter files are refused, seconds.
    """

    folder: Path
    key: str
    number: int
    entries: Sequence[AudioEntry]
    min_duration_s: float


class _Faulty(Exception):  # noqa: N818 - stops the writing, and is caught here
    """A file cannot be used, so that its shard cannot be written."""


def build_shard(task: ShardTask, tick: Callable[[], None] | None = None) -> tuple[str, ...]:
    """Build a shard, unless a file has a fault.

    Args:
        task: What to build.
        tick: Called after every file.

    Returns:
        All faults of the shard's files, one sentence each, opened by `LIST:LINE`; the shard was
        written if there is none.
    """
    faults: list[str] = []

    def rows() -> Iterator[tuple[str, Frames]]:
        for entry, result in zip(task.entries, _log_mels(task), strict=True):
            if tick:
                tick()
            if isinstance(result, str):
                faults.append(result)
            elif not faults:
                yield str(entry.path), result
        if faults:
            raise _Faulty

    with suppress(_Faulty):
        write_shard(task.folder, task.key, task.number, rows())
    return tuple(faults)


def build_shards(
    tasks: Sequence[ShardTask], num_all: int, progress: Progress | None
) -> tuple[str, ...]:
    """Build shards one after the other; after the first fault only look for further ones.

    Args:
        tasks: What to build.
        num_all: Files of the whole store; those without a task count as done.
        progress: Told (files done, files in all).

    Returns:
        The faults of all files.
    """
    done = num_all - sum(len(task.entries) for task in tasks)
    faults: list[str] = []

    def tick(*_: int) -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, num_all)

    for task in tasks:
        if faults:
            scan = scan_audio(task.entries, min_duration_s=task.min_duration_s, progress=tick)
            faults += scan.faults
        else:
            faults += build_shard(task, tick)
    return tuple(faults)


def _log_mels(task: ShardTask) -> Iterator[Frames | str]:
    log_mel = LogMel()

    def compute(entry: AudioEntry) -> Frames | str:
        try:
            wave = load_wave(entry.path)
        except AudioError as fault:
            return f"{entry.place}: {fault}"
        if fault_text := check_wave(wave, task.min_duration_s):
            return f"{entry.place}: {entry.path}: {fault_text}"
        feat_1TF = log_mel(torch.from_numpy(wave)[None])
        frames: Frames = feat_1TF[0].numpy().astype(np.float16)
        return frames

    return _map_in_order(compute, task.entries)


def _map_in_order(
    function: Callable[[AudioEntry], Frames | str], entries: Iterable[AudioEntry]
) -> Iterator[Frames | str]:
    """Map with a few threads, a few files ahead of the one that is asked for."""
    ahead: deque[Future[Frames | str]] = deque()
    with ThreadPoolExecutor(NUM_READERS) as pool:
        try:
            for entry in entries:
                ahead.append(pool.submit(function, entry))
                if len(ahead) > READ_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
