"""A corpus's log-mels as one tensor on the GPU, where they fit in a part of the trial's share.

Shapes: B batch, T frames, F mel bins, N frames of all utterances, R rows of the table.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.frontend import NUM_MELS
from trainable.features.feature_table import FeatureTable
from trainable.features.training_data import TrainingData
from trainable.machine.memory_share import gpu_index
from trainable.machine.prefetch import to_device

# Of a trial's share of the GPU, where nobody measured what its steps need: the rest is for
# weights, activations and the teacher.
RESIDENT_PART = 0.4
BYTES_OF_FRAME = NUM_MELS * 2
# Copied at once, so that no second copy of a large corpus lies in memory.
CHUNK_FRAMES = 400_000

Index = NDArray[np.int64]


class CropSource(Protocol):
    """Where crops are gathered from: the mapped files, or one tensor on a device."""

    def crops(self, row_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """One crop an entry, feat_BTF, float32; see `FeatureTable.crops`."""


class ResidentFeatures:
    """The log-mels of some utterances in one float16 tensor; a batch is one gather there.

    Args:
        features: Where they are copied from.
        row: Rows of `features` to take, each once, ascending.
        device: Where the tensor lies.
    """

    def __init__(self, features: FeatureTable, row: Index, device: torch.device) -> None:
        length = features.length[row]
        first_R = np.full(len(features.length), -1)
        first_R[row] = np.cumsum(length) - length
        self._device = device
        self._first_R = torch.from_numpy(first_R).to(device)
        self._length_R = torch.from_numpy(features.length).to(device)
        self._frames_NF = torch.empty(
            (int(length.sum()), NUM_MELS), dtype=torch.float16, device=device
        )
        place = 0
        for frames_NF in _stretches(features, row):
            part = self._frames_NF[place : place + len(frames_NF)]
            part.copy_(torch.from_numpy(np.array(frames_NF)))
            place += len(frames_NF)

    @property
    def num_bytes(self) -> int:
        """Of the frames."""
        return self._frames_NF.nbytes

    def crops(self, row_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Gather one crop an entry, as `FeatureTable.crops` does.

        Args:
            row_B: Rows of the table; only those that were taken.
            start_B: First frame of each crop, counted within its utterance.
            num_frames: Frames of a crop.

        Returns:
            feat_BTF: float32, on the device.
        """
        row_B1 = to_device(torch.from_numpy(row_B)[:, None], self._device)
        start_B1 = to_device(torch.from_numpy(start_B)[:, None], self._device)
        frame_T = torch.arange(num_frames, device=self._device)
        frame_BT = (start_B1 + frame_T) % self._length_R[row_B1]
        place_BT = self._first_R[row_B1] + frame_BT
        feat_ZF = self._frames_NF.index_select(0, place_BT.flatten()).float()
        return feat_ZF.view(len(row_B), num_frames, NUM_MELS)


def crop_source(
    data: TrainingData, device: torch.device, budget_bytes: float | None = None
) -> CropSource:
    """Where a trial's crops come from: memory of the device if they fit there, else the files.

    Args:
        data: The corpus; what training and validation use of it is counted.
        device: The trial's. On the CPU the files are taken: all trials share their pages.
        budget_bytes: What the log-mels may take; `resident_budget` unless given.
    """
    if budget_bytes is None:
        budget_bytes = resident_budget(device)
    row = np.unique(np.concatenate((data.copy_row.ravel(), data.val_row)))
    num_bytes = int(data.features.length[row].sum()) * BYTES_OF_FRAME
    if num_bytes > budget_bytes:
        return data.features
    return ResidentFeatures(data.features, row, device)


def resident_budget(device: torch.device, step_bytes: int = 0) -> float:
    """Bytes that log-mels may take on a device; none but on a GPU.

    Args:
        device: Where a process will train, and its memory has been capped.
        step_bytes: What the steps need, margin included; 0 where nobody measured it.
    """
    if device.type != "cuda":
        return 0.0
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    share_bytes = total_bytes * torch.cuda.get_per_process_memory_fraction(gpu_index(device))
    return log_mel_room(min(share_bytes, free_bytes), step_bytes)


def log_mel_room(room_bytes: float, step_bytes: int) -> float:
    """Bytes left for log-mels of what PyTorch may allocate.

    Args:
        room_bytes: Of the share, less what the process takes beside PyTorch's allocator.
        step_bytes: What the steps need, margin included; 0 where nobody measured it, and a part
            of the room is taken.
    """
    return max(0.0, room_bytes - step_bytes) if step_bytes else RESIDENT_PART * room_bytes


def _stretches(features: FeatureTable, row: Index) -> Iterator[NDArray[np.float16]]:
    """The frames of ascending rows in their order, in few and not too large pieces."""
    shard = np.searchsorted(features.first_row, row, side="right") - 1
    is_next = (np.diff(row) == 1) & (np.diff(shard) == 0)
    for part in np.split(np.arange(len(row)), np.flatnonzero(~is_next) + 1):
        first, last = row[part[0]], row[part[-1]]
        end = features.offset[last] + features.length[last]
        frames_NF = features.vectors_NW[shard[part[0]]]
        for begin in range(features.offset[first], end, CHUNK_FRAMES):
            yield frames_NF[begin : min(begin + CHUNK_FRAMES, end)]
