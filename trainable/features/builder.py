"""The log-mels of one shard, computed from audio or from augmented copies of it.

A copy is a second version of every utterance: a `CopyPlan` changes the waves before their log-mels
are computed, so that each copy has a store of its own. Memory does not grow with the shard.

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
from trainable.audio.reading import AudioEntry, AudioError, Wave, check_wave, load_wave
from trainable.audio.scan import scan_audio
from trainable.audio.speed import Speed
from trainable.store.shards import ShardLocation, Vectors
from trainable.store.tasks import Tick

# Threads that decode and compute; soundfile and PyTorch release the GIL while they do.
_NUM_THREADS = 4
# Files whose log-mels may wait in memory for the shard to take them.
_FILES_AHEAD = 16

_FileRow = tuple[str, Vectors] | str
"""Path and log-mels (T, F) of a file, or its fault."""


class ChangeWave(Protocol):
    """A change of waves. It can be pickled, and gives one path the same change in any process."""

    def __call__(self, wave_S: Wave, path: Path) -> Wave:
        """Return the changed wave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPlan:
    """How to make one augmented copy of every utterance.

    Attributes:
        number: Number of the copy, from 1.
        change: Function that makes the copy of a wave.
        settings: Settings of the copy, for the plan of its store.
        digest: Hash over everything that the copy follows from, besides the utterances.
    """

    number: int
    change: ChangeWave
    settings: dict[str, Any]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentedCopy:
    """The `ChangeWave` of one augmented copy.

    Attributes:
        augmenter: Augmenter that makes copies.
        number: Number of the copy, from 1.
    """

    augmenter: Augmenter
    number: int

    def __call__(self, wave_S: Wave, path: Path) -> Wave:
        """Return the copy of a wave, of the same length.

        Raises:
            AudioError: A sound to be added cannot be read.
        """
        rng = copy_rng(self.augmenter.config.seed, self.number, path)
        return self.augmenter.augment(wave_S, rng)


def copy_plans(config: AugmentationConfig) -> tuple[CopyPlan, ...]:
    """Return one plan for each copy that the config requests.

    Raises:
        ConfigError: A folder of sounds cannot be used.
    """
    if config.copies == 0:
        return ()
    # The digest must not depend on the number of copies: more copies must keep those that exist.
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


def speed_plans(factors: tuple[float, ...], first_number: int) -> tuple[CopyPlan, ...]:
    """Return one plan for each factor of speed.

    Args:
        factors: The factors.
        first_number: Number of the first of these copies.
    """
    return tuple(
        CopyPlan(
            number=number,
            change=Speed(factor=factor),
            settings={"speed_factor": factor},
            digest=Speed(factor=factor).digest,
        )
        for number, factor in enumerate(factors, first_number)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTask:
    """A shard of log-mels to build.

    Attributes:
        location: Where the shard goes.
        entries: Audio files; row i of the shard is file i.
        min_duration_s: Shorter files are refused, seconds.
        copy: Copy of the waves to compute log-mels of; None for the waves themselves.
    """

    location: ShardLocation
    entries: Sequence[AudioEntry]
    min_duration_s: float
    copy: CopyPlan | None = None

    @property
    def num_rows(self) -> int:
        """Number of files in the shard."""
        return len(self.entries)

    @property
    def uses_gpu(self) -> bool:
        """Always false: log-mels are computed on the CPU."""
        return False

    def rows(self) -> Iterator[_FileRow]:
        """Yield path and log-mels (T, F) of each file in order, or its fault as a string."""
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
        """Return the faults of the files without computing log-mels; `tick` after each."""

        def on_progress(*_: int) -> None:
            tick()

        scan = scan_audio(self.entries, min_duration_s=self.min_duration_s, progress=on_progress)
        return scan.faults


def _map_in_order(
    function: Callable[[AudioEntry], _FileRow], entries: Iterable[AudioEntry]
) -> Iterator[_FileRow]:
    """Yield the results in order; a few threads work a few files ahead of the consumer."""
    ahead: deque[Future[_FileRow]] = deque()
    # A process with one thread shares the machine with other processes, whose CPUs it must not
    # use.
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
            # The consumer stopped early: without this, leaving the pool would compute the rest.
            for future in ahead:
                future.cancel()
