"""The teacher's own scores on the validation list, for its VEER, intervals and ties of trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from models import count_parameters
from models.user_code import allow_code, code_root
from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file, teacher_scores_file
from results.journal.history import latest
from results.journal.journal import Journal
from results.records.record import Record
from results.records.search_records import TeacherRecord
from results.tables.formats import format_table
from search.cluster.gpu_task import NoGpuError, run_on_gpu
from search.config.search_config import SearchConfig
from search.provenance.data_record import require_same_teacher
from spaces.files.atomic import write_bytes_atomically
from spaces.files.disk import translate_disk_full
from trainable.checkpoints.loading import load_speaker_model
from trainable.corpus.corpus import CorpusConfig
from trainable.features.training_data import TrainingData, reopen_training_data, reopening_keys
from trainable.foreign_models.graph import open_graph
from trainable.foreign_models.graph_config import is_graph
from trainable.machine.hardware import choose_device
from trainable.teachers.any_teacher import is_stored
from trainable.teachers.embedding_file import read_meta
from trainable.teachers.graph_targets import graph_scores
from trainable.teachers.plugin_bank import NUM_PARAMS
from trainable.teachers.stored import stored_scores
from trainable.verification.evaluation import validation_scores
from trainable.verification.inverted import require_above_chance
from trainable.verification.metrics import Floats, equal_error_rate
from trainable.verification.score_evaluator import ScoreEvaluator, validation_speakers
from trainable.verification.scores import write_scores

# The CPU can do it too, so a busy cluster is not waited for any longer.
GPU_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherScorer:
    """Scores a teacher on the validation list, a network on a GPU if there is one.

    Attributes:
        settings: The search's settings.
        connect_gpus: Returns whether Ray has a GPU; this process is connected to Ray then.
        print_line: Prints a line.
    """

    settings: SearchConfig
    connect_gpus: Callable[[], bool]
    print_line: Callable[[str], None]

    def scores(
        self, file: Path, data: TrainingData, num_crops: int
    ) -> tuple[Floats | None, int | None]:
        """Return the scores and the number of parameters; None for what the file does not have."""
        if is_stored(file):
            return stored_scores(file, data), read_meta(file).get(NUM_PARAMS)
        if is_graph(file):
            graph = open_graph(file)
            return graph_scores(graph, data, num_crops), graph.facts.num_params
        if self.settings.device == "cpu" or not self.connect_gpus():
            return network_scores(file, data, num_crops, torch.device("cpu"))
        corpus = self.settings.corpus
        given = (file, corpus, reopening_keys(corpus, data), num_crops, code_root())
        try:
            found: tuple[Floats, int] = run_on_gpu(
                network_scores_on_gpu, *given, what="the teacher's VEER", within_s=GPU_WITHIN_S
            )
        except NoGpuError as error:
            self.print_line(f"{error}; it is measured on the CPU")
            return network_scores(file, data, num_crops, torch.device("cpu"))
        return found


def network_scores(
    file: Path, data: TrainingData, num_crops: int, device: torch.device
) -> tuple[Floats, int]:
    """Return the scores of a network on the validation list, and its number of parameters."""
    model = load_speaker_model(file).model.to(device)
    scores = validation_scores(model, data, num_crops=num_crops, device=device)
    return scores, count_parameters(model)


def network_scores_on_gpu(
    file: Path,
    corpus: CorpusConfig,
    opened: tuple[str, ...],
    num_crops: int,
    own_code: Path | None,
) -> tuple[Floats, int]:
    """Return what `network_scores` does, in a process that was given a GPU.

    Args:
        file: Model file.
        corpus: The corpus.
        opened: Its stores, see `reopening_keys`.
        num_crops: Crops of a validation utterance.
        own_code: Folder whose modules may be run, None where that was not allowed.
    """
    if own_code is not None:
        allow_code(own_code)
    data = reopen_training_data(corpus, opened)
    return network_scores(file, data, num_crops, choose_device("auto"))


def measure_teacher(
    file: Path,
    data: TrainingData,
    scorer: TeacherScorer,
    num_crops: int,
    journal: Journal,
    records: Sequence[Record],
) -> float | None:
    """Measure the teacher's VEER in percent over `num_crops` crops, once in a run, and record it.

    Returns:
        None for a file of embeddings without the validation utterances.

    Raises:
        RunError: The teacher is not the one that the run started with.
    """
    sha256 = require_same_teacher(file, records)
    earlier = latest(records, TeacherRecord)
    if earlier is not None:
        # The record holds for the whole run: another device would round differently.
        known = earlier.veer_pct
        return None if known is None else float(known)
    scores, num_params = scorer.scores(file, data, num_crops)
    veer_pct = None
    if scores is not None:
        veer_pct = equal_error_rate(scores, data.val_is_target)
        require_above_chance(file, data, scores)
        keep_teacher_scores(
            journal.path.parent, data, scores
        )  # before the record: a resumed run measures again without it
    journal.append(
        TeacherRecord(path=str(file), veer_pct=veer_pct, num_params=num_params, sha256=sha256)
    )
    return veer_pct


def keep_pairs(run: Path, data: TrainingData) -> None:
    """Write the validation list's pairs and their speakers, unless they are there.

    Raises:
        DiskFullError: There is no room.
    """
    file = pairs_file(run)
    if file.exists():
        return
    paths = np.array(data.val_paths)
    names = np.array(validation_speakers(data).names)
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
    with translate_disk_full(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(file, format_table(table, "parquet"))


def keep_teacher_scores(run: Path, data: TrainingData, scores: Floats) -> None:
    """Write the teacher's scores on the validation list.

    Raises:
        DiskFullError: There is no room.
    """
    write_scores(teacher_scores_file(run), ScoreEvaluator(data).measure(scores))
