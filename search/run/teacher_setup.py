"""The teacher of a search: its file, whom it can teach, its own VEER at the search's protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from models import count_parameters
from results.analysis.trial_scores import PAIRS_SCHEMA, pairs_file, teacher_scores_file
from results.journal.history import latest
from results.journal.journal import Journal, Record, read_journal
from results.journal.run_folder import JOURNAL
from results.tables.formats import format_table
from search.config.search_config import SearchConfig
from search.provenance.data_record import require_same_teacher
from search.suggest.corner_configs import corner_configs
from spaces.dimensions import PRESET
from spaces.files.atomic import write_bytes_atomically
from spaces.files.disk import translate_disk_full
from spaces.files.errors import ConfigError, TrainingError
from spaces.space import Space
from trainable.checkpoints.loading import load_speaker_model
from trainable.features.training_data import TrainingData
from trainable.loss.teacher_output import TeacherFacts, require_fit
from trainable.machine.cache_dir import cache_dir
from trainable.machine.hardware import choose_device
from trainable.store.tasks import Builder, ProgressCallback, build_shards
from trainable.teachers.any_teacher import (
    find_teacher,
    is_plugin,
    is_stored,
    plugin_facts,
    prepare_teacher,
    teacher_facts,
)
from trainable.teachers.embedding_file import read_meta
from trainable.teachers.plugin_bank import NUM_PARAMS
from trainable.teachers.stored import stored_scores
from trainable.teachers.targets import open_targets
from trainable.verification.evaluation import validation_scores
from trainable.verification.metrics import Floats, equal_error_rate
from trainable.verification.score_evaluator import ScoreEvaluator, speakers_of
from trainable.verification.scores import write_scores


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
    with translate_disk_full(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(file, format_table(table, "parquet"))


def keep_teacher_scores(run: Path, data: TrainingData, scores: Floats) -> None:
    """Write the teacher's scores on the validation list.

    Raises:
        DiskFullError: There is no room.
    """
    write_scores(teacher_scores_file(run), ScoreEvaluator(data).measure(scores))


DISTILLATION = "loss.distillation"
# What decides whether a teacher fits a trial.
DECIDING = frozenset(
    {
        PRESET,
        DISTILLATION,
        "loss.alpha",
        "loss.stages",
        "model.family",
        "model.embedding_dim",
        "training.crop_frames",
    }
)


def teacher_file(settings: SearchConfig, space: Space) -> Path | None:
    """Return the teacher's file, None where the search has none.

    Raises:
        ConfigError: A trial may distil, and no teacher is named; or the person's code is not
            allowed.
        CheckpointError: The file is missing.
    """
    if settings.teacher is not None:
        return find_teacher(settings.teacher)
    if may_distil(space):
        raise ConfigError(
            f"space {space.name} has trials that distil, which needs a teacher: give --teacher a "
            f"model file or folder, or fix {DISTILLATION} to none"
        )
    return None


def may_distil(space: Space) -> bool:
    """Return whether a trial of this space can need a teacher."""
    return any(config.loss.distill_weight > 0 for _, config in deciding_configs(space, DECIDING))


def prepared_teacher(
    teacher: Path,
    data: TrainingData,
    settings: SearchConfig,
    space: Space,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return the teacher's file for the trials; of a plug-in its embeddings, in the run folder.

    A plug-in is not run for a space with trials that it could not teach, and its embeddings are
    not replaced in a run that began with them.

    Raises:
        ConfigError: It cannot teach a trial of the space.
        VeerError: It cannot be used.
    """
    if is_plugin(teacher):
        require_teachable(space, plugin_facts(teacher), data.speakers, teacher)
    journal = folder / JOURNAL
    has_begun = journal.is_file() and latest(read_journal(journal), "teacher") is not None
    return prepare_teacher(
        teacher, settings.corpus, data, folder, progress=progress, may_replace=not has_begun
    )


def check_teacher(teacher: Path, data: TrainingData, space: Space) -> None:
    """Refuse a teacher that could not teach every trial of the space.

    Raises:
        ConfigError: With the reason and the values that lead to it.
        VeerError: The file cannot be used.
    """
    if may_distil(space):
        require_teachable(space, teacher_facts(teacher, data), data.speakers, teacher)


def ask_teacher(
    teacher: Path,
    data: TrainingData,
    settings: SearchConfig,
    space: Space,
    *,
    progress: ProgressCallback | None = None,
    build: Builder = build_shards,
) -> dict[str, str]:
    """Ask a network about the crops of every length that it may teach, unless it was before.

    Returns:
        The key of every store of what it says, by a name with the length and the copy.

    Raises:
        VeerError: What it says cannot be kept.
    """
    keys: dict[str, str] = {}
    if is_stored(teacher):
        return keys
    lengths = {
        config.training.crop_frames
        for _, config in corner_configs(space, DECIDING)
        if config.loss.distill_weight > 0
    }
    for crop_frames in sorted(lengths):
        if (bank := settings.targets.bank(crop_frames)) is not None:
            opened = open_targets(
                teacher, data, bank, cache_dir=cache_dir(), progress=progress, build=build
            )
            for copy, store in enumerate(opened.table.stores):
                keys[f"targets of {crop_frames} frames, copy {copy}"] = store.plan.key
    return keys


def require_teachable(
    space: Space, facts: TeacherFacts, speakers: tuple[str, ...], teacher: Path
) -> None:
    """Refuse a space with a trial that the teacher does not fit: sizes, classifier, stages, crops.

    Raises:
        ConfigError: With the reason and the values that lead to it.
    """
    for params, config in corner_configs(space, DECIDING):
        try:
            require_fit(
                config.loss,
                facts,
                embedding_dim=config.model.embedding_dim,
                crop_frames=config.training.crop_frames,
                speakers=speakers,
            )
        except TrainingError as error:
            values = ", ".join(f"{name}={value}" for name, value in params.items())
            place = f" (a trial with {values})" if values else ""
            raise ConfigError(
                f"space {space.name}{place} does not fit teacher {teacher}: {error}"
            ) from error


def measure_teacher(
    file: Path,
    data: TrainingData,
    settings: SearchConfig,
    num_crops: int,
    journal: Journal,
    records: Sequence[Record],
) -> float | None:
    """Return the teacher's VEER in percent over so many crops, measured once in a run and recorded.

    Returns:
        None where it is a file of embeddings without the validation utterances.

    Raises:
        RunError: The teacher is not the one that the run began with.
    """
    sha256 = require_same_teacher(file, records)
    earlier = latest(records, "teacher")
    if earlier is not None:
        known = earlier["veer_pct"]
        return None if known is None else float(known)
    scores, num_params = _measured(file, data, settings, num_crops)
    veer_pct = None
    if scores is not None:
        veer_pct = equal_error_rate(scores, data.val_is_target)
        keep_teacher_scores(journal.path.parent, data, scores)  # before it is known as measured
    journal.append("teacher", path=file, veer_pct=veer_pct, num_params=num_params, sha256=sha256)
    return veer_pct


def _measured(
    file: Path, data: TrainingData, settings: SearchConfig, num_crops: int
) -> tuple[Floats | None, int | None]:
    """Return scores and number of parameters, None each where the file does not tell."""
    if is_stored(file):
        return stored_scores(file, data), read_meta(file).get(NUM_PARAMS)
    model = load_speaker_model(file).model
    scores = validation_scores(
        model.to(device := choose_device("cpu" if settings.device == "cpu" else "auto")),
        data,
        num_crops=num_crops,
        device=device,
    )
    return scores, count_parameters(model)
