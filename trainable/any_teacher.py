"""A teacher by its path: model file, folder of a run, file of embeddings, YAML of a plug-in."""

from collections.abc import Callable
from pathlib import Path

from models.user_code import require_permission
from trainable.checkpoint import resolve_model_file
from trainable.corpus import CorpusConfig
from trainable.data import TrainingData
from trainable.errors import CheckpointError
from trainable.plugin import read_plugin
from trainable.plugin_bank import build_bank
from trainable.stored_teacher import load_stored_teacher
from trainable.teacher import AnyTeacher, TeacherFacts, load_teacher

EMBEDDINGS = ".parquet"
PLUGIN = (".yaml", ".yml")
BANK_FILE = "teacher.parquet"


def is_stored(teacher: Path) -> bool:
    """Whether it is a file of embeddings, which has no network."""
    return teacher.suffix == EMBEDDINGS


def is_plugin(teacher: Path) -> bool:
    """Whether it is the YAML of a plug-in."""
    return teacher.suffix in PLUGIN


def find_teacher(teacher: Path) -> Path:
    """The file that a path means: itself, or the best epoch's in a run folder; nothing is run.

    Raises:
        CheckpointError: There is none.
        ConfigError: A plug-in's YAML breaks a rule, or the person's code is not allowed.
    """
    if is_plugin(teacher):
        require_permission(f"teacher {teacher}")
        read_plugin(teacher)
        return teacher
    if is_stored(teacher):
        if not teacher.is_file():
            raise CheckpointError(f"{teacher}: there is no such file of embeddings")
        return teacher
    return resolve_model_file(teacher)


def plugin_facts(plugin: Path) -> TeacherFacts:
    """What is known of a plug-in teacher before it is run.

    Raises:
        ConfigError: Its YAML breaks a rule.
    """
    crop_frames = read_plugin(plugin).crop_frames
    return TeacherFacts(
        embedding_dim=None, centres=None, has_stages=False, crop_frames=crop_frames
    )


def ready_teacher(
    teacher: Path,
    corpus: CorpusConfig,
    data: TrainingData,
    folder: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    may_replace: bool = True,
) -> Path:
    """The file that `open_teacher` takes; of a plug-in its embeddings, made now if need be.

    Args:
        teacher: As the person named it.
        corpus: Where the audio is.
        data: The corpus, opened.
        folder: The run's; a plug-in's embeddings go to its `teacher.parquet`.
        progress: Told (utterances done, utterances in all) while a plug-in embeds.
        may_replace: Whether embeddings of another plug-in there may be replaced.

    Raises:
        VeerError: It cannot be used; see `find_teacher` and `build_bank`.
    """
    file = find_teacher(teacher)
    if not is_plugin(file):
        return file
    bank = folder.absolute() / BANK_FILE
    build_bank(file, corpus, data, bank, progress=progress, may_replace=may_replace)
    return bank


def open_teacher(file: Path, data: TrainingData) -> AnyTeacher:
    """The teacher in a model file, a run's folder or a file of embeddings.

    Raises:
        CheckpointError: The model file is missing or damaged.
        TrainingError: The file of embeddings breaks a rule.
    """
    return load_stored_teacher(file, data) if is_stored(file) else load_teacher(file)
