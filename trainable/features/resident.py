"""The log-mels of a corpus as one tensor on the GPU, if they fit into the memory for them.

Shapes: B batch, T frames, F mel bins, N frames of all utterances, R rows of the table, Z = B x T.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from models.frontend import NUM_MELS
from trainable.features.feature_table import FeatureTable
from trainable.features.request import FRAME_BYTES
from trainable.features.training_data import TrainingData
from trainable.machine.memory_share import gpu_index
from trainable.machine.prefetch import to_device
from trainable.store.shards import Vectors
from trainable.store.table import Index

# Part of a trial's share of the GPU for log-mels, if the memory of its steps was not measured: the
# rest is for weights, activations and the teacher.
RESIDENT_PART = 0.4
# Frames copied at a time, so that host memory never holds a second copy of a large corpus.
CHUNK_FRAMES = 400_000


class CropSource(Protocol):
    """A source of crops: the mapped files, or one tensor on a device."""

    def crops(self, row_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Return one crop for each entry, feat_BTF, float32; see `FeatureTable.crops`."""


class ResidentFeatures:
    """The log-mels of some utterances in one float16 tensor; a batch is one gather from it.

    Args:
        features: Table to copy from.
        row: Rows of `features` to copy, each once, ascending.
        device: Device of the tensor.
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
        begin = 0
        for frames_NF in _runs_of_frames(features, row):
            part = self._frames_NF[begin : begin + len(frames_NF)]
            # A copy, since the mapped file is read-only and `from_numpy` warns of that.
            part.copy_(torch.from_numpy(np.array(frames_NF)))
            begin += len(frames_NF)

    @property
    def num_bytes(self) -> int:
        """Size of the frames, bytes."""
        return self._frames_NF.nbytes

    def crops(self, row_B: Index, start_B: Index, num_frames: int) -> Tensor:
        """Gather one crop for each entry, as `FeatureTable.crops` does.

        Args:
            row_B: Rows of the table, only such as were copied.
            start_B: First frame of each crop, counted within its utterance.
            num_frames: Number of frames in a crop.

        Returns:
            feat_BTF: float32, on the device.
        """
        row_B1 = to_device(torch.from_numpy(row_B)[:, None], self._device)
        start_B1 = to_device(torch.from_numpy(start_B)[:, None], self._device)
        frame_T = torch.arange(num_frames, device=self._device)
        frame_BT = (start_B1 + frame_T) % self._length_R[row_B1]
        index_BT = self._first_R[row_B1] + frame_BT
        feat_ZF = self._frames_NF.index_select(0, index_BT.flatten()).float()
        return feat_ZF.view(len(row_B), num_frames, NUM_MELS)


def crop_source(
    data: TrainingData, device: torch.device, budget_bytes: float | None = None
) -> CropSource:
    """Choose the source of a trial's crops: the device's memory if they fit, else the files.

    Args:
        data: The corpus. Log-mels of both training and validation must fit.
        device: Device of the trial. On the CPU the source is the files, whose pages all trials
            share.
        budget_bytes: Memory that log-mels may take; `resident_budget` by default.
    """
    if budget_bytes is None:
        budget_bytes = resident_budget(device)
    row = np.unique(np.concatenate((data.copy_row.ravel(), data.val_row)))
    num_bytes = int(data.features.length[row].sum()) * FRAME_BYTES
    if num_bytes > budget_bytes:
        return data.features
    return ResidentFeatures(data.features, row, device)


def resident_budget(device: torch.device, step_bytes: int = 0) -> float:
    """Return the bytes that log-mels may take on a device: 0 on a CPU.

    Args:
        device: Device that a process will train on, after `cap_memory`.
        step_bytes: Memory that the steps need, margin included; 0 if it was not measured.
    """
    if device.type != "cuda":
        return 0.0
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    share_bytes = total_bytes * torch.cuda.get_per_process_memory_fraction(gpu_index(device))
    return log_mel_room(min(share_bytes, free_bytes), step_bytes)


def log_mel_room(room_bytes: float, step_bytes: int) -> float:
    """Return the part of the memory that PyTorch may allocate which is left for log-mels.

    Args:
        room_bytes: Share of the GPU, less what the process takes outside PyTorch's allocator.
        step_bytes: Memory that the steps need, margin included; 0 if it was not measured: then
            `RESIDENT_PART` of the room is for log-mels.
    """
    return max(0.0, room_bytes - step_bytes) if step_bytes else RESIDENT_PART * room_bytes


def _runs_of_frames(features: FeatureTable, row: Index) -> Iterator[Vectors]:
    """Yield the frames of ascending rows in order, in few and not too large pieces."""
    # Rows that follow each other in one shard are one slice of its file.
    shard = np.searchsorted(features.first_row, row, side="right") - 1
    is_next = (np.diff(row) == 1) & (np.diff(shard) == 0)
    for part in np.split(np.arange(len(row)), np.flatnonzero(~is_next) + 1):
        first, last = row[part[0]], row[part[-1]]
        end = features.offset[last] + features.length[last]
        frames_NF = features.vectors_NW[shard[part[0]]]
        for begin in range(features.offset[first], end, CHUNK_FRAMES):
            yield frames_NF[begin : min(begin + CHUNK_FRAMES, end)]
