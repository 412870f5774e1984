"""What a run keeps of its validation list, so that scores can be read without the corpus."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file, teacher_file
from results.tables.formats import format_table
from spaces.files.atomic import write_bytes_atomically
from spaces.files.disk import room_for
from trainable.features.training_data import TrainingData
from trainable.verification.scores import ScoreMeter, speakers_of, write_scores
from trainable.verification.scoring import Floats


def keep_pairs(run: Path, data: TrainingData) -> None:
    """Write the validation list's pairs and their speakers, unless they are there.

    Raises:
        DiskFullError: There is no room.
    """
    file = pairs_file(run)
    if file.exists():
        return
    paths = np.array(data.val_paths)
    names = np.array(speakers_of(data.val_paths, data.val_a, data.val_b, data.val_is_target))
    table = pa.table(
        {
            "path_a": paths[data.val_a],
            "path_b": paths[data.val_b],
            "speaker_a": names[data.val_a],
            "speaker_b": names[data.val_b],
            "is_target": data.val_is_target,
        },
        schema=PAIRS_SCHEMA,
    )
    with room_for(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(file, format_table(table, "parquet"))


def keep_teacher_scores(run: Path, data: TrainingData, scores: Floats) -> None:
    """Write the teacher's scores on the validation list.

    Raises:
        DiskFullError: There is no room.
    """
    write_scores(teacher_file(run), ScoreMeter(data).measured(scores))
