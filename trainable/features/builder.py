"""Log-mels computed from audio for one shard, in constant memory.

Shapes: S samples, T frames, F mel bins.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from models import LogMel
from trainable.audio.augmentation import Augmenter, augmentation_digest, copy_rng, make_augmenter
from trainable.audio.augmentation_config import AugmentationConfig
from trainable.audio.reading import AudioEntry, AudioError, Wave, check_wave, load_wave, scan_audio
from trainable.store.shards import ShardLocation, Vectors
from trainable.store.tasks import Tick

_NUM_THREADS = 4
_FILES_AHEAD = 16

_FileRow = tuple[str, Vectors] | str


class ChangeWave(Protocol):
    """An augmentation; picklable, and the same for the same path wherever it runs."""

    def __call__(self, wave_S: Wave, path: Path) -> Wave:
        """The changed wave, of the same length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """An augmented copy of every utterance.

    Attributes:
        number: Of the copy, from 1.
        change: What makes it.
        settings: The same in words and numbers.
        digest: Hash over all that it follows from.
    """

    number: int
    change: ChangeWave
    settings: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTask:
    """A shard of log-mels to build.

    Attributes:
        location: Where it goes.
        entries: Audio files; row i of the shard is file i.
        min_duration_s: Shorter files are refused, seconds.
        copy: How the waves are changed first; None leaves them.
    """

    location: ShardLocation
    entries: Sequence[AudioEntry]
    min_duration_s: float
    copy: CopyPlan | None = None

    @property
    def num_rows(self) -> int:
        """Its files."""
        return len(self.entries)

    @property
    def uses_gpu(self) -> bool:
        """Never."""
        return False

    def rows(self) -> Iterator[_FileRow]:
        """Path and log-mels (T, F) of each file, or what is wrong with it."""
        log_mel = LogMel()

        def compute(entry: AudioEntry) -> _FileRow:
            try:
                wave_S = load_wave(entry.path)
            except AudioError as fault:
                return f"{entry.listed_at}: {fault}"
            if fault_text := check_wave(wave_S, self.min_duration_s):
                return f"{entry.listed_at}: {entry.path}: {fault_text}"
            if self.copy is not None:
                try:
                    wave_S = self.copy.change(wave_S, entry.path)
                except AudioError as fault:
                    return f"{entry.listed_at}: {entry.path}: its copy {self.copy.number}: {fault}"
            feat_1TF = log_mel(torch.from_numpy(wave_S)[None])
            return str(entry.path), feat_1TF[0].numpy().astype(np.float16)

        return _map_in_order(compute, self.entries)

    def faults(self, tick: Tick) -> tuple[str, ...]:
        """What is wrong with the files."""

        def one_more(*_: int) -> None:
            tick()

        scan = scan_audio(self.entries, min_duration_s=self.min_duration_s, progress=one_more)
        return scan.faults


def _map_in_order(
    function: Callable[[AudioEntry], _FileRow], entries: Iterable[AudioEntry]
) -> Iterator[_FileRow]:
    """Map with a few threads, a few files ahead of the one that is asked for."""
    ahead: deque[Future[_FileRow]] = deque()
    # A process that has one CPU has other processes beside it: it must not take theirs.
    num_readers = _NUM_THREADS if torch.get_num_threads() > 1 else 1
    with ThreadPoolExecutor(num_readers) as pool:
        try:
            for entry in entries:
                ahead.append(pool.submit(function, entry))
                if len(ahead) > _FILES_AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentedCopy:
    """Makes one copy of any utterance.

    Attributes:
        augmenter: What makes copies.
        number: Of the copy, from 1.
    """

    augmenter: Augmenter
    number: int

    def __call__(self, wave_S: Wave, path: Path) -> Wave:
        """The copy, of the same length.

        Raises:
            AudioError: A sound that is to be added cannot be read.
        """
        rng = copy_rng(self.augmenter.config.seed, self.number, path)
        return self.augmenter.augment(wave_S, rng)


def copy_plans(config: AugmentationConfig) -> tuple[CopyPlan, ...]:
    """One plan for each copy that is asked for.

    Raises:
        ConfigError: A folder of sounds cannot be used.
    """
    if config.copies == 0:
        return ()
    # With another number of copies those that are there must stay what they are.
    augmenter = make_augmenter(config.model_copy(update={"copies": 1}))
    digest = augmentation_digest(augmenter)
    settings = config.model_dump(mode="json", exclude={"copies"})
    return tuple(
        CopyPlan(
            number=number,
            change=AugmentedCopy(augmenter=augmenter, number=number),
            settings=settings | {"copy": number},
            digest=hashlib.sha256(f"{digest} {number}".encode()).hexdigest(),
        )
        for number in range(1, config.copies + 1)
    )
