"""The batches of an epoch, in the order in which they are trained.

Shapes: B batch (this process's part of it), T frames, F mel bins.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trainable.config.trial_config import TrainingConfig
from trainable.features.crop_bank import Index
from trainable.features.resident import CropSource
from trainable.features.spec_augment import spec_augment
from trainable.features.training_data import TrainingData
from trainable.loss.objective import Objective
from trainable.loss.teacher_output import Crops
from trainable.machine.prefetch import to_device
from trainable.machine.ranks import Ranks
from trainable.step.batch import Batch
from trainable.training.epoch_crops import draw_epoch_crops


class CropReader:
    """Reads crops of one length onto a device.

    Args:
        features: Source of the log-mels.
        crop_frames: Frames of a crop.
        device: Where the crops are put.
    """

    def __init__(self, features: CropSource, crop_frames: int, device: torch.device) -> None:
        self._features, self.device = features, device
        self.crop_frames = crop_frames

    def read(self, row_B: Index, start_B: Index) -> Crops:
        """Return the crops of these rows of the feature table, from these frames on."""
        feat_BTF = self._features.crops(row_B, start_B, self.crop_frames)
        return Crops(to_device(feat_BTF, self.device), row_B, start_B)


class Batches:
    """Makes the batches of every epoch.

    Args:
        data: The corpus, opened.
        crops: Reads the crops.
        objective: Its teacher draws the starts of the crops, and may look up its output.
        config: Size and masks.
        ranks: The processes that have a part of each batch; all draw the same epoch.
    """

    def __init__(
        self,
        data: TrainingData,
        crops: CropReader,
        objective: Objective,
        config: TrainingConfig,
        ranks: Ranks,
    ) -> None:
        self._data, self._crops, self._objective = data, crops, objective
        self._config, self._ranks = config, ranks

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Yield an epoch's batches; an incomplete last one is left out.

        Args:
            rng: Source of order, crops and masks; no other thread may use it meanwhile.
        """
        batch_size, crops = self._config.batch_size, self._crops
        drawn = draw_epoch_crops(
            self._data,
            self._objective.teacher,
            crops.crop_frames,
            rng,
            with_copies=not self._objective.is_last_phase,
        )
        for first in range(0, len(drawn.row) - batch_size + 1, batch_size):
            part = self._ranks.part(first, batch_size)
            read = crops.read(drawn.row[part], drawn.start[part])
            # In the prefetch thread, where reading stored targets makes no step wait.
            read = self._objective.with_teacher_output(read)
            speaker_B = to_device(torch.from_numpy(drawn.speaker[part]), crops.device)
            yield Batch(self._masked(read.feat_BTF, rng), read, speaker_B)

    def _masked(self, feat_BTF: Tensor, rng: np.random.Generator) -> Tensor:
        config = self._config
        if not config.num_masks or self._objective.is_last_phase:
            return feat_BTF
        return spec_augment(
            feat_BTF,
            rng,
            num_masks=config.num_masks,
            max_bins=config.mask_bins,
            max_frames=config.mask_frames,
            ranks=self._ranks,
        )
