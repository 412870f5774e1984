"""A teacher's targets for the utterances of one shard, and their computation.

Shapes: U utterances, C crops of each, B crops at once, T frames, F mel bins, W numbers of a
vector: the embedding and then the stages averaged over time.
"""

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from models.frontend import NUM_MELS
from spaces.files.digest import file_sha256
from spaces.files.errors import CheckpointError
from trainable.features.crop_bank import Index
from trainable.features.feature_table import FeatureTable
from trainable.machine.hardware import choose_device
from trainable.machine.prefetch import prefetched, to_device, to_host_later
from trainable.machine.thread_speeds import choose_threads
from trainable.store.shards import Vectors
from trainable.teachers.network import Teacher, load_teacher
from trainable.teachers.target_shard import Embedded, TargetShard, log_mels_of, one_ahead

CROPS_AT_ONCE = 64
# The speed by threads is measured on so many.
CROPS_MEASURED = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTask(TargetShard):
    """A shard of targets to build by a network of Veer.

    Attributes, beside those of `TargetShard`:
        teacher: Model file of the teacher.
        sha256: Expected hash of that file; it is part of the store's key.
    """

    teacher: Path
    sha256: str

    @property
    def uses_gpu(self) -> bool:
        """Whether the teacher embeds the crops on a GPU."""
        return self.bank.device == "cuda"

    def _embedded(self) -> Generator[Embedded]:
        features = log_mels_of(self.features)
        teacher, device = _teacher(
            self.teacher, self.sha256, self.bank.device, self.bank.crop_frames
        )
        with closing(prefetched(self._crops(features, device), device=device)) as crops:
            yield from one_ahead(
                (chosen, count_U, teacher_vectors(teacher, feat_BTF))
                for chosen, count_U, feat_BTF in crops
            )

    def _crops(
        self, features: FeatureTable, device: torch.device
    ) -> Iterator[tuple[slice, Index, torch.Tensor]]:
        """Yield utterances, the number of crops of each, and these crops."""
        for number_U, start_UC in self._starts(features, CROPS_AT_ONCE):
            count_U = (start_UC >= 0).sum(axis=1)
            row_B = np.repeat(self.first + number_U, count_U)
            feat_BTF = features.crops(row_B, start_UC[start_UC >= 0], self.bank.crop_frames)
            chosen = slice(int(number_U[0]), int(number_U[-1]) + 1)
            yield chosen, count_U, to_device(feat_BTF, device)

    def _is_usable(self, vector_CW: Vectors) -> bool:
        return bool(np.isfinite(vector_CW).all())

    def _fault(self, path: str) -> str:
        return (
            f"{self.teacher}: the teacher's output for {path} must be finite and fit into float16 "
            "(below 65,504), and does not; train the teacher again, or set targets.mode to online"
        )


@torch.inference_mode()
def teacher_vectors(teacher: Teacher, feat_BTF: torch.Tensor) -> Callable[[], Vectors]:
    """Begin to compute a teacher's output for crops; return a function that waits for it.

    Its result is (B, W) float16; too large numbers become infinite. The passes are float32 on
    every device: targets are computed once, and all trials on all machines share them.
    """
    embedding_BD, stages = teacher.embed(feat_BTF, with_stages=True)
    wait = to_host_later(torch.cat((embedding_BD, *stages), dim=1).half())
    return lambda: wait().numpy()


# The tasks of a process share the teacher: loading it takes longer than a small shard.
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
