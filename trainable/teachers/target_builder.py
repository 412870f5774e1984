"""A teacher's targets for the utterances of one shard, and their computation.

Shapes: U utterances, C crops of each, B crops at once, T frames, F mel bins, W numbers of a
vector: the embedding and then the stages averaged over time.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from models.frontend import NUM_MELS
from models.user_code import allow_code
from spaces.files.digest import file_sha256
from spaces.files.errors import CheckpointError
from trainable.features.crop_bank import CropBank, Index
from trainable.features.feature_table import FeatureTable
from trainable.machine.hardware import choose_device
from trainable.machine.prefetch import prefetched, to_device, to_host_later
from trainable.machine.thread_speeds import choose_threads
from trainable.store.folder import open_complete
from trainable.store.shards import ShardLocation, Vectors
from trainable.store.tasks import Tick
from trainable.teachers.network import Teacher, load_teacher

CROPS_AT_ONCE = 64
# The speed by threads is measured on so many.
CROPS_MEASURED = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTask:
    """A shard of targets to build.

    Attributes:
        location: Where it goes.
        teacher: Model file of the teacher.
        sha256: Expected hash of that file; it is part of the store's key.
        features: Store of the log-mels; row i of it is utterance i.
        paths: Paths of the utterances, as in the train list.
        first: The first utterance, as a row of the store of log-mels.
        first_number: The first utterance's number in the bank of crops.
        bank: The crops.
        code_root: Folder of user modules; None if user code is not allowed.
    """

    location: ShardLocation
    teacher: Path
    sha256: str
    features: Path
    paths: tuple[str, ...]
    first: int
    first_number: int
    bank: CropBank
    code_root: Path | None

    @property
    def num_rows(self) -> int:
        """Number of utterances in the shard."""
        return len(self.paths)

    @property
    def uses_gpu(self) -> bool:
        """Whether the teacher, a network, embeds the crops on a GPU."""
        return self.bank.device == "cuda"

    def rows(self) -> Iterator[tuple[str, Vectors] | str]:
        """Yield path and vectors (C, W) of each utterance, or why they cannot be stored."""
        # The permission holds for one process, and this may be a worker.
        if self.code_root is not None:
            allow_code(self.code_root)
        features = _features(self.features)
        teacher, device = _teacher(
            self.teacher, self.sha256, self.bank.device, self.bank.crop_frames
        )
        with closing(prefetched(self._crops(features, device), device=device)) as crops:
            for chosen, count_U, vector_BW in _one_ahead(teacher, crops):
                vectors = np.split(vector_BW, np.cumsum(count_U)[:-1])
                for path, vector_CW in zip(self.paths[chosen], vectors, strict=True):
                    finite = np.isfinite(vector_CW).all()
                    yield (path, vector_CW) if finite else self._fault(path)

    def faults(self, tick: Tick) -> tuple[str, ...]:
        """Return no faults: they are known only when the teacher has embedded the crops."""
        for _ in self.paths:
            tick()
        return ()

    def _crops(
        self, features: FeatureTable, device: torch.device
    ) -> Iterator[tuple[slice, Index, torch.Tensor]]:
        """Yield utterances, the number of crops of each, and these crops."""
        at_once = max(1, CROPS_AT_ONCE // self.bank.num_crops)
        for begin in range(0, self.num_rows, at_once):
            chosen = np.arange(begin, min(begin + at_once, self.num_rows))
            start_UC = self._starts(features, chosen)
            # Short utterances have fewer crops; -1 stands for those that are missing.
            count_U = (start_UC >= 0).sum(axis=1)
            row_B = np.repeat(self.first + chosen, count_U)
            feat_BTF = features.crops(row_B, start_UC[start_UC >= 0], self.bank.crop_frames)
            yield slice(begin, begin + len(chosen)), count_U, to_device(feat_BTF, device)

    def _starts(self, features: FeatureTable, chosen: Index) -> Index:
        latest_U = self.bank.latest(features.length[self.first + chosen])
        return self.bank.starts(self.first_number + chosen, latest_U)

    def _fault(self, path: str) -> str:
        return (
            f"{self.teacher}: the teacher's output for {path} must be finite and fit into float16 "
            "(below 65,504), and does not; train the teacher again, or set targets.mode to online"
        )


def _one_ahead(
    teacher: Teacher, crops: Iterable[tuple[slice, Index, torch.Tensor]]
) -> Iterator[tuple[slice, Index, Vectors]]:
    """Yield the teacher's vectors in place of the crops; the next ones are queued before that."""
    before: tuple[slice, Index, Callable[[], Vectors]] | None = None
    for chosen, count_U, feat_BTF in crops:
        queued = chosen, count_U, teacher_vectors(teacher, feat_BTF)
        if before is not None:
            yield *before[:2], before[2]()
        before = queued
    if before is not None:
        yield *before[:2], before[2]()


@torch.inference_mode()
def teacher_vectors(teacher: Teacher, feat_BTF: torch.Tensor) -> Callable[[], Vectors]:
    """Begin to compute a teacher's output for crops; return a function that waits for it.

    Its result is (B, W) float16; too large numbers become infinite. The passes are float32 on
    every device: targets are computed once, and all trials on all machines share them.
    """
    embedding_BD, stages = teacher.embed(feat_BTF, with_stages=True)
    wait = to_host_later(torch.cat((embedding_BD, *stages), dim=1).half())
    return lambda: wait().numpy()


# The tasks of a process share store and teacher: loading them takes longer than a small shard.
@lru_cache(maxsize=1)
def _features(folder: Path) -> FeatureTable:
    return FeatureTable.of([open_complete(folder)])


@lru_cache(maxsize=1)
def _teacher(
    file: Path, sha256: str, kind: str, crop_frames: int
) -> tuple[Teacher, torch.device]:
    """Load the network on its device, if the file still has the expected hash."""
    # The store's key has the hash of the start: other weights would be kept under it.
    if (found := file_sha256(file)) != sha256:
        raise CheckpointError(
            f"{file}: the teacher has changed while its targets were built (SHA-256 {found[:12]}, "
            f"at the start {sha256[:12]}); do not change it meanwhile, and build again"
        )
    device = choose_device(kind)
    teacher = load_teacher(file).to(device)
    if device.type == "cpu" and torch.get_num_threads() > 1:
        # The generator of its own leaves the random numbers of a training as they are.
        chance = torch.Generator().manual_seed(0)
        feat_BTF = torch.randn(CROPS_MEASURED, crop_frames, NUM_MELS, generator=chance)
        line = choose_threads(lambda: len(teacher_vectors(teacher, feat_BTF)()))
        _log.info("targets: %s", line)
    return teacher, device
