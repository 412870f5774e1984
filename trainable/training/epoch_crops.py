"""The training crops of one epoch, drawn at random."""

from typing import NamedTuple

import numpy as np

from trainable.features.crop_bank import Index, latest_starts
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import AnyTeacher, random_starts


class EpochCrops(NamedTuple):
    """An epoch's training crops in their order, one entry per crop.

    Attributes:
        row: Rows of the feature table.
        start: First frames, counted within the utterances.
        speaker: Classes.
    """

    row: Index
    start: Index
    speaker: Index


def draw_epoch_crops(
    data: TrainingData,
    teacher: AnyTeacher | None,
    crop_frames: int,
    rng: np.random.Generator,
    *,
    with_copies: bool = True,
) -> EpochCrops:
    """Draw one crop of every training utterance, or of an augmented copy of it, in random order.

    Args:
        data: The corpus, opened.
        teacher: If given, it draws the starts, since some teachers know certain crops only.
        crop_frames: Frames of a crop.
        rng: Source of order, copies and starts. Results of a seed depend on the order of the
            draws below, so that order must not change.
        with_copies: Whether copies of the utterances are drawn too.
    """
    order = rng.permutation(len(data.train_row))
    row = data.drawn_rows(rng) if with_copies else data.train_row
    latest = latest_starts(data.features.length[row], crop_frames)
    if teacher is None:
        start = random_starts(rng, latest)
    else:
        start = teacher.draw_starts(rng, row, latest)
    return EpochCrops(row[order], start[order], data.classes_of(row)[order])
